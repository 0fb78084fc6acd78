/**
 * A database of the first release, with work in every state, is upgraded while producers publish. As long as there
 * is no later release the upgrade replaces every function, which is what most releases do.
 */

import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { findViolations } from '../../operations/violations.ts'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant, type TestTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { startRolesServer } from '../../testing/servers/roles-server.ts'
import { withAdmin } from '../../testing/servers/template.ts'
import { untilHolds } from '../../testing/until.ts'
import { createFolder } from '../../testing/wiring/cli.ts'
import { startService } from '../../testing/wiring/service.ts'
import { createPool } from '../pool.ts'
import { assertSchema, migrate } from './migrate.ts'
import { readSqlFiles } from './sql-files.ts'

const LAST_OF_FIRST_RELEASE = '000007_tasks.sql'
const SQL = join(import.meta.dirname, '../../../sql')
const PRODUCERS = 4
/** Each, before the upgrade begins and after it has ended. */
const EVENTS_EACH = 25
/** Deliveries that were done when the upgrade came. */
const DONE = 20
/** Those that were cut off by the stop of the old runners. */
const CUT_OFF = 5

t.test('on Postgres 18', (t) => conformance(t))
t.test('on Postgres 15', (t) => conformance(t, 15))

async function conformance(t: Test, major?: number) {
  const server = await startRolesServer(t, major ? { major } : {})
  if (!server) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const url = await server.createDatabase('upgraded')
  await migrate(url, { sqlFolder: await firstRelease(t) })
  const pool = createPool({ connectionString: url, max: PRODUCERS + 2, applicationName: 'test' })
  t.teardown(() => pool.end())
  await using receiver = await startReceiver()
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const done = await finishSome(tenant)
  const cutOff = await cutOffSome(tenant)
  await pool.query('create table public.invoice (id int primary key, account text)')
  await pool.query(`select postrider.attach('public.invoice', type => 'row', tenant => 'account')`)

  const producers = startProducers(tenant)
  await producers.published(PRODUCERS * EVENTS_EACH)
  const { applied } = await migrate(url)
  await assertSchema(pool)
  const before = producers.accepted.length
  await producers.published(before + PRODUCERS * EVENTS_EACH)
  const accepted = await producers.stop()
  t.strictSame(producers.failed, [], 'no producer was refused anything')
  await pool.query('insert into public.invoice values (1, $1)', [tenant.key])
  const { rows: ofTable } = await pool.query(
    `select id from postrider.event where type = 'row.created'`,
  )
  t.equal(ofTable.length, 1, 'an attached table goes on publishing')
  accepted.push(ofTable[0]?.id)
  const { migrations } = await readSqlFiles()
  t.strictSame(
    applied.filter((name) => /^\d{6}_/.test(name)),
    migrations.map(({ name }) => name).filter((name) => name > LAST_OF_FIRST_RELEASE),
    'all later migrations',
  )
  t.ok(applied.includes('events/publish.sql'), 'and the functions')
  t.strictSame((await migrate(url)).applied, [])

  const fresh = await server.createDatabase('fresh')
  await migrate(fresh)
  t.strictSame(await shapeOf(url), await shapeOf(fresh), 'nothing is left of the old schema')

  const runner = await startService(t, 'runner', { DATABASE_URL: url, RETRY_SCHEDULE: '1' })
  await receiver.received(accepted.length + cutOff.length)
  await settled()
  const sent = receiver.requests.map(({ headers }) => String(headers['webhook-id']))
  t.strictSame(
    new Set(sent),
    new Set([...accepted, ...cutOff]),
    'all of it, and nothing that was done',
  )
  t.equal(sent.length, new Set(sent).size, 'once')
  const { rows } = await pool.query(
    `select outcome, count(*)::int from postrider.attempt
     where delivery_id in (select id from postrider.delivery where event_id = any ($1)) group by 1 order by 1`,
    [[...cutOff, ...done]],
  )
  t.strictSame(
    rows,
    [
      { outcome: 'abandoned', count: CUT_OFF },
      { outcome: 'delivered', count: CUT_OFF + DONE },
    ],
    'what was cut off is in the log as that',
  )
  t.strictSame(await findViolations(pool), [])
  t.equal(await runner.stop(), 0)

  /** Deliveries as the functions of then left them, when they were finished. */
  async function finishSome({ publish }: TestTenant): Promise<string[]> {
    const ids: string[] = []
    for (let n = 0; n < DONE; n++) ids.push(await publish('a.done'))
    await attempt(ids, 'delivered')
    await pool.query(
      `update postrider.delivery set state = 'delivered', finished_at = now(), next_attempt_at = null,
         attempt_count = 1, due_attempt = 2 where event_id = any ($1)`,
      [ids],
    )
    await pool.query(
      `select graphile_worker.remove_job('d:' || id) from postrider.delivery where event_id = any ($1)`,
      [ids],
    )
    return ids
  }

  /** The runner of then was killed: its attempts are started, its deliveries claimed, its jobs locked. */
  async function cutOffSome({ publish }: TestTenant): Promise<string[]> {
    const ids: string[] = []
    for (let n = 0; n < CUT_OFF; n++) ids.push(await publish('a.cut_off'))
    await pool.query(`insert into postrider.runner (id, host, pid) values ('of-then', 'host', 1)`)
    await attempt(ids, 'started')
    await pool.query(
      `update postrider.delivery d set state = 'delivering', attempt_count = 1,
         claim = (select a.id from postrider.attempt a where a.delivery_id = d.id)
       where event_id = any ($1)`,
      [ids],
    )
    await pool.query(
      `update graphile_worker._private_jobs set locked_by = 'of-then', locked_at = now(), attempts = 1
       where key in (select 'd:' || id from postrider.delivery where event_id = any ($1))`,
      [ids],
    )
    return ids
  }

  async function attempt(eventIds: string[], outcome: string) {
    await pool.query(
      `insert into postrider.attempt (tenant_id, delivery_id, endpoint_id, number, trigger, outcome, runner, finished_at)
       select tenant_id, id, endpoint_id, 1, 'schedule', $2, 'of-then', case when $2 <> 'started' then now() end
       from postrider.delivery where event_id = any ($1)`,
      [eventIds, outcome],
    )
  }

  /** Resolves when no delivery is open. */
  function settled() {
    return untilHolds(
      pool,
      'select count(*) = 0 as holds from postrider.delivery where finished_at is null',
    )
  }
}

