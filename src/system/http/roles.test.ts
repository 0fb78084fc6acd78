/** A real API, logged in as a member of postrider_api and of nothing else. */
import t, { type Test } from 'tap'
import { createPool } from '../../postgres/pool.ts'
import { EXIT } from '../../terminal/exit-code.ts'
import { connect, createRolesDatabase } from '../../testing/servers/roles-server.ts'
import { serviceEnvironment } from '../../testing/wiring/cli.ts'
import { runCommand } from '../../testing/wiring/command.ts'
import { callEveryRoute, requestsTo } from '../../testing/wiring/every-route.ts'
import { type Service, startService } from '../../testing/wiring/service.ts'

t.test('on Postgres 18', (t) => conformance(t))
t.test('on Postgres 15', (t) => conformance(t, 15))

async function conformance(t: Test, major?: number) {
  const database = await createRolesDatabase(
    t,
    ['postrider_api', 'postrider_runner'],
    major ? { major } : {},
  )
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const { url, server, urls } = database
  const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
  t.teardown(() => pool.end())
  const start = (databaseUrl = urls.postrider_api, env: Record<string, string> = {}) =>
    startService(t, 'api', { ...env, DATABASE_URL: databaseUrl })

  /** In this process: it ends before it serves. */
  const startInVain = (databaseUrl: string) =>
    runCommand(['api'], { env: serviceEnvironment(databaseUrl) })

  t.test('every route works', everyRoute)

  async function everyRoute(t: Test) {
    const api = await start()
    const results = await callEveryRoute(t, api, { pool, runnerUrl: urls.postrider_runner })
    t.ok(results.length > 40)
    for (const { name, expected, status, text } of results) {
      t.equal(status, expected, `${name}: ${text.slice(0, 500)}`)
    }
    t.match(await requestsTo(api).request('GET', '/ready'), { status: 200 })
    const metrics = await requestsTo(api).request('GET', '/metrics')
    t.match(metrics.text, /^postrider_database_up 1$/m, 'it may read what it shows')
    // Once: what pages read, the routes above have read on either version.
    if (!major)
      await t.test('a person can sign in, look at pages, and sign out', (t) => consolePages(t, api))
    t.equal(await api.stop(), 0)
    t.strictSame(
      api.lines
        .filter(({ level }) => ['warn', 'error', 'fatal'].includes(level))
        .map(({ msg }) => msg),
      ['config.admin_key_short'], // the one of tests
    )
  }

  async function consolePages(t: Test, { url: apiUrl }: Service) {
    const post = (path: string, body: URLSearchParams, cookie = '') =>
      fetch(`${apiUrl}/console${path}`, {
        ...{ method: 'POST', redirect: 'manual', body },
        headers: { origin: apiUrl, cookie },
      })
    const signedIn = await post('/sign-in', new URLSearchParams({ key: 'test-admin-key' }))
    t.equal(signedIn.status, 303)
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    const show = (path: string) =>
      fetch(`${apiUrl}/console${path}`, { headers: { cookie }, redirect: 'manual' })
    const { rows } = await pool.query('select id from postrider.event order by id desc limit 1')
    const text = await (await show('')).text()
    const places = [...text.matchAll(/<a href="\/console([^"]*)"/g)].map(([, path = '']) => path)
    t.ok(places.length > 10)
    for (const path of [...new Set(places), '/doctor?check=now', `/events/${rows[0]?.id}`]) {
      const page = await show(path)
      t.equal(page.status, 200, `${path} ${page.status === 200 ? '' : await page.text()}`)
    }
    t.equal((await post('/sign-out', new URLSearchParams(), cookie)).status, 303)
  }

  t.test('SDKs of Svix can do all they do', svixOperations)

  async function svixOperations(t: Test) {
    const api = await start(urls.postrider_api, { SVIX_API: 'true' })
    let n = 0
    const call = async (method: string, path: string, body?: unknown) => {
      n += 1
      const response = await fetch(`${api.url}/api/v1${path}`, {
        method,
        headers: {
          ...{ authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
          'idempotency-key': `auto_${n}`,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      t.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
      return text === '' ? {} : JSON.parse(text)
    }
    const app = `/app/${(await call('POST', '/app', { name: 'Acme', uid: `svix-${major ?? 18}` })).id}`
    const type = `svix.type${major ?? 18}`
    await call('POST', '/event-type', { name: type, description: 'a' })
    const endpoint = `${app}/endpoint/${(await call('POST', `${app}/endpoint`, { url: 'http://127.0.0.1:9/', channels: ['a'] })).id}`
    await call('PATCH', endpoint, { disabled: true })
    await call('PATCH', endpoint, { disabled: false, eventTypes: [type] })
    await call('PUT', `${endpoint}/headers`, { headers: { 'x-a': 'b' } })
    await call('POST', `${endpoint}/secret/rotate`, {})
    const { id } = await call('POST', `${app}/msg`, {
      ...{ eventType: type, payload: { a: 1 }, channels: ['a'] },
      ...{ payloadRetentionPeriod: 30, tags: ['a'] },
    })
    const other = `${app}/endpoint/${(await call('POST', `${app}/endpoint`, { url: 'http://127.0.0.1:9/' })).id}`
    await call('POST', `${app}/msg/${id}/endpoint/${other.split('/').at(-1)}/resend`)
    await call('POST', `${endpoint}/recover`, { since: new Date(Date.now() - 60_000) })
    await call('POST', `${endpoint}/send-example`, { eventType: 'svix.ping' })
    for (const path of [
      '/app',
      app,
      `${app}/endpoint`,
      endpoint,
      `${app}/msg`,
      `${app}/msg/${id}`,
    ]) {
      await call('GET', path)
    }
    for (const path of ['secret', 'headers', 'stats', 'msg'])
      await call('GET', `${endpoint}/${path}`)
    await call('GET', `${app}/attempt/msg/${id}`)
    await call('GET', `${app}/attempt/${endpoint.slice(app.length + 1)}`)
    await call('GET', `${app}/msg/${id}/endpoint`)
    await call('POST', `/auth/app-portal-access${app.slice('/app'.length)}`, {})
    await call('DELETE', `${app}/msg/${id}/content`)
    await call('DELETE', endpoint)
    await call('DELETE', `/event-type/${type}`)
    await call('DELETE', app)
    t.equal(await api.stop(), 0)
  }

  t.test('its own rights do not reach what only runners do', async (t) => {
    const api = await connect(t, urls.postrider_api)
    for (const statement of [
      'select encrypted from postrider.endpoint_secret',
      'delete from postrider.delivery',
      `select postrider.heartbeat('a')`,
      'select postrider.reconcile()',
      'select from graphile_worker._private_jobs',
    ]) {
      await t.rejects(api.query(statement), { code: '42501' }, statement)
    }
  })

  t.test('without membership it does not start, and says what to run', async (t) => {
    const stranger = await server.login(url, 'stranger')
    t.match(await startInVain(stranger), {
      exitCode: EXIT.config,
      stderr: /DATABASE_URL is refused: .*grant connect on database/s,
    })
    await server.asAdmin('grant connect on database postrider to stranger')
    t.match(await startInVain(stranger), {
      exitCode: EXIT.failed,
      stderr:
        /role stranger lacks .*it may not become role postrider_tenant.*grant postrider_api to stranger;/s,
    })
  })

  t.test('a member that does not inherit is told apart', async (t) => {
    const login = await server.login(url, 'aloof', 'noinherit in role postrider_api')
    await server.asAdmin('grant connect on database postrider to aloof')
    const { stderr } = await startInVain(login)
    t.match(stderr, /role aloof lacks .*alter role aloof inherit;/s)
    const [statements = ''] = /alter role aloof.*;/.exec(stderr) ?? []
    await server.asAdmin(statements)
    t.equal(await (await start(login)).stop(), 0)
  })

  t.end()
}
