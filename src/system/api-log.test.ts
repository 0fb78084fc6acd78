import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { runCli } from '../testing/wiring/cli.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)

/** Long enough that it comes up nowhere by chance. */
const marker = () => randomBytes(18).toString('base64url')

/** What must not be printed, by what it is. */
type Secrets = Record<string, string>

/** The secrets that are there in the text, as they are or as they look in a URL or as base64. */
function found(text: string, secrets: Secrets): string[] {
  return Object.keys(secrets).filter((name) => {
    const secret = secrets[name] ?? ''
    if (secret.length < 12) throw new Error(`${name} is too short to be looked for`)
    const shapes = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')]
    return [...shapes, JSON.stringify(secret).slice(1, -1)].some((shape) => text.includes(shape))
  })
}

/** Calls an API as the admin, or with a key; fails where the status is not the one that the case is about. */
function createClient({ url }: Service, adminKey: string) {
  return async (status: number, method: string, path: string, body?: unknown, key = adminKey) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    if (response.status !== status) throw new Error(`${method} ${path}: ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
}

t.test('a whole run prints no secret and no payload, whatever fails, at level trace', async (t) => {
  const redis = await startRedis(t)
  if (!redis) return
  const secrets: Secrets = {
    'password of the database': new URL(databaseUrl).password,
    'password of Redis': marker(),
    'password of the proxy': marker(),
    'admin key': marker(),
    'encryption key': randomBytes(32).toString('base64'),
    'header of an endpoint': marker(),
    payload: marker(),
    'payload in SQL': marker(),
    'payload that is refused': marker(),
    'payload that is no JSON': marker(),
    'answer of a receiver': marker(),
    'key that is wrong': marker(),
  }
  const secret = (name: string) => secrets[name] ?? ''
  await redis.send(`CONFIG SET requirepass ${secret('password of Redis')}`)
  const env = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url.replace('//', `//:${secret('password of Redis')}@`),
    POSTRIDER_ADMIN_KEY: secret('admin key'),
    SECRET_ENCRYPTION_KEY: secret('encryption key'),
    EGRESS_PROXY: `http://user:${secret('password of the proxy')}@127.0.0.1:9`,
    RETRY_SCHEDULE: '0.1',
    LOG_LEVEL: 'trace',
  }
  const api = await startService(t, 'api', env)
  const runner = await startService(t, 'runner', env)
  const call = createClient(api, secret('admin key'))
  const receiver = await startReceiver({
    answer: (_, n) => ({ status: n === 1 ? 500 : 200, body: secret('answer of a receiver') }),
  })
  t.teardown(() => receiver.close())

  // A tenant with everything that is secret.
  await call(201, 'PUT', '/api/tenants/acme', { name: 'Acme' })
  const { key } = await call(201, 'POST', '/api/keys', { name: 'p', scopes: ['publish'] })
  const endpoints = '/api/tenants/acme/endpoints'
  const endpoint = await call(201, 'POST', endpoints, {
    url: `${receiver.url}/`,
    headers: { authorization: `Bearer ${secret('header of an endpoint')}` },
  })
  const { client } = await makeCertificates()
  await call(200, 'PUT', `${endpoints}/${endpoint.id}/client-certificate`, {
    certificate: client.cert,
    privateKey: client.key,
  })
  const rotated = await call(200, 'POST', `${endpoints}/${endpoint.id}/secret/rotate`, {})
  secrets['API key'] = key
  secrets['secret of an endpoint'] = endpoint.secret
  secrets['newer secret of an endpoint'] = rotated.secret
  secrets['private key of an endpoint'] = client.key.split('\n')[1] ?? ''

  // Delivered after a failure, over HTTP and in SQL; refused; no JSON; with a wrong key.
  const event = { tenant: 'acme', type: 'a.b', data: { text: secret('payload') } }
  await call(202, 'POST', '/api/events', event, key)
  await call(202, 'POST', '/api/events/batch', { events: [event, event] }, key)
  await pool.query(`select postrider.publish('acme', 'a.b', $1)`, [
    JSON.stringify(secret('payload in SQL')),
  ])
  await call(422, 'POST', '/api/events', {
    ...event,
    data: `\u0000${secret('payload that is refused')}`,
  })
  await call(400, 'POST', '/api/events', `{"data": ${secret('payload that is no JSON')}`)
  await call(401, 'POST', '/api/events', event, secret('key that is wrong'))
  await receiver.received(5)

  // A secret that no key opens, a receiver that is not there, a proxy that is not there.
  const broken = await createTenant(pool)
  const unreadable = await broken.addEndpoint({ url: receiver.url })
  secrets['secret that cannot be opened'] = unreadable.secret
  await broken.publish('a.b', secret('payload'))
  await runner.line('delivery.not_sent')
  await call(201, 'POST', endpoints, { url: 'http://127.0.0.1:1/' })
  await call(202, 'POST', '/api/events', event)
  await runner.line('delivery.attempted', (line) => line['outcome'] === 'unreachable')

  // Connections that are lost, to Postgres and to Redis.
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'postrider%'`,
  )
  await api.line('database.connection_lost')
  await runner.line('database.connection_lost')
  await redis.stop()
  const last = await call(202, 'POST', '/api/events', event).catch(String)
  t.match(JSON.stringify(last), /"id"|database_unavailable/)
  await Promise.all([api.stop(), runner.stop()])

  const printed = api.printed() + runner.printed()
  t.match(printed, /"level":"debug"/, 'more than usual is logged')
  t.ok(runner.lines.filter(({ msg }) => msg === 'delivery.attempted').length >= 6)
  t.strictSame(found(printed, secrets), [])
  t.strictSame(
    found(`${printed}${Object.values(secrets).join(' ')}`, secrets),
    Object.keys(secrets),
    'it would be found',
  )
})

t.test('a process that does not start says why without its secrets', async (t) => {
  const secrets = {
    'password of the database': marker(),
    'password of Redis': marker(),
    'encryption key': marker(),
    'password of the proxy': marker(),
    'admin key': `${marker()} with blanks`,
  }
  const refused = {
    DATABASE_URL: databaseUrl.replace(
      new URL(databaseUrl).password,
      secrets['password of the database'],
    ),
    SECRET_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  }
  const invalid = {
    DATABASE_URL: `mysql://root:${secrets['password of the database']}@127.0.0.1/`,
    REDIS_URL: `http://:${secrets['password of Redis']}@127.0.0.1`,
    SECRET_ENCRYPTION_KEY: secrets['encryption key'],
    EGRESS_PROXY: `ftp://user:${secrets['password of the proxy']}@127.0.0.1`,
    POSTRIDER_ADMIN_KEY: secrets['admin key'],
  }
  for (const command of ['api', 'runner', 'migrate']) {
    for (const env of [refused, invalid]) {
      const ended = await runCli(t, [command], { env: { ...env, LOG_LEVEL: 'trace' } })
      t.equal(ended.exitCode, 78, ended.stderr)
      t.strictSame(found(ended.stdout + ended.stderr, secrets), [], command)
    }
  }
})
