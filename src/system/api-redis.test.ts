import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const ADMIN = 'the-admin-key-of-two-processes'

/** Real `postrider api` processes on one database, and a tenant for them. */
async function bundle(t: Test, redisUrl?: string) {
  const tenant = await createTenant(pool)
  const env = {
    DATABASE_URL: databaseUrl,
    POSTRIDER_ADMIN_KEY: ADMIN,
    ...(redisUrl && { REDIS_URL: redisUrl }),
  }
  const startApi = (more = {}) => startService(t, 'api', { ...env, ...more })
  const publish = async ({ url }: Service, key: string, data: unknown = 1) => {
    const response = await fetch(`${url}/api/events`, {
      method: 'POST',
      body: JSON.stringify({ tenant: tenant.key, type: 'invoice.paid', data }),
      headers: {
        authorization: `Bearer ${ADMIN}`,
        'content-type': 'application/json',
        'idempotency-key': key,
      },
    })
    const answer = (await response.json()) as { id?: string; duplicate?: boolean; code?: string }
    return { status: response.status, ...answer }
  }
  const countEvents = async () => {
    const text = 'select count(*)::int as events from postrider.event where tenant_id = $1'
    return (await pool.query(text, [tenant.id])).rows[0].events
  }
  return { startApi, publish, countEvents }
}

async function ready({ url }: Service) {
  const response = await fetch(`${url}/ready`)
  return { status: response.status, ...((await response.json()) as object) }
}

/** Answers ask Redis, so each one moves the state on. */
async function untilRedisIs(service: Service, redis: string) {
  const ask = async () => {
    await fetch(`${service.url}/api/tenants`, { headers: { authorization: `Bearer ${ADMIN}` } })
    return await ready(service)
  }
  return await untilAnswer(ask, (answer) => JSON.stringify(answer).includes(`"redis":"${redis}"`))
}

/** What a process has told of Redis. */
const redisLines = ({ lines }: Service) =>
  lines.filter(({ msg }) => msg.startsWith('redis.')).map(({ level, msg }) => `${level} ${msg}`)

const CHANGES: Record<string, 'there' | 'away'> = {
  'info redis.connected': 'there',
  'warn redis.restored': 'there',
  'warn redis.degraded': 'away',
}

/**
 * Each change is told once. How many there are is up to the machine: what takes longer than 50 ms counts as away, from
 * the first connection on.
 */
function assertChangesAreTold(t: Test, service: Service): void {
  const changes = redisLines(service).map((line) => CHANGES[line] ?? line)
  const expected = changes.map((_, i) =>
    i % 2 === (changes[0] === 'there' ? 0 : 1) ? 'there' : 'away',
  )
  t.strictSame(changes, expected)
  const connected = redisLines(service).lastIndexOf('info redis.connected')
  t.ok(connected <= 0, 'it is connected once, and restored from then on')
}

const policyOf = async ({ url }: Service) =>
  (
    await fetch(`${url}/api/tenants`, { headers: { authorization: `Bearer ${ADMIN}` } })
  ).headers.get('ratelimit-policy')

t.test('without Redis the API says off, and keys hold across processes', async (t) => {
  const { startApi, publish, countEvents } = await bundle(t)
  const [one, two] = await Promise.all([startApi(), startApi({ API_RATE_LIMIT: '30' })])
  t.match(await ready(one), { status: 200, ready: true, checks: { redis: 'off' } })
  const { id, ...first } = await publish(one, 'a')
  t.match(first, { status: 202, duplicate: false })
  t.match(await publish(two, 'a'), { status: 202, id, duplicate: true })
  t.match(await publish(two, 'a', 2), { status: 422, code: 'idempotency_key_reused' })
  t.strictSame([redisLines(one), redisLines(two)], [[], []])
  t.equal(await countEvents(), 1)

  t.equal(await policyOf(one), '"default";q=10000;w=1', 'the limit of each key, unless set')
  t.equal(await policyOf(two), '"default";q=30;w=1', 'API_RATE_LIMIT=30')
})

t.test('a Redis that was never there changes no answer', async (t) => {
  const { startApi, publish, countEvents } = await bundle(t, 'redis://127.0.0.1:1')
  const api = await startApi({ API_RATE_LIMIT: '0' })
  const { id } = await publish(api, 'a')
  t.match(await publish(api, 'a'), { status: 202, id, duplicate: true })
  t.match(await untilRedisIs(api, 'degraded'), { status: 200, ready: true })
  t.equal(await countEvents(), 1)
  t.equal(await policyOf(api), null, 'API_RATE_LIMIT=0')
  t.equal(await api.stop(), 0)
  t.strictSame(redisLines(api), ['warn redis.degraded'])
})

t.test('whatever happens to Redis, keys hold across processes and restarts', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { startApi, publish, countEvents } = await bundle(t, server.url)
  const [one, two] = await Promise.all([startApi(), startApi()])
  t.match(await untilRedisIs(one, 'ok'), { status: 200, ready: true })
  await untilRedisIs(two, 'ok')
  const { id } = await publish(one, 'a')
  const repeats = async (api: Service, state: string) => {
    t.match(await publish(api, 'a'), { status: 202, id, duplicate: true }, state)
    t.match(await publish(api, 'a', 2), { status: 422, code: 'idempotency_key_reused' }, state)
  }
  await repeats(two, 'ok')

  await server.pause()
  await repeats(one, 'at the moment it hangs')
  t.match(await untilRedisIs(one, 'degraded'), { status: 200, ready: true })
  const { id: later } = await publish(one, 'b')
  t.match(await publish(two, 'b'), { id: later, duplicate: true })
  const three = await startApi()
  await repeats(three, 'started while it hangs')

  await server.resume()
  for (const api of [one, two, three]) {
    t.match(await untilRedisIs(api, 'ok'), { status: 200, ready: true })
  }
  await repeats(one, 'back')

  await server.stop()
  await repeats(one, 'at the moment it is killed')
  t.match(await untilRedisIs(one, 'degraded'), { status: 200, ready: true })
  await repeats(two, 'killed')
  const { id: last } = await publish(one, 'c')
  t.match(await publish(two, 'c'), { id: last, duplicate: true })

  await server.start()
  for (const api of [one, two, three]) await untilRedisIs(api, 'ok')
  await repeats(one, 'back and empty')
  await server.send('FLUSHALL')
  await repeats(three, 'flushed')
  t.equal(await countEvents(), 3)
  const apis = [one, two, three]
  t.strictSame(await Promise.all(apis.map((api) => api.stop())), [0, 0, 0])
  for (const api of apis) assertChangesAreTold(t, api)
  for (const line of ['warn redis.degraded', 'warn redis.restored']) {
    t.ok(redisLines(one).includes(line), line)
  }
})
