import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { captureLog } from '../testing/log-lines.ts'
import { freeze } from '../testing/process/freeze.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { startRestartablePostgres } from '../testing/servers/restartable-postgres.ts'
import { untilAnswer, untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { isOutage } from './outage.ts'
import { createDatabase, createPool } from './pool.ts'
import { openServers } from './servers.ts'

const { url, pool } = await createTestDatabase(t)

t.test('json stays the text that was stored', async (t) => {
  const text = '{"big": 12345678901234567890, "b":1,  "b":2, "zero":1.00}'
  const { rows } = await pool.query('select $1::json as one, array[$1::json] as many', [text])
  t.same(rows, [{ one: text, many: [text] }])
})

t.test('jsonb is parsed, and bigint stays exact', async (t) => {
  const { rows } = await pool.query(`select '{"a": [1]}'::jsonb as data, 9007199254740993 as big`)
  t.same(rows, [{ data: { a: [1] }, big: '9007199254740993' }])
})

t.test('json is parsed for graphile-worker', async (t) => {
  const parsing = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'test',
    json: 'parsed',
  })
  t.teardown(() => parsing.end())
  t.same((await parsing.query(`select '{"d": 1}'::json as payload`)).rows, [{ payload: { d: 1 } }])
})

t.test('sessions have the name, the time limit and the settings that were asked for', async (t) => {
  const limited = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'the runner',
    statementTimeoutMs: 1234,
    settings: { plan_cache_mode: 'force_custom_plan' },
  })
  t.teardown(() => limited.end())
  const { rows } = await limited.query(`
    select current_setting('application_name') as name,
      current_setting('statement_timeout') as timeout,
      current_setting('plan_cache_mode') as mode`)
  t.same(rows, [{ name: 'the runner', timeout: '1234ms', mode: 'force_custom_plan' }])
})

t.test('a session that only bursts need is there for the next one, with its plans', async (t) => {
  const kept = createPool({ connectionString: url, max: 2, applicationName: 'kept' })
  t.teardown(() => kept.end())
  t.ok((kept.options.idleTimeoutMillis ?? 0) >= 60_000, 'pg itself would close it after 10 s')
})

t.test('losing idle and busy connections is reported, and the next query works', async (t) => {
  const errors: Error[] = []
  const both = Promise.withResolvers<void>()
  const onError = (error: Error) => {
    errors.push(error)
    if (errors.length === 2) both.resolve()
  }
  const fragile = createPool({ connectionString: url, max: 2, applicationName: 'fragile', onError })
  t.teardown(() => fragile.end())
  const busy = await fragile.connect()
  await fragile.query('select 1') // the second connection, idle from now on
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fragile'`,
  )
  await both.promise
  busy.release(true)
  t.equal(errors.length, 2, 'each is reported once')
  t.same((await fragile.query('select 1 as one')).rows, [{ one: 1 }])
})

t.test('a session that is ended in the middle of a statement is reported too, once', async (t) => {
  const errors: Error[] = []
  const own = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'ended',
    onError: (error) => errors.push(error),
  })
  t.teardown(() => own.end())
  const client = await own.connect()
  const closed = once(client, 'end')
  const ended = client
    .query('select pg_terminate_backend(pg_backend_pid())')
    .catch(() => client.release(true))
  await Promise.all([ended, closed])
  t.match(errors, [{ code: '57P01' }])
  t.equal(errors.length, 1)
})

t.test('a statement that fails is no loss of its session', async (t) => {
  const own = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'wrong statement',
    onError: () => t.fail('nothing was lost'),
  })
  t.teardown(() => own.end())
  await t.rejects(own.query('select nothing'), { code: '42703' })
  t.same((await own.query('select 1 as one')).rows, [{ one: 1 }])
})

t.test(
  'a server that falls silent loses all sessions, also those that had nothing to do',
  async (t) => {
    const proxy = await startPostgresProxy(t, url)
    const { promise: bothGone, resolve } = Promise.withResolvers<void>()
    const own = createPool({
      connectionString: proxy.url,
      max: 2,
      applicationName: 'silent',
      silenceMsMax: 200,
    })
    t.teardown(() => own.end())
    let gone = 0
    own.on('remove', () => ++gone === 2 && resolve())
    const clients = await Promise.all([own.connect(), own.connect()])
    const idle = clients.map((client) => once(socketOf(client), 'timeout'))
    for (const client of clients) client.release()
    await Promise.all(idle)
    proxy.hang()
    await t.rejects(own.query('select 1'), { message: /terminated/ })
    await bothGone
  },
)

t.test('an answer that came while the process was frozen is read', async (t) => {
  const own = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'frozen',
    silenceMsMax: 200,
  })
  t.teardown(() => own.end())
  const client = await own.connect()
  t.teardown(() => client.release())
  const answer = client.query('select 1 as one')
  freeze(400)
  t.same((await answer).rows, [{ one: 1 }])
})

