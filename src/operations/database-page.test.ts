import t from 'tap'
import { createTableRoles } from '../testing/data/table-roles.ts'
import { createWork } from '../testing/data/work.ts'
import { createWorld } from '../testing/data/world.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { sizeOf, warningsIn } from './database.pages.tsx'

const { pool } = await createTestDatabase(t)

t.test('sizes are written as people write them', async (t) => {
  const sizes = [0, 1, 1_023, 1_024, 1_536, 10 * 1_024, 1_048_576, 5e9, 3e15].map(sizeOf)
  t.strictSame(sizes, [
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KB',
    '1.5 KB',
    '10 KB',
    '1.0 MB',
    '4.7 GB',
    '2728 TB',
  ])
})

// Issue 18: sizes, partitions, retention and what holds vacuum back were SQL by hand.
t.test('the page of the database has sizes, days, holders and connections', async (t) => {
  const { get, signedIn, apiKeys, logged } = await createTestConsole(pool)
  const { key } = await apiKeys.issue({ name: 'looks', scopes: ['read'] })
  const holder = await pool.connect()
  t.teardown(() => holder.release(true))
  await holder.query(`set application_name = 'a report of last night'`)
  await holder.query('begin isolation level repeatable read')
  await holder.query('select 1')
  const { status, text } = await get('/console/database', { cookie: await signedIn(key) })
  t.equal(status, 200)
  t.match(text, /\d+ of \d+ connections in use/)
  t.match(text, /ready until \d{4}-\d\d-\d\d/)
  for (const table of ['event', 'delivery', 'attempt'])
    t.match(text, `<code>postrider.${table}</code>`)
  t.match(text, new Date().toISOString().slice(0, 10))
  t.match(text, 'a report of last night')
  t.match(text, 'idle in transaction')
  t.notMatch(text, 'A transaction has been open')
  t.strictSame(logged, [])
})

t.test('a day that retention drops says so', async (t) => {
  const { get, signedIn } = await createTestConsole(pool)
  const cookie = await signedIn()
  const { rows } = await pool.query<{ day: string }>(
    `select ((now() at time zone 'UTC')::date - 40)::text as day,
       postrider.create_partition(parent, (now() at time zone 'UTC')::date - 40)
     from unnest(array['event', 'delivery', 'attempt']) as parent`,
  )
  const { text } = await get('/console/database', { cookie })
  t.match(text, new RegExp(`${rows[0]?.day}[\\s\\S]*Drops it with the next run`))
})

t.test('a slot that nobody reads is a warning, though no transaction is open', async (t) => {
  const slot = { kind: 'slot', who: 'left_behind', detail: 'physical', state: 'inactive' }
  const report = { connections: 1, connectionsMax: 100, readyUntil: '9999-01-01', notifyQueue: 0 }
  const warningsAt = (age: number) =>
    warningsIn({ ...report, holders: [{ ...slot, age, openSeconds: null }] })
  t.strictSame(warningsAt(1_000), [])
  t.match(warningsAt(2_000_000), [/slot left_behind .* 2,000,000 transactions/])
})

t.test('a table that lacks the partition of tomorrow is a warning', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { get, signedIn } = await createTestConsole(pool)
  const ahead = `select name from postrider.partition
    where parent = 'attempt' and day > (now() at time zone 'UTC')::date`
  const { rows } = await pool.query<{ name: string }>(ahead)
  for (const { name } of rows) await pool.query(`drop table postrider.${name}`)
  const { text } = await get('/console/database', { cookie: await signedIn() })
  t.match(text, 'No partition is ready for tomorrow')
})

t.test('what retention does is left out where it takes too long to find out', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { get, signedIn } = await createTestConsole(pool)
  await pool.query(`create or replace function postrider.retention_plan(retention_days int)
    returns table (day date, verdict text, reason text, attached boolean, bytes bigint)
    language sql stable as 'select null::date, pg_sleep(60)::text, null, null::boolean, null::bigint'`)
  const { status, text } = await get('/console/database', { cookie: await signedIn() })
  t.equal(status, 200)
  t.match(text, 'The retention plan took too long to read.')
  t.match(text, new Date().toISOString().slice(0, 10))
  t.notMatch(text, 'Younger than the retention')
})

