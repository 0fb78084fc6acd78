import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const ADMIN = 'the-admin-key-of-two-processes'

/** Real `postrider api` processes on one database, and a tenant of their own. */
async function bundle(t: Test, redisUrl?: string) {
  const tenant = await createTenant(pool)
  const env = {
    DATABASE_URL: databaseUrl,
    POSTRIDER_ADMIN_KEY: ADMIN,
    ...(redisUrl && { REDIS_URL: redisUrl }),
  }
  const startApi = () => startService(t, 'api', env)
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

const redisLines = ({ lines }: Service) =>
  lines.filter(({ msg }) => msg.startsWith('redis.')).map(({ level, msg }) => `${level} ${msg}`)

t.test('without Redis the API says off, and keys hold across processes', async (t) => {
  const { startApi, publish, countEvents } = await bundle(t)
  const [one, two] = [await startApi(), await startApi()]
  t.match(await ready(one), { status: 200, ready: true, checks: { redis: 'off' } })
  const { id, ...first } = await publish(one, 'a')
  t.match(first, { status: 202, duplicate: false })
  t.match(await publish(two, 'a'), { status: 202, id, duplicate: true })
  t.match(await publish(two, 'a', 2), { status: 422, code: 'idempotency_key_reused' })
  t.strictSame([redisLines(one), redisLines(two)], [[], []])
  t.equal(await countEvents(), 1)
})

t.test('a Redis that was never there changes no answer', async (t) => {
  const { startApi, publish, countEvents } = await bundle(t, 'redis://127.0.0.1:1')
  const api = await startApi()
  const { id } = await publish(api, 'a')
  t.match(await publish(api, 'a'), { status: 202, id, duplicate: true })
  t.match(await untilRedisIs(api, 'degraded'), { status: 200, ready: true })
  t.equal(redisLines(api).length, 1)
  t.match(redisLines(api), [/^warn /])
  t.equal(await countEvents(), 1)
  t.equal(await api.stop(), 0)
})

for (const [what, breakIt, mendIt] of [
  ['is killed and comes back empty', 'stop', 'start'],
  ['hangs', 'pause', 'resume'],
] as const) {
  t.test(`with a Redis that ${what}, keys hold across processes and restarts`, async (t) => {
    const server = await startRedis(t)
    if (!server) return
    const { startApi, publish, countEvents } = await bundle(t, server.url)
    const [one, two] = [await startApi(), await startApi()]
    t.match(await untilRedisIs(one, 'ok'), { status: 200, ready: true })
    await untilRedisIs(two, 'ok')
    const { id } = await publish(one, 'a')
    const repeats = async (api: Service, state: string) => {
      t.match(await publish(api, 'a'), { status: 202, id, duplicate: true }, state)
      t.match(await publish(api, 'a', 2), { status: 422, code: 'idempotency_key_reused' }, state)
    }
    await repeats(two, 'ok')

    await server[breakIt]()
    await repeats(one, 'at the moment it breaks')
    t.match(await untilRedisIs(one, 'degraded'), { status: 200, ready: true })
    const { id: later } = await publish(one, 'b')
    t.match(await publish(two, 'b'), { id: later, duplicate: true })
    const three = await startApi()
    await repeats(three, 'started without Redis')

    await server[mendIt]()
    t.match(await untilRedisIs(one, 'ok'), { status: 200, ready: true })
    await untilRedisIs(three, 'ok')
    await repeats(one, 'back')
    await server.send('FLUSHALL')
    await repeats(three, 'flushed')
    t.equal(await countEvents(), 2)
    // A busy machine adds changes, as 50 ms are soon over; each is told once anyway.
    const lines = redisLines(one)
    t.strictSame(lines.slice(0, 3), [
      'info redis.connected',
      'warn redis.degraded',
      'warn redis.restored',
    ])
    t.notOk(
      lines.some((line, index) => line === lines[index - 1]),
      'one line a change',
    )
    for (const api of [one, two, three]) t.equal(await api.stop(), 0)
  })
}

t.test('API_RATE_LIMIT is the limit of each key, 10,000 a second unless set', async (t) => {
  for (const [limit, policy] of [
    ['', '"default";q=10000;w=1'],
    ['3', '"default";q=3;w=1'],
    ['0', null],
  ] as const) {
    const env = { DATABASE_URL: databaseUrl, POSTRIDER_ADMIN_KEY: ADMIN, API_RATE_LIMIT: limit }
    const { url } = await startService(t, 'api', env)
    const answer = await fetch(`${url}/api/tenants`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    })
    t.equal(answer.headers.get('ratelimit-policy'), policy, `API_RATE_LIMIT=${limit}`)
  }
})
