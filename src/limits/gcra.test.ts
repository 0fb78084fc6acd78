import t, { type Test } from 'tap'
import { connectRedis, type Redis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { type RedisServer, startRedis } from '../testing/servers/redis-server.ts'
import { type Pace, type TakeSlot, takeFromRedis, takeInProcess } from './gcra.ts'
import { paceOf } from './rate-limiter.ts'

/** Every 100 ms, one at once, an hour ahead at most. */
const TEN_PER_SECOND: Pace = paceOf(10)
const START_MS = Date.UTC(2026, 0, 1)

type Twin = (t: Test, nowUs?: () => number) => TakeSlot

/** Rows of which only those used within the case matter: each case names its own. */
function conformance(t: Test, make: Twin): void {
  const bundle = (t: Test) => {
    const clock = { ms: START_MS }
    const take = make(t, () => clock.ms * 1000)
    return { clock, take: (row: string, pace = TEN_PER_SECOND) => take(`${t.name}:${row}`, pace) }
  }
  const waits = async (count: number, take: () => ReturnType<TakeSlot>) => {
    const waitsMs: number[] = []
    for (let n = 0; n < count; n += 1) waitsMs.push((await take()).waitMs)
    return waitsMs
  }

  t.test('the first may go, the next get one slot each', async (t) => {
    const { take } = bundle(t)
    t.strictSame(await waits(4, () => take('a')), [0, 100, 200, 300])
  })

  t.test('as time goes on the wait for the same slot is shorter', async (t) => {
    const { clock, take } = bundle(t)
    await waits(3, () => take('a')) // the next begins 300 ms from the start
    clock.ms += 250
    t.same(await take('a'), { waitMs: 50, isTaken: true })
  })

  t.test('a slot that is there at this moment may be used, one a moment later not', async (t) => {
    const { clock, take } = bundle(t)
    await take('a')
    await take('b')
    clock.ms += 99
    t.same(await take('a'), { waitMs: 1, isTaken: true })
    clock.ms += 1
    t.same(await take('b'), { waitMs: 0, isTaken: true })
  })

  t.test('slots that passed while nobody came are gone', async (t) => {
    const { clock, take } = bundle(t)
    await take('a')
    clock.ms += 60_000
    t.strictSame(await waits(3, () => take('a')), [0, 100, 200])
  })

  t.test('after a silence a burst may go at once', async (t) => {
    const { clock, take } = bundle(t)
    const pace = paceOf(50)
    t.strictSame(await waits(8, () => take('a', pace)), [0, 0, 0, 0, 0, 20, 40, 60])
    clock.ms += 120
    t.strictSame(await waits(4, () => take('a', pace)), [0, 0, 0, 20], 'as much as has passed')
  })

  t.test('rows know nothing of one another', async (t) => {
    const { take } = bundle(t)
    await waits(5, () => take('a'))
    t.same(await take('b'), { waitMs: 0, isTaken: true })
  })

  t.test('a rate below one per second', async (t) => {
    const { take } = bundle(t)
    t.strictSame(await waits(3, () => take('a', paceOf(0.1))), [0, 10_000, 20_000])
  })

  t.test('an interval that is no whole number of milliseconds adds up', async (t) => {
    const { take } = bundle(t)
    t.strictSame(await waits(5, () => take('a', paceOf(3))), [0, 334, 667, 1000, 1334])
  })

  t.test('nothing is taken beyond the bound, and just up to it', async (t) => {
    const { clock, take } = bundle(t)
    const pace = { ...TEN_PER_SECOND, aheadUs: 200_000 }
    t.strictSame(await waits(3, () => take('a', pace)), [0, 100, 200])
    t.same(await take('a', pace), { waitMs: 300, isTaken: false })
    t.same(await take('a', pace), { waitMs: 300, isTaken: false }, 'it is still free')
    clock.ms += 100
    t.same(await take('a', pace), { waitMs: 200, isTaken: true })
  })

  t.test('the slowest and the fastest rate do not break the arithmetic', async (t) => {
    const { take } = bundle(t)
    t.same(await take('slow', paceOf(Number.MIN_VALUE)), { waitMs: 0, isTaken: true })
    t.match(await take('slow', paceOf(Number.MIN_VALUE)), { isTaken: false })
    t.strictSame(await waits(2, () => take('fast', paceOf(Number.MAX_VALUE))), [0, 0])
  })

  t.test('10,000 that come at once get 10,000 slots in their order', async (t) => {
    const { take } = bundle(t)
    const taken: Awaited<ReturnType<TakeSlot>>[] = []
    while (taken.length < 10_000) {
      // As many at a time as a runner has places.
      taken.push(...(await Promise.all(Array.from({ length: 250 }, () => take('a')))))
    }
    t.strictSame(
      taken.map(({ waitMs }) => waitMs),
      taken.map((_, n) => n * 100),
    )
    t.ok(taken.every(({ isTaken }) => isTaken))
  })
}

async function connect(t: Test, server: RedisServer): Promise<Redis> {
  const { log, logged } = captureLog()
  const redis = await connectRedis({ url: server.url, log, commandMsMax: 5_000 })
  t.teardown(() => redis.stop())
  await logged('redis.connected')
  return redis
}

t.test('rows in this process', async (t) => {
  conformance(t, (_t, nowUs) => takeInProcess(nowUs))
})

t.test('rows in Redis', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const redis = await connect(t, server)
  conformance(t, (_t, nowUs) => takeFromRedis(redis, nowUs))
})

t.test('two processes share a row in Redis', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const now = () => START_MS * 1000
  const one = takeFromRedis(await connect(t, server), now)
  const two = takeFromRedis(await connect(t, server), now)
  const waitsMs: number[] = []
  for (const take of [one, two, one, two]) waitsMs.push((await take('a', TEN_PER_SECOND)).waitMs)
  t.strictSame(waitsMs, [0, 100, 200, 300])
})

t.test('the clock of Redis is the one that counts', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const take = takeFromRedis(await connect(t, server))
  t.same(await take('a', paceOf(0.01)), { waitMs: 0, isTaken: true })
  const { waitMs } = await take('a', paceOf(0.01))
  t.ok(waitMs > 90_000 && waitMs <= 100_000, `waits ${waitMs} ms`)
})

t.test('a row in Redis ends a minute after its last slot', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const take = takeFromRedis(await connect(t, server))
  for (let n = 0; n < 3; n += 1) await take('a', paceOf(0.01))
  const leftMs = await server.send('PTTL postrider:slot:a')
  t.ok(Number(leftMs) > 350_000 && Number(leftMs) <= 360_000, `${leftMs} ms left`)
})

t.test('a Redis that has forgotten the script is told it again', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const take = takeFromRedis(await connect(t, server), () => START_MS * 1000)
  await take('a', TEN_PER_SECOND)
  await server.send('SCRIPT FLUSH')
  t.same(await take('a', TEN_PER_SECOND), { waitMs: 100, isTaken: true })
})
