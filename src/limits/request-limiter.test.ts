import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ApiKeyId } from '../ids.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { createRequestLimiter, type RequestLimiter } from './request-limiter.ts'

/** One that no other case uses. */
const newKey = () => randomUUID() as ApiKeyId

async function start(t: Test, url: string | undefined, { commandMsMax = 5_000, limit = 3 } = {}) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax })
  t.teardown(() => redis.stop())
  if (url) await captured.logged('redis.connected')
  return { redis, limiter: createRequestLimiter({ redis, limit, windowSeconds: 60 }), ...captured }
}

async function consume(limiter: RequestLimiter, key: ApiKeyId, count: number) {
  const consumed = []
  for (let n = 0; n < count; n += 1) consumed.push(await limiter.consume(key))
  return consumed
}
const allowed = (consumed: Awaited<ReturnType<typeof consume>>) =>
  consumed.map(({ allowed }) => allowed)

/** What holds whether the requests are counted in Redis or here. */
function conformance(t: Test, make: (t: Test) => ReturnType<typeof start>): void {
  t.test('allows as many as the limit, and tells what is left', async (t) => {
    const { limiter } = await make(t)
    t.match(await consume(limiter, newKey(), 5), [
      { allowed: true, limit: 3, windowSeconds: 60, remaining: 2, retryAfterSeconds: null },
      { allowed: true, remaining: 1 },
      { allowed: true, remaining: 0, retryAfterSeconds: null },
      { allowed: false, limit: 3, remaining: 0 },
      { allowed: false, limit: 3, remaining: 0 },
    ])
  })

  t.test('tells when the window ends, and to try again then', async (t) => {
    const { limiter } = await make(t)
    const consumed = await consume(limiter, newKey(), 5)
    for (const { resetSeconds, retryAfterSeconds, allowed } of consumed) {
      t.ok(resetSeconds >= 50 && resetSeconds <= 60 && Number.isInteger(resetSeconds))
      t.equal(retryAfterSeconds, allowed ? null : resetSeconds)
    }
  })

  t.test('who waits as long as told is allowed again', async (t) => {
    const { redis } = await make(t)
    const limiter = createRequestLimiter({ redis, limit: 1, windowSeconds: 1 })
    const key = newKey()
    const [, refused] = await consume(limiter, key, 2)
    t.match(refused, { allowed: false, retryAfterSeconds: 1 })
    await delay(1_000 * (refused?.retryAfterSeconds ?? 0) + 10) // a timer may be a little early
    t.match(await limiter.consume(key), { allowed: true })
  })

  t.test('keys know nothing of one another', async (t) => {
    const { limiter } = await make(t)
    await consume(limiter, newKey(), 4)
    t.match(await limiter.consume(newKey()), { allowed: true, remaining: 2 })
  })

  t.test('requests at the same time are all counted', async (t) => {
    const { limiter } = await make(t)
    const key = newKey()
    const consumed = await Promise.all(Array.from({ length: 20 }, () => limiter.consume(key)))
    t.equal(allowed(consumed).filter(Boolean).length, 3)
  })
}

t.test('requests counted in this process', async (t) => {
  conformance(t, (t) => start(t, undefined))
})

t.test('requests counted in Redis', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  conformance(t, (t) => start(t, server.url))
})

t.test('two API processes share the limit of a key', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await start(t, server.url), await start(t, server.url)]
  const key = newKey()
  t.strictSame(allowed(await consume(one.limiter, key, 2)), [true, true])
  t.strictSame(allowed(await consume(two.limiter, key, 2)), [true, false])
  t.strictSame(allowed(await consume(one.limiter, key, 1)), [false])
})

t.test('who is over the limit costs Redis nothing', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { limiter } = await start(t, server.url)
  const key = newKey()
  await consume(limiter, key, 4)
  const counter = `GET postrider:requests:${key}`
  t.equal(await server.send(counter), '4')
  await consume(limiter, key, 100)
  t.equal(await server.send(counter), '4')
})

for (const [what, breakIt, mendIt] of [
  ['is killed and comes back empty', 'stop', 'start'],
  ['hangs', 'pause', 'resume'],
] as const) {
  t.test(`a Redis that ${what} changes whose limit it is, and no answer`, async (t) => {
    const server = await startRedis(t)
    if (!server) return
    const { limiter, logged, names } = await start(t, server.url, { commandMsMax: 250 })
    await limiter.consume(newKey())
    await server[breakIt]()
    const key = newKey()
    t.match(await consume(limiter, key, 4), [
      { allowed: true, remaining: 2 },
      { allowed: true, remaining: 1 },
      { allowed: true, remaining: 0 },
      { allowed: false, limit: 3, retryAfterSeconds: Number },
    ])
    await logged('redis.degraded')
    await server[mendIt]()
    await logged('redis.restored')
    t.match(await limiter.consume(newKey()), { allowed: true, remaining: 2 })
    t.strictSame(names(), ['redis.connected', 'redis.degraded', 'redis.restored'])
  })
}
