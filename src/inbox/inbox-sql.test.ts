import pg from 'pg'
import t, { type Test } from 'tap'
import { untilHolds } from '../testing/until.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

const { stdout: INBOX } = await runCommand(['inbox', 'sql'])
const LEVELS = ['read uncommitted', 'read committed', 'repeatable read', 'serializable']
/** Of the receiver's role or database: none of them may change what the functions do. */
const ODD_SETTINGS = [
  "set search_path = odd, public; set datestyle = 'German, DMY'; set intervalstyle = 'sql_standard'",
  "set timezone = 'Asia/Kathmandu'; set array_nulls = off; set transform_null_equals = on",
  'set standard_conforming_strings = off; set quote_all_identifiers = on; set row_security = off',
  "set plpgsql.extra_errors = 'all'; set plpgsql.variable_conflict = 'use_variable'",
].join(';')
const SHADOWS = `
  create schema odd;
  create function odd.now() returns timestamptz language sql return '1970-01-01Z'::timestamptz;
  create function odd.length(text) returns int language sql return 0;
  create table odd.inbox (receiver text, id text, received_at timestamptz)`

onBothPostgres(t, async (t, { url, pool }) => {
  await pool.query(SHADOWS)
  const connect = connector(t, url)
  const installer = await connect()
  await installer.query(ODD_SETTINGS)
  await installer.query(INBOX)

  const receive = async (client: pg.Client, id: string): Promise<boolean> => {
    const { rows } = await client.query('select postrider_inbox.receive($1) as is_first', [id])
    return rows[0].is_first
  }
  const isWaiting = (client: pg.Client) =>
    untilHolds(pool, 'select cardinality(pg_blocking_pids($1)) > 0 as holds', [
      (client as unknown as { processID: number }).processID,
    ])

  for (const level of LEVELS) {
    t.test(`${level}: the second waits, and is first only if the first rolled back`, async (t) => {
      for (const end of ['commit', 'rollback']) {
        const id = `${level} ${end}`
        const [one, other] = [await connect(), await connect()]
        for (const client of [one, other]) {
          await client.query(ODD_SETTINGS)
          await client.query(`set default_transaction_isolation = '${level}'`)
          await client.query('begin')
          await client.query('select from pg_class limit 1') // its snapshot is from before
        }
        t.equal(await receive(one, id), true)
        t.equal(await receive(one, id), false, 'it is the second in its own transaction')
        const second = receive(other, id)
        await isWaiting(other)
        await one.query(end)
        t.equal(await second, end === 'rollback', end)
        const still = await other.query('show lock_timeout')
        t.equal(still.rows[0].lock_timeout, '0')
        await other.query('commit')
        t.equal(await receive(other, id), false, 'a third, later')
      }
    })

    t.test(`${level}: batches that hold the same events do not deadlock`, async (t) => {
      const ids = Array.from({ length: 20 }, (_, n) => `${level} batch ${n}`)
      const batches = await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          const client = await connect()
          await client.query(`set default_transaction_isolation = '${level}'`)
          const given = n % 2 ? ids : ids.toReversed()
          const { rows } = await client.query(
            'select postrider_inbox.receive_many($1) as first_ids',
            [[...given, ...given]],
          )
          t.ok(isInOrder(rows[0].first_ids, given))
          return rows[0].first_ids as string[]
        }),
      )
      t.strictSame(batches.flat().toSorted(), ids.toSorted(), 'each is first once')
    })

    t.test(`${level}: what is older than the retention is pruned by receiving`, async (t) => {
      const client = await connect()
      await client.query(`set default_transaction_isolation = '${level}'`)
      await client.query("update postrider_inbox.setting set retention = '2 days'")
      await client.query(
        `insert into postrider_inbox.inbox (receiver, id, received_at)
         select 'old', $1 || n, now() - interval '2 days 1 minute' from generate_series(1, 400) n
         union all select 'young', $1, now() - interval '1 day 23 hours'`,
        [level],
      )
      // One call in a hundred prunes: that none of so many does has a chance of 2e-9.
      await client.query(
        `select count(*) filter (where postrider_inbox.receive($1 || n, 'many'))
         from generate_series(1, 2000) n`,
        [level],
      )
      const { rows } = await client.query(
        `select receiver, count(*)::int from postrider_inbox.inbox
         where receiver in ('old', 'young') group by 1`,
      )
      t.strictSame(rows, [{ receiver: 'young', count: 1 }])
      await client.query("delete from postrider_inbox.inbox where receiver in ('many', 'young')")
    })
  }

  t.test('pruning takes so many rows and no others, next to somebody who prunes', async (t) => {
    await pool.query(
      `insert into postrider_inbox.inbox (receiver, id, received_at)
       select 'old', n, now() - interval '1 year' from generate_series(1, 20) n`,
    )
    const [one, other] = [await connect(), await connect()]
    const prune = async (client: pg.Client, max: number): Promise<number> =>
      (await client.query('select postrider_inbox.prune($1) as pruned', [max])).rows[0].pruned
    await one.query('begin')
    t.equal(await prune(one, 5), 5)
    await other.query('begin isolation level repeatable read')
    t.equal(await prune(other, 10), 10, 'rows that the first deletes are passed over')
    await one.query('commit')
    t.equal(await prune(other, 10), 0, 'a snapshot from before that is no error')
    t.equal(await receive(other, 'after pruning'), true)
    await other.query('commit')
    t.equal(await prune(other, 10), 5)
  })

  t.test('an event whose row was pruned is first again', async (t) => {
    const client = await connect()
    t.equal(await receive(client, 'pruned'), true)
    await client.query(
      "update postrider_inbox.inbox set received_at = '2000-01-01' where id = 'pruned'",
    )
    await client.query('select postrider_inbox.prune()')
    t.equal(await receive(client, 'pruned'), true)
  })

  t.test('a repeat waits no longer than lock_timeout says', async (t) => {
    const [one, other] = [await connect(), await connect()]
    await one.query('begin')
    await receive(one, 'long')
    await other.query("set lock_timeout = '10ms'")
    await t.rejects(receive(other, 'long'), { code: '55P03' })
    t.equal((await other.query('show lock_timeout')).rows[0].lock_timeout, '10ms')
    await one.query('commit')
  })

  t.test('what is no id is refused', async (t) => {
    const client = await connect()
    for (const id of ['', 'x'.repeat(256), null]) {
      await t.rejects(receive(client, id as string), { code: '22023' })
    }
    t.equal(await receive(client, 'é'.repeat(255)), true)
    const named = (receiver: string | null) =>
      client.query('select postrider_inbox.receive($1, $2)', ['a', receiver])
    for (const receiver of ['x'.repeat(256), null]) {
      await t.rejects(named(receiver), { code: '22023' })
    }
    await named('x'.repeat(255))
    await t.rejects(client.query("update postrider_inbox.setting set retention = '1 hour'"), {
      code: '23514',
    })
  })

  t.test('a role with usage of the schema receives, and touches nothing', async (t) => {
    const client = await connect()
    const role = `receiver_${process.pid}_${pool.options.database}`
    await client.query(`create role ${role}; grant usage on schema postrider_inbox to ${role}`)
    await client.query(`set role ${role}`)
    t.equal(await receive(client, 'as a role'), true)
    await t.rejects(client.query('delete from postrider_inbox.inbox'), { code: '42501' })
    await t.rejects(client.query('select from postrider_inbox.inbox'), { code: '42501' })
    await client.query(`reset role; drop owned by ${role}; drop role ${role}`)
  })

  t.test('installing it again keeps the rows and the retention', async (t) => {
    const before = await stateOf(pool)
    await installer.query(INBOX)
    t.strictSame(await stateOf(pool), before)
    t.ok(before['rows'] > 0)
    t.equal(before['retention'], '2 days')
  })
})

async function stateOf(pool: pg.Pool) {
  const { rows } = await pool.query(
    `select (select count(*)::int from postrider_inbox.inbox) as rows, retention::text
     from postrider_inbox.setting`,
  )
  return rows[0]
}

const isInOrder = (some: string[], all: string[]): boolean =>
  some.every((id, n) => n === 0 || all.indexOf(some[n - 1] ?? '') < all.indexOf(id))

function connector(t: Test, url: TestDatabase['url']) {
  return async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined) // it is cut at the end, when the database is dropped
    await client.connect()
    t.teardown(() => client.end())
    return client
  }
}
