import t from 'tap'
import { isLong } from '../testing/long.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

/** An API and a runner, and what each answers to a probe. */
async function bundle(t: Parameters<typeof startService>[0], databaseUrl = url) {
  const env = { DATABASE_URL: databaseUrl }
  const api = await startService(t, 'api', env)
  const runner = await startService(t, 'runner', env)
  const bases = [api.url, String((await runner.line('runner.probed'))['url'])]
  const probe = (path: string) =>
    Promise.all(
      bases.map(async (base) => {
        const response = await fetch(base + path)
        return { status: response.status, ...((await response.json()) as object) }
      }),
    )
  /** Resolves with the answers of both once both have this status. */
  const until = (wanted: number) =>
    untilAnswer(
      () => probe('/ready'),
      (answers) => answers.every(({ status }) => status === wanted),
    )
  return { api, runner, probe, until }
}

if (isLong)
  t.test('processes say when the schema is not theirs, and when it is again', async (t) => {
    const { api, runner, probe, until } = await bundle(t)
    t.match(await until(200), [
      { status: 200, checks: { database: 'reachable', schema: 'current' } },
      { status: 200, checks: { database: 'reachable', schema: 'current', listening: 'yes' } },
    ])
    await pool.query(
      `insert into postrider.migration (name, checksum, breaking) values ('999999_of_a_newer_one.sql', 'x', true)`,
    )
    const notTheirs = {
      status: 503,
      ready: false,
      checks: { database: 'reachable', schema: 'not the one of this program' },
    }
    t.match(await probe('/ready'), [notTheirs, notTheirs])
    t.match(await probe('/live'), [{ status: 'ok' }, { status: 'ok' }])
    await pool.query(`delete from postrider.migration where name like '999999%'`)
    t.match(await probe('/ready'), [{ status: 200 }, { status: 200 }])
    t.strictSame(await Promise.all([api.stop(), runner.stop()]), [0, 0])
  })

t.test(
  'processes live without their database, are not ready, and become so by themselves',
  async (t) => {
    const proxy = await startPostgresProxy(t, url)
    const { api, runner, probe, until } = await bundle(t, proxy.url)
    t.match(await until(200), [{ ready: true }, { ready: true }])
    proxy.cut()
    await runner.line('runner.presence_lost')
    await runner.line('runner.listen_failed')
    t.match(await until(503), [
      { ready: false, checks: { database: 'unreachable' } },
      {
        ready: false,
        checks: { database: 'unreachable', registered: 'cut off', listening: 'no' },
      },
    ])
    t.match(await probe('/live'), [{ status: 'ok' }, { status: 'ok' }])
    // Until each has tried some times: what says a line for each try has said it by then.
    const triedBefore = proxy.connections()
    await untilAnswer(
      async () => proxy.connections(),
      (tried) => tried > triedBefore + 30,
    )
    proxy.mend()
    t.match(await until(200), [
      { ready: true },
      { checks: { registered: 'yes', listening: 'yes' } },
    ])
    const said = [...api.lines, ...runner.lines].filter(({ level }) => level === 'warn')
    const counts = Object.values(Object.groupBy(said, ({ msg, detail }) => `${msg} ${detail}`))
    // To listen is tried again by us: graphile-worker, which has failed once, would wait longer with each time.
    t.ok(
      counts.every(
        (lines) => lines?.length === 1 || lines?.[0]?.msg === 'database.connection_lost',
      ),
      'each line once an outage',
    )
    t.notOk(
      said.some(({ msg }) => /^(queue|events|reconciler|retention)\./.test(msg)),
      'and none for each duty',
    )
    t.strictSame(await Promise.all([api.stop(), runner.stop()]), [0, 0])
  },
)