t.test('what the sessions of others do is left open where nobody lets us see it', async (t) => {
  const database = await createTestDatabase(t)
  const { names } = await createTableRoles(t, database)
  const { get, signedIn } = await createTestConsole(database.pool)
  await database.pool.query(`alter function postrider.client_sessions() owner to ${names.plain}`)
  const { text } = await get('/console/database', { cookie: await signedIn() })
  const cells = (...values: string[]) =>
    values.map((value) => `${value}</td>`).join('\\s*<td[^>]*>')
  t.match(text, new RegExp(cells(`<td>${database.name}`, '\\d+', '–', '–')))
})

t.test('sessions of other databases hold back nothing here', async (t) => {
  const { pool: other } = await createTestDatabase(t)
  const client = await other.connect()
  t.teardown(() => client.release(true))
  await client.query('begin isolation level repeatable read')
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const held = `select pid from postrider.snapshot_holders() where pid = ${rows[0]?.pid}`
  t.strictSame((await pool.query(held)).rows, [])
})

t.test(
  'a transaction that has written holds vacuum back while it waits, a VACUUM does not',
  async (t) => {
    const { pool } = await createTestDatabase(t)
    const [writer, vacuum] = [await pool.connect(), await pool.connect()]
    t.teardown(() => {
      for (const client of [writer, vacuum]) client.release(true)
    })
    const pidOf = async (client: typeof writer) =>
      (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0
    const [writes, vacuums] = [await pidOf(writer), await pidOf(vacuum)]
    await writer.query('begin')
    await writer.query('select pg_current_xact_id()')
    await vacuum.query(
      `create table public.large as select repeat('x', 1000) from generate_series(1, 1000)`,
    )
    await vacuum.query('set vacuum_cost_limit = 1; set vacuum_cost_delay = 100')
    const vacuumed = t.rejects(vacuum.query('vacuum public.large'), { code: '57014' })
    await untilHolds(
      pool,
      `select exists (
       select from pg_stat_activity a join pg_stat_progress_vacuum v on v.pid = a.pid
       where a.pid = $1 and a.backend_xmin is not null) as holds`,
      [vacuums],
    )
    const { rows } = await pool.query<{ who: string }>('select who from postrider.xmin_holder')
    const holders = rows.map(({ who }) => Number(who))
    t.ok(holders.includes(writes))
    t.notOk(holders.includes(vacuums))
    await pool.query('select pg_cancel_backend($1)', [vacuums])
    await vacuumed
  },
)

t.test('what the doctor has found leads to its page', async (t) => {
  const { get, signedIn } = await createTestConsole(pool)
  const { ids } = await createWorld(pool, { incident: false })
  const delivery = ids['deliveries'] ?? ''
  await pool.query(`delete from graphile_worker._private_jobs where key = 'd:' || $1`, [delivery])
  const { text } = await get('/console/doctor?check=now', { cookie: await signedIn() })
  t.match(text, 'open_without_job')
  t.match(text, `href="/console/deliveries/${delivery}"`)
})

t.test('a line that is stuck leads to the keys of its endpoint', async (t) => {
  const { get, signedIn } = await createTestConsole(pool)
  const work = await createWork(pool, { ordering: 'key' })
  await work.publishInOrder('a', 'a')
  await pool.query(
    `update postrider.ordering_line set delivery_id = null, moved_at = now() - interval '1 hour' where endpoint_id = $1`,
    [work.endpoint.id],
  )
  const cookie = await signedIn()
  const { text } = await get('/console/doctor?check=now', { cookie })
  const page = `/console/endpoints/${work.endpoint.id}/keys`
  t.match(text, /line_stuck/)
  t.match(text, `href="${page}"`)
  t.equal((await get(page, { cookie })).status, 200)
})
