import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { EndpointId, TenantId } from '../ids.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { InFlight, type InFlightLimits } from './in-flight.ts'

const TENANT = randomUUID() as TenantId
/** One that no other case uses. */
const newEndpoint = () => randomUUID() as EndpointId

async function start(t: Test, url: string | undefined, commandMsMax = 5_000) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax })
  t.teardown(() => redis.stop())
  if (url) await captured.logged('redis.connected')
  return { inFlight: new InFlight({ redis, concurrency: 250 }), redis, ...captured }
}

const limits = (maxInFlight: number | null, timeoutMs = 15_000): InFlightLimits => ({
  tenantId: TENANT,
  maxInFlight,
  timeoutMs,
})

/** Enters so many times, and tells who found a permit. */
async function enterAll(inFlight: InFlight, id: EndpointId, count: number, max: number | null) {
  const entries = []
  for (let n = 0; n < count; n += 1) entries.push(await inFlight.acquire(id, limits(max)))
  return entries
}
const permits = (entries: Awaited<ReturnType<typeof enterAll>>) =>
  entries.map(({ release }) => release !== null)

/** What holds whether the permits are counted in Redis or here. */
function conformance(t: Test, make: (t: Test) => Promise<InFlight>): void {
  t.test('lets in as many as the endpoint allows, and one more when one has left', async (t) => {
    const inFlight = await make(t)
    const id = newEndpoint()
    const entries = await enterAll(inFlight, id, 4, 3)
    t.strictSame(permits(entries), [true, true, true, false])
    entries[0]?.release?.('answered')
    t.strictSame(permits(await enterAll(inFlight, id, 2, 3)), [true, false])
  })

  t.test('tells who finds no permit when to try again', async (t) => {
    const inFlight = await make(t)
    const entries = await enterAll(inFlight, newEndpoint(), 3, 1)
    const [first, second, third] = entries.map(({ retryInMs }) => retryInMs)
    t.equal(first, null)
    t.ok(Number(second) > 500 && Number(second) <= 1_001)
    t.ok(Number(third) > 1_500 && Number(third) <= 2_001, 'one after another')
  })

  t.test('a limit that was raised holds at once', async (t) => {
    const inFlight = await make(t)
    const id = newEndpoint()
    await enterAll(inFlight, id, 2, 2)
    t.strictSame(permits(await enterAll(inFlight, id, 2, 3)), [true, false])
  })

  t.test('the share of the endpoint holds below a larger limit', async (t) => {
    const inFlight = await make(t)
    const entries = await enterAll(inFlight, newEndpoint(), 5, 1_000)
    t.equal(permits(entries).filter(Boolean).length, 4)
  })

  t.test('trouble makes the share smaller, no matter who counts', async (t) => {
    const inFlight = await make(t)
    const id = newEndpoint()
    const [first] = await enterAll(inFlight, id, 1, 1_000)
    first?.release?.('timeout')
    const entries = await enterAll(inFlight, id, 3, 1_000)
    t.equal(permits(entries).filter(Boolean).length, 2)
  })

  t.test('hanging endpoints of one tenant leave permits to others', async (t) => {
    const inFlight = await make(t)
    const acquire = async (max: number | null, tenantId = TENANT) =>
      await inFlight.acquire(newEndpoint(), { ...limits(max), tenantId })
    const entered = []
    for (let n = 0; n < 250; n += 1) entered.push(await acquire(n % 2 === 0 ? null : 5))
    t.equal(permits(entered).filter(Boolean).length, 225)
    t.ok((await acquire(null, randomUUID() as TenantId)).release, 'another finds one')
    entered[0]?.release?.('answered')
    t.ok((await acquire(null)).release)
  })

  t.test('endpoints know nothing of one another', async (t) => {
    const inFlight = await make(t)
    await enterAll(inFlight, newEndpoint(), 1, 1)
    t.strictSame(permits(await enterAll(inFlight, newEndpoint(), 1, 1)), [true])
  })
}

t.test('permits in this process', async (t) => {
  conformance(t, async (t) => (await start(t, undefined)).inFlight)
})

t.test('permits in Redis', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  conformance(t, async (t) => (await start(t, server.url)).inFlight)
})

t.test('an endpoint without its own limit is answered at once', async (t) => {
  const { inFlight } = await start(t, undefined)
  const entry = inFlight.acquire(newEndpoint(), limits(null))
  t.notOk(entry instanceof Promise)
})

t.test('two runners share the permits of an endpoint', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await start(t, server.url), await start(t, server.url)]
  const id = newEndpoint()
  const [first] = await enterAll(one.inFlight, id, 1, 2)
  t.strictSame(permits(await enterAll(two.inFlight, id, 2, 2)), [true, false])
  t.strictSame(permits(await enterAll(one.inFlight, id, 1, 2)), [false])
  first?.release?.('answered')
  t.strictSame(permits(await enterAll(two.inFlight, id, 1, 2)), [true])
})

t.test('who is refused among the runners keeps no permit here', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await start(t, server.url), await start(t, server.url)]
  const id = newEndpoint()
  const [held] = await enterAll(one.inFlight, id, 1, 1)
  t.strictSame(permits(await enterAll(two.inFlight, id, 3, 1)), [false, false, false])
  held?.release?.('answered')
  // The permit is given back without waiting; what the same connection asks afterwards comes after it.
  await one.redis.ask((redis) => redis.get('anything'))
  t.strictSame(permits(await enterAll(two.inFlight, id, 1, 1)), [true])
})

t.test('the permits of a killed runner come back when their time is over', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await start(t, server.url), await start(t, server.url)]
  const id = newEndpoint()
  const key = `postrider:in-flight:${id}`
  await enterAll(one.inFlight, id, 2, 2)
  t.strictSame(permits(await enterAll(two.inFlight, id, 1, 2)), [false])

  const [lease, endsAt] = (await server.send(`ZRANGE ${key} 0 0 WITHSCORES`)) as string[]
  const forMs = Number(endsAt) - Date.now()
  t.ok(forMs > 25_000 && forMs <= 30_500, `held for ${forMs} ms: its timeout and some more`)
  await server.send(`ZADD ${key} 1 ${lease}`)
  t.strictSame(permits(await enterAll(two.inFlight, id, 2, 2)), [true, false])
})

t.test('what is stored of an endpoint ends with its longest request', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { inFlight } = await start(t, server.url)
  const id = newEndpoint()
  await inFlight.acquire(id, limits(5, 60_000))
  await inFlight.acquire(id, limits(5, 1_000))
  const leftMs = Number(await server.send(`PTTL postrider:in-flight:${id}`))
  t.ok(leftMs > 70_000 && leftMs <= 75_000, `${leftMs} ms left`)
})

for (const [what, breakIt] of [
  ['is killed', 'stop'],
  ['hangs', 'pause'],
] as const) {
  t.test(`while Redis ${what} each runner allows as many as the endpoint`, async (t) => {
    const server = await startRedis(t)
    if (!server) return
    const { inFlight, logged, names } = await start(t, server.url, 250)
    const id = newEndpoint()
    const [first] = await enterAll(inFlight, id, 1, 2)
    await server[breakIt]()
    t.strictSame(permits(await enterAll(inFlight, id, 2, 2)), [true, false])
    first?.release?.('answered')
    t.strictSame(permits(await enterAll(inFlight, id, 2, 2)), [true, false])
    await logged('redis.degraded')
    t.strictSame(names(), ['redis.connected', 'redis.degraded'])
  })
}
