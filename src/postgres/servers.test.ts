import pg from 'pg'
import t, { type Test } from 'tap'
import { captureLog } from '../testing/log-lines.ts'
import { missing } from '../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../testing/servers/pgbouncer.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { startRestartablePostgres } from '../testing/servers/restartable-postgres.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { openServers, urlOfOne } from './servers.ts'

const { url } = await createTestDatabase(t)

/** As one of several hosts: it has to be found out whether it is the primary. */
const sought = (of: string, changed: { password?: string; pathname?: string } = {}) =>
  Object.assign(new URL(`${of}?target_session_attrs=primary`), changed).href

async function open(t: Test, connectionString: string, startMs?: number) {
  const servers = await openServers(connectionString, captureLog().log, {
    ...(startMs !== undefined && { startMs }),
  })
  t.teardown(() => servers.stop())
  return servers
}

/** How often it was asked at least, as long as nobody was answered. */
const QUESTIONS_IN_VAIN = 4

// On a machine that was busy with other work three questions of a second each found nobody, and the process ended with 75.
t.test('a server that is slow to answer is waited for at the start', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  proxy.hang()
  const opened = open(t, sought(proxy.url))
  const asked = untilAnswer(
    async () => proxy.connections(),
    (count) => count >= QUESTIONS_IN_VAIN,
  )
  await Promise.race([opened, asked])
  proxy.mend()
  t.match((await opened).inUse(), { name: new URL(proxy.url).host })
})

t.test('so is one that a command needs', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  proxy.hang()
  const found = urlOfOne(sought(proxy.url))
  const asked = untilAnswer(
    async () => proxy.connections(),
    (count) => count >= QUESTIONS_IN_VAIN,
  )
  await Promise.race([found, asked])
  proxy.mend()
  t.equal(new URL(await found).host, new URL(proxy.url).host)
})

t.test('one that never answers is given up when the time to start is over', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  proxy.hang()
  const given = open(t, sought(proxy.url), 1)
  await t.rejects(given, { code: '25006', message: /does not answer/ })
})

t.test('one that nothing listens at is given up then as well', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  proxy.cut()
  await t.rejects(open(t, sought(proxy.url), 1), { code: '25006' })
})

t.test('a database that refuses is not asked again', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  await t.rejects(open(t, sought(proxy.url, { pathname: '/nowhere' })), { code: '3D000' })
  t.equal(proxy.connections(), 1)
})

/** As many looks would leave a session each. */
const LOOKS = 8
/** The one that is under way, and one that is just ending; another for a busy machine. */
const WAITING_MAX = 3

// A session that waits for a lock as it begins does not notice that nobody listens any more. The looks of one process
// filled max_connections within a minute.
t.test('looks leave no sessions behind where new ones wait for a lock', async (t) => {
  const postgres = await startRestartablePostgres(t)
  const proxy = await startPostgresProxy(t, postgres.url)
  await open(t, proxy.url)
  const locker = new pg.Client(postgres.url)
  await locker.connect()
  t.teardown(() => locker.end())
  await locker.query('begin; lock table pg_catalog.pg_db_role_setting in access exclusive mode')
  const before = proxy.connections()
  await untilAnswer(
    async () => proxy.connections() - before,
    (looks) => looks > LOOKS,
  )
  const { rows } = await locker.query<{ count: number }>(
    'select count(distinct pid)::int from pg_catalog.pg_locks where not granted',
  )
  const waiting = rows[0]?.count ?? 0
  t.ok(waiting <= WAITING_MAX, `${waiting} wait`)
})

t.test(
  'looks are answered behind PgBouncer, which refuses settings of a session',
  { skip: missing(PGBOUNCER) ?? false },
  async (t) => {
    const proxy = await startPostgresProxy(t, (await startPgBouncer(t, url)) ?? '')
    const servers = await open(t, proxy.url)
    const back = new Promise<void>((resolve) => servers.onBack(resolve))
    proxy.cut()
    const before = proxy.connections()
    await untilAnswer(
      async () => proxy.connections(),
      (count) => count > before,
    )
    proxy.mend()
    await t.resolves(back)
  },
)