/** Every function, table, column, constraint and index, partitions left out. */
async function shapeOf(url: string): Promise<string[]> {
  const { rows } = await withAdmin(url, (admin) =>
    admin.query<{ name: string }>(`
      with own as (
        select c.* from pg_class c
        where c.relnamespace = 'postrider'::regnamespace and c.relname !~ '_\\d{8}'
      )
      select p.oid::regprocedure || ' ' || pg_get_function_result(p.oid) as name from pg_proc p
      where p.pronamespace = 'postrider'::regnamespace
      union all
      select format('%s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
      from own c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      union all
      select format('%s: %s', c.relname, pg_get_constraintdef(k.oid))
      from own c join pg_constraint k on k.conrelid = c.oid
      order by 1`),
  )
  return rows.map(({ name }) => name)
}

/** A folder like sql/, as it was then; each function differs by a line, so that it is replaced. */
async function firstRelease(t: Test): Promise<URL> {
  const folder = createFolder(t)
  cpSync(SQL, folder, { recursive: true })
  const { migrations, functions } = await readSqlFiles()
  for (const { name } of migrations.filter(({ name }) => name > LAST_OF_FIRST_RELEASE)) {
    rmSync(join(folder, 'migrations', name))
  }
  for (const { name, sql } of functions) {
    writeFileSync(join(folder, 'functions', name), `${sql}\n-- as it was then\n`)
  }
  return pathToFileURL(`${folder}/`)
}

/** Publish without a pause, one event a transaction, until they are stopped. */
function startProducers({ publish }: TestTenant) {
  const accepted: string[] = []
  const failed: unknown[] = []
  const stopping = new AbortController()
  let more = Promise.withResolvers<void>()
  const produce = async () => {
    while (!stopping.signal.aborted) {
      await publish('a.b').then(
        (id) => accepted.push(id),
        (error: unknown) => failed.push(error),
      )
      more.resolve()
      more = Promise.withResolvers()
    }
  }
  const producing = Promise.all(Array.from({ length: PRODUCERS }, produce))
  return {
    accepted,
    failed,
    /** Resolves once so many were accepted. */
    async published(count: number) {
      while (accepted.length < count && failed.length === 0) await more.promise
    },
    async stop() {
      stopping.abort()
      await producing
      return accepted
    },
  }
}
