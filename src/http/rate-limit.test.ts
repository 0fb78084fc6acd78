import t, { type Test } from 'tap'
import { createRequestLimiter } from '../limits/request-limiter.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)

/** Two requests a minute for each key: no window ends while a case runs. */
async function bundle(t: Test, url?: string) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax: 1_000 })
  t.teardown(() => redis.stop())
  if (url) await captured.logged('redis.connected')
  const requestLimiter = createRequestLimiter({ redis, limit: 2, windowSeconds: 60 })
  const api = createTestApi(pool, { requestLimiter })
  const list = (key: string | null) => api.request('GET', '/api/tenants', { key })
  const newKey = async (scopes: ['read'] | ['publish'] = ['read']) =>
    (await api.apiKeys.issue({ name: 'a key', scopes })).key
  return { ...api, ...captured, list, newKey }
}

const status = (answer: { status: number }) => answer.status

t.test('every answer says what is left; 429 when nothing is', async (t) => {
  const { list, newKey } = await bundle(t)
  const key = await newKey()
  const answers = [await list(key), await list(key), await list(key)]
  t.strictSame(answers.map(status), [200, 200, 429])
  t.strictSame(
    answers.map(({ headers }) => headers.get('ratelimit-policy')),
    Array(3).fill('"default";q=2;w=60'),
  )
  for (const [index, left] of [1, 0, 0].entries()) {
    t.match(answers[index]?.headers.get('ratelimit'), new RegExp(`^"default";r=${left};t=\\d+$`))
  }
  const [, , refused] = answers
  t.match(refused?.json, {
    code: 'rate_limited',
    detail: 'At most 2 requests per 60 seconds with one API key.',
  })
  const wait = Number(refused?.headers.get('retry-after'))
  t.ok(wait > 50 && wait <= 60)
  t.equal(refused?.headers.get('ratelimit'), `"default";r=0;t=${wait}`)
})

t.test('refusals count and have the headers too', async (t) => {
  const { request, newKey } = await bundle(t)
  const key = await newKey(['publish'])
  const answers = [
    await request('GET', '/api/tenants', { key }),
    await request('POST', '/api/events', { key, body: '{' }),
    await request('POST', '/api/events', { key, body: '{' }),
  ]
  t.strictSame(answers.map(status), [403, 400, 429])
  for (const { headers } of answers) t.match(headers.get('ratelimit'), /^"default";r=[01];t=\d+$/)
})

t.test('each key has its own limit, the bootstrap admin key too', async (t) => {
  const { list, newKey } = await bundle(t)
  const other = await newKey()
  for (const key of [ADMIN_KEY, await newKey()]) {
    t.strictSame([await list(key), await list(key), await list(key)].map(status), [200, 200, 429])
  }
  t.equal((await list(other)).status, 200)
})

t.test('without a valid key nothing is counted', async (t) => {
  const { list, request } = await bundle(t)
  for (const key of [null, 'unknown', 'unknown', 'unknown']) {
    const answer = await list(key)
    t.equal(answer.status, 401)
    t.equal(answer.headers.get('ratelimit'), null)
  }
  for (const _ of [1, 2, 3]) t.equal((await request('GET', '/live')).status, 200)
})

t.test('two processes share the limit through Redis, and each has its own without', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await bundle(t, server.url), await bundle(t, server.url)]
  const key = await one.newKey()
  const answers = [
    await one.list(key),
    await two.list(key),
    await one.list(key),
    await two.list(key),
  ]
  t.strictSame(answers.map(status), [200, 200, 429, 429])
  await server.stop()
  const other = await one.newKey()
  const alone = [await one.list(other), await two.list(other), await one.list(other)]
  t.strictSame(alone.map(status), [200, 200, 200])
  t.equal((await one.list(other)).status, 429)
})

t.test('no limit, no headers', async (t) => {
  const { request } = createTestApi(pool)
  const { headers } = await request('GET', '/api/tenants')
  t.equal(headers.get('ratelimit'), null)
  t.equal(headers.get('ratelimit-policy'), null)
})