// An API on a busy machine: its first look took too long, the next one did not, and what it needed to start was cut.
t.test('a session that is slow to begin is left alone after the server was away', async (t) => {
  const letIn = await holdLogins()
  const proxy = await startPostgresProxy(t, url)
  const looks = (count: number) =>
    untilAnswer(
      async () => proxy.connections(),
      (so) => so >= count,
    )
  proxy.hang()
  const servers = await openServers(proxy.url, captureLog().log)
  t.teardown(() => servers.stop())
  await looks(2) // nobody answered the first one in time
  const options = { connectionString: proxy.url, servers, max: 1, applicationName: 'held' }
  const own = createPool(options)
  t.teardown(() => own.end())
  const answer = own.query('select 1 as one').catch((error: unknown) => error)
  proxy.mend()
  await looks(2 + 1 + LOOKS_UNTIL_STUCK)
  await letIn()
  t.match(await answer, { rows: [{ one: 1 }] })
})

// An API or a runner on a busy machine ended as it started: with several hosts, none got more than 2 s.
t.test('one of several servers has as long to begin a session as the only one', async (t) => {
  const letIn = await holdLogins()
  const proxy = await startPostgresProxy(t, url)
  const connectionString = withSecondHost(proxy.url)
  const servers = await openServers(connectionString, captureLog().log, { lookEveryMs: 200 })
  t.teardown(() => servers.stop())
  const own = createPool({ connectionString, servers, max: 1, applicationName: 'held' })
  t.teardown(() => own.end())
  const before = proxy.connections()
  const answer = own.query('select 1 as one').catch((error: unknown) => error)
  await untilAnswer(
    async () => proxy.connections(),
    (so) => so >= before + LOOKS_IN_TWO_SECONDS,
  )
  await letIn()
  t.match(await answer, { rows: [{ one: 1 }] })
})

t.test('kysely finds the tables without naming their schema', async (t) => {
  const row = await createDatabase(pool).selectFrom('tenant').select('key').executeTakeFirst()
  t.match(row, { key: 'postrider:operator' })
})

t.test('options in the URL reach the server, and do not replace ours', async (t) => {
  const withOptions = `${url}?options=-c%20work_mem%3D7MB%20-c%20jit%3Don`
  const own = createPool({ connectionString: withOptions, max: 1, applicationName: 'test' })
  t.teardown(() => own.end())
  const { rows } = await own.query(
    `select current_setting('work_mem') as work_mem, current_setting('jit') as jit`,
  )
  t.same(rows, [{ work_mem: '7MB', jit: 'off' }])
})

t.test('a connection that cannot be set up is closed, and the next one is tried', async (t) => {
  const settings = { 'postrider.key_wait': '1ms', work_mem: 'none' }
  const wrong = createPool({ connectionString: url, max: 1, applicationName: 'wrong', settings })
  t.teardown(() => wrong.end())
  for (const _ of [1, 2]) await t.rejects(wrong.query('select 1'), { code: '22023' })
  await untilHolds(
    pool,
    `select count(*) = 0 as holds from pg_stat_activity where application_name = 'wrong'`,
    [],
  )
})

for (const pooled of [false, true]) {
  const where = pooled ? 'behind a pooler' : 'directly'
  t.test(`${where}, a standby refuses writes as an outage, whatever its role has`, async (t) => {
    const { url: standby, start, stop } = await startRestartablePostgres(t)
    const query = (text: string) => queryOnce(t, { connectionString: standby, pooled }, text)
    await query('alter role postgres set default_transaction_read_only = on')
    await query('create table public.thing ()')
    const [{ data_directory }] = await query('show data_directory')
    await stop('fast')
    await writeFile(join(data_directory, 'standby.signal'), '')
    await start()
    const refused = query('insert into public.thing default values')
    t.ok(isOutage(await refused.catch((error: unknown) => error)))
  })
}

const LOGIN_LOCK = 7
/** Five a second: after so many a connection is old enough to count as stuck, and the server still as just back. */
const LOOKS_UNTIL_STUCK = 8
/** One each 200 ms and what it takes to answer. */
const LOOKS_IN_TWO_SECONDS = 12
/** The server has answered who logs in by this name, and then goes on when the lock is free. */
const HOLD_LOGIN = `
  drop event trigger if exists hold_login;
  create or replace function public.hold_login() returns event_trigger language plpgsql as $$
  begin
    if current_setting('application_name') = 'held' then
      perform pg_advisory_lock(${LOGIN_LOCK});
    end if;
  end $$;
  create event trigger hold_login on login execute function public.hold_login();`

/** Until what it resolves with is called. */
async function holdLogins(): Promise<() => Promise<void>> {
  await pool.query(HOLD_LOGIN)
  const holder = await pool.connect()
  await holder.query('select pg_advisory_lock($1)', [LOGIN_LOCK])
  return async () => {
    await holder.query('select pg_advisory_unlock($1)', [LOGIN_LOCK])
    holder.release()
  }
}

/** Nothing listens on the second one. */
function withSecondHost(one: string): string {
  const { protocol, username, password, host, pathname } = new URL(one)
  return `${protocol}//${username}:${password}@${host},127.0.0.1:1${pathname}?target_session_attrs=read-write`
}

/** What its types leave out. */
const socketOf = (client: unknown) =>
  (client as { connection: { stream: Socket } }).connection.stream

async function queryOnce(
  t: Test,
  options: Pick<Parameters<typeof createPool>[0], 'connectionString' | 'pooled'>,
  text: string,
) {
  const once = createPool({ ...options, max: 1, applicationName: 'test' })
  t.teardown(() => once.end())
  return (await once.query(text)).rows
}
