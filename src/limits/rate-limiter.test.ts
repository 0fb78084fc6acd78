import t, { type Test } from 'tap'
import type { EndpointId } from '../ids.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { createRateLimiter, reservation, type Slot } from './rate-limiter.ts'

const ENDPOINT = '0198c1f5-7e4a-7000-8000-000000000001' as EndpointId
const OTHER = '0198c1f5-7e4a-7000-8000-000000000002' as EndpointId
/** Each has its own version. */
const rate = (ratePerSecond: number, rateVersion = Math.round(ratePerSecond * 100)) => ({
  ratePerSecond,
  rateVersion,
})
const START_MS = Date.UTC(2026, 0, 1)

/** RateLimiter in this process, by a clock that stands still until it is moved. */
async function bundle(random = 0.5) {
  const { log } = captureLog()
  const redis = await connectRedis({ url: undefined, log })
  const clock = { ms: START_MS }
  const slots = createRateLimiter({ redis, now: () => clock.ms, random: () => random })
  const reserve = async (count: number, ratePerSecond = 1) => {
    const reserved: Slot[] = []
    for (let n = 0; n < count; n += 1)
      reserved.push(await slots.reserve(ENDPOINT, rate(ratePerSecond)))
    return reserved
  }
  return { clock, slots, reserve }
}

const SEND_NOW = { waitMs: 0, reservation: null }

t.test('who comes back with its reservation sends', async (t) => {
  const { clock, slots, reserve } = await bundle()
  const [first, second, third] = await reserve(3)
  t.same(first, SEND_NOW)
  t.same(second, { waitMs: 1_000, reservation: { at: START_MS + 1_000, rateVersion: 100 } })
  clock.ms += 1_000
  t.same(await slots.reserve(ENDPOINT, rate(1), second?.reservation), SEND_NOW)
  clock.ms += 1_000
  t.same(await slots.reserve(ENDPOINT, rate(1), third?.reservation), SEND_NOW)
  t.match(await reserve(2), [{ waitMs: 1_000 }, { waitMs: 2_000 }], 'it took no second slot')
})

t.test('a reservation survives the payload of a job', async (t) => {
  const { reserve } = await bundle()
  const [, second] = await reserve(2, 2.5)
  t.same(reservation.parse(JSON.parse(JSON.stringify(second?.reservation))), second?.reservation)
})

t.test('who is late by up to ten seconds still sends', async (t) => {
  const { clock, slots, reserve } = await bundle()
  const [, second] = await reserve(2)
  clock.ms += 11_000
  t.same(await slots.reserve(ENDPOINT, rate(1), second?.reservation), SEND_NOW)
})

t.test('those who missed their slots are spread again, not sent all at once', async (t) => {
  const { clock, slots, reserve } = await bundle()
  const held = (await reserve(101)).slice(1)
  clock.ms += 3_600_000 // all runners were away
  const late: Slot[] = []
  for (const { reservation } of held) late.push(await slots.reserve(ENDPOINT, rate(1), reservation))
  t.strictSame(
    late.map(({ waitMs }) => waitMs),
    held.map((_, n) => n * 1_000),
  )
})

t.test('runners that are always behind go on sending at the rate', async (t) => {
  // In one row for all, each that comes late would be put at the end of those that wait, for ever.
  const { clock, slots, reserve } = await bundle()
  const held = (await reserve(1_001)).slice(1)
  clock.ms += 60_000
  const sent: Slot[] = []
  for (const { reservation } of held.slice(0, 60)) {
    clock.ms += 1_000
    sent.push(await slots.reserve(ENDPOINT, rate(1), reservation))
  }
  t.same(sent, Array(60).fill(SEND_NOW))
})

t.test('a changed rate begins again, and those who wait at the old one ask again', async (t) => {
  const { clock, slots, reserve } = await bundle()
  const [, second, third] = await reserve(3, 1)
  clock.ms += 2_000
  t.same(await slots.reserve(ENDPOINT, rate(0.1), second?.reservation), SEND_NOW)
  t.match(await slots.reserve(ENDPOINT, rate(0.1), third?.reservation), {
    waitMs: 10_000,
    reservation: { rateVersion: 10 },
  })
})

t.test('a rate that was changed and changed back begins again as well', async (t) => {
  const { slots } = await bundle()
  for (let n = 0; n < 100; n += 1) await slots.reserve(ENDPOINT, rate(0.1, 1))
  t.same(await slots.reserve(ENDPOINT, rate(0.1, 3)), SEND_NOW)
})

t.test('a reservation from before rates had versions is of the first', async (t) => {
  t.same(reservation.parse({ at: 1, ratePerSecond: 2 }), { at: 1, rateVersion: 0 })
})

t.test('endpoints know nothing of one another', async (t) => {
  const { slots, reserve } = await bundle()
  await reserve(5)
  t.same(await slots.reserve(OTHER, rate(1)), SEND_NOW)
})

t.test('of more than fit into an hour the rest ask again, spread by chance', async (t) => {
  for (const [random, waitMs] of [
    [0, 1_800_000],
    [0.999_999_999, 3_600_000],
  ] as const) {
    const { reserve } = await bundle(random)
    const reserved = await reserve(3_602)
    t.match(reserved[3_600], { waitMs: 3_600_000, reservation: { at: START_MS + 3_600_000 } })
    t.same(reserved[3_601], { waitMs, reservation: null })
  }
})

async function shared(t: Test, url: string, commandMsMax = 5_000) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax })
  t.teardown(() => redis.stop())
  await captured.logged('redis.connected')
  return { slots: createRateLimiter({ redis }), ...captured }
}

t.test('two runners share the rate of an endpoint', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const one = await shared(t, server.url)
  const two = await shared(t, server.url)
  t.same(await one.slots.reserve(ENDPOINT, rate(0.01)), SEND_NOW)
  const second = await two.slots.reserve(ENDPOINT, rate(0.01))
  const third = await one.slots.reserve(ENDPOINT, rate(0.01))
  t.ok(second.waitMs > 90_000 && second.waitMs <= 100_000)
  t.ok(third.waitMs > 190_000 && third.waitMs <= 200_000)
  t.same(
    await one.slots.reserve(ENDPOINT, rate(0.01), second.reservation),
    SEND_NOW,
    'no matter who runs it',
  )
})

for (const [what, breakIt, mendIt] of [
  ['is killed and comes back empty', 'stop', 'start'],
  ['hangs', 'pause', 'resume'],
] as const) {
  t.test(`a Redis that ${what} changes whose limit it is, and no answer`, async (t) => {
    const server = await startRedis(t)
    if (!server) return
    const { slots, logged, names } = await shared(t, server.url, 250)
    t.same(await slots.reserve(ENDPOINT, rate(0.01)), SEND_NOW)
    await server[breakIt]()
    const asked = Array.from({ length: 3 }, () => slots.reserve(ENDPOINT, rate(0.01)))
    const waitsMs = (await Promise.all(asked)).map(({ waitMs }) => waitMs)
    t.equal(waitsMs[0], 0, 'this process begins its own row')
    t.ok(waitsMs.slice(1).every((waitMs, n) => Math.abs(waitMs - (n + 1) * 100_000) < 10_000))
    await logged('redis.degraded')
    await server[mendIt]()
    await logged('redis.restored')
    const { waitMs } = await slots.reserve(OTHER, rate(0.01))
    t.equal(waitMs, 0)
    t.strictSame(names(), ['redis.connected', 'redis.degraded', 'redis.restored'])
  })
}
