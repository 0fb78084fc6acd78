import { readFileSync } from 'node:fs'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { RIGHTS } from './migrate/rights.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, database: TestDatabase) {
  const { pool } = database
  /** Signatures of our functions for which the condition holds. */
  const functionsWhere = async (condition: string, values: unknown[] = []) => {
    const { rows } = await pool.query<{ name: string }>(
      `select p.oid::regprocedure::text as name from pg_proc p
       where p.pronamespace = 'postrider'::regnamespace and ${condition} order by 1`,
      values,
    )
    return rows.map(({ name }) => name)
  }
  /** Whether the function itself has the setting. */
  const sets = (setting: string) => `coalesce('${setting}' = any (p.proconfig), false)`

  t.test('what does not wait for the disk or a standby is listed, with its reason', async (t) => {
    const guide = new URL('../../docs/explanation/guarantees.md', import.meta.url)
    const listed =
      readFileSync(guide, 'utf8')
        .match(/^\|.*\| no \|/gm)
        ?.join() ?? ''
    const forgettable = await functionsWhere(
      `p.prosrc ~ 'perform postrider.make_commit_forgettable'`,
    )
    t.ok(forgettable.length > 2)
    const names = forgettable.map((name) => /(\w+)\(/.exec(name)?.[1] ?? name)
    t.strictSame(
      names.filter((name) => !listed.includes(`\`${name}\``)),
      [],
    )
  })

  t.test(
    'no function that is granted to anybody, or that makes jobs, is ever compiled',
    async (t) => {
      const granted = Object.values(RIGHTS).flatMap(({ functions }) => functions)
      const entrance = 'p.proname = any ($1)'
      t.ok((await functionsWhere(entrance, [granted])).length >= new Set(granted).size)
      t.strictSame(await functionsWhere(`${entrance} and not ${sets('jit=off')}`, [granted]), [])
      const makesJobs = String.raw`p.prosrc ~ 'graphile_worker\.(add|remove)_job|enqueue'`
      t.ok((await functionsWhere(makesJobs)).length > 10)
      const isCompiled = `p.proconfig is not null and not ${sets('jit=off')}`
      t.strictSame(await functionsWhere(`${makesJobs} and ${isCompiled}`), [])
    },
  )

  // An empty table has the plan of a full one; what an entrance calls has its settings.
  t.test('no entrance reads all of a table that grows with every event', async (t) => {
    const growing = String.raw`p.prosrc ~ '(from|join|update|into|using) postrider\.(event|delivery|attempt|idempotency)\M'`
    const entrance = `p.prosecdef and ${growing}`
    t.ok((await functionsWhere(entrance)).length > 10)
    t.strictSame(await functionsWhere(`${entrance} and not ${sets('enable_seqscan=off')}`), [])
  })

  t.test('what has the rights of its owner decides itself how it is understood', async (t) => {
    const entrance = 'p.prosecdef'
    t.ok((await functionsWhere(entrance)).length > 40)
    for (const setting of [
      'jit=off',
      'search_path=pg_catalog, pg_temp',
      'standard_conforming_strings=on',
      'plpgsql.extra_errors=none',
      'exit_on_error=off',
      'DateStyle=ISO, MDY',
      'TimeZone=UTC',
    ]) {
      t.strictSame(await functionsWhere(`${entrance} and not ${sets(setting)}`), [], setting)
    }
  })

  // What has no settings gets them from what calls it, as all that an event passes through does from publish.
  t.test(
    "names are looked up among Postgres' own, but for one that stands in for its",
    async (t) => {
      const others = await functionsWhere(
        `p.proconfig is not null and not ${sets('search_path=pg_catalog, pg_temp')}`,
      )
      // Its pg_notify, which bell.test.ts holds to be the only name that hides another.
      t.match(others.toSorted(), [
        /^postrider\.enqueue\(/,
        /^postrider\.enqueue_advance\(/,
        /^postrider\.enqueue_collapses\(/,
      ])
      t.equal(others.length, 3)
      const makers = `p.proname ~ '^enqueue' and ${sets('search_path=postrider, pg_catalog, pg_temp')}`
      t.equal((await functionsWhere(makers)).length, 3)
    },
  )

  t.test('an event means the same in every session that publishes it', async (t) => {
    const tenant = await createTenant(pool)
    const event = { tenant: tenant.key, type: 'a.b', data: 1 }
    const events = [
      { ...event, type: 'a b' },
      { ...event, data: 'a\0b' },
      { ...event, occurredAt: '2026-02-03T04:05:06' },
      { ...event, occurredAt: '03.02.2026 04:05:06' },
    ]
    const stored = new Map<string, unknown>()
    for (const settings of [
      "set datestyle = 'German'; set timezone = 'Asia/Kathmandu'",
      'set standard_conforming_strings = off',
      "set plpgsql.extra_errors = 'all'",
      'set exit_on_error = on',
      'set quote_all_identifiers = on; set array_nulls = off; set transform_null_equals = on',
      'set search_path = pg_temp; create function pg_temp.now() returns timestamptz language sql return null::timestamptz',
      'set session characteristics as transaction isolation level serializable; set row_security = off',
    ]) {
      stored.set(settings, await publishWith(t, database, settings, events))
    }
    for (const [settings, rows] of stored) {
      t.strictSame(
        rows,
        [
          { error: 'type_invalid', occurred: null },
          { error: 'data_unsupported', occurred: null },
          { error: null, occurred: '2026-02-03T04:05:06.000Z' },
          { error: null, occurred: '2026-03-02T04:05:06.000Z' },
        ],
        settings,
      )
    }
  })

  t.end()
}

/** What is stored of the events, or why not, when a producer with these settings publishes them. */
async function publishWith(
  t: Test,
  { pool, url }: TestDatabase,
  settings: string,
  events: object[],
) {
  const producer = new pg.Client({ connectionString: url })
  await producer.connect()
  t.teardown(() => producer.end())
  await producer.query(settings)
  const published = await producer.query<{ event_id: string | null; error: string | null }>(
    'select event_id, error from postrider.publish_many($1) order by ordinal',
    [JSON.stringify(events)],
  )
  const stored = await pool.query<{ id: string; occurred_at: Date }>(
    'select id, occurred_at from postrider.event where id = any ($1)',
    [published.rows.map(({ event_id }) => event_id)],
  )
  const occurred = new Map(stored.rows.map(({ id, occurred_at }) => [id, occurred_at]))
  return published.rows.map(({ event_id, error }) => ({
    error,
    occurred: occurred.get(event_id ?? '')?.toISOString() ?? null,
  }))
}
