import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createLog } from '../log.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { hashApiKey } from './caller.ts'
import { KeyGuard, TooManyWrongKeys } from './key-guard.ts'

const RIGHT = 'a right key'
const HERE = '203.0.113.9'

/** A guard in front of a store that knows what is asked of it, and finds keys that begin with `a right`. */
async function bundle(
  t: Test,
  options: { url?: string; inAll?: number; known?: readonly Buffer[] } = {},
) {
  const { url, inAll = 6, known } = options
  const { log, logged } = captureLog()
  const redis = await connectRedis({
    url,
    log: url ? log : createLog('silent'),
    commandMsMax: 5_000,
  })
  t.teardown(() => redis.stop())
  if (url) await logged('redis.connected')
  const now = { ms: Date.now() }
  const limits = { ofClient: 3, inAll, what: `test-${randomUUID()}` }
  const guard = new KeyGuard({
    ...{ redis, limits, now: () => now.ms },
    ...(known && { known }),
  })
  const asked: string[] = []
  const show = (key: string, client = HERE) =>
    guard.find(client, key, async () => {
      asked.push(key)
      return key.startsWith('a right') ? key : null
    })
  return { ...{ redis, limits, guard, asked, show }, now }
}

t.test('wrong keys of one client are held up, and cost no look-up', async (t) => {
  const { show, asked } = await bundle(t)
  for (const key of ['1', '2', '3']) t.equal(await show(key), null)
  for (const key of ['1', '4', RIGHT]) {
    const refusal = { code: 'too_many_wrong_keys', retryAfterSeconds: Number }
    await t.rejects(show(key), refusal, key)
  }
  t.strictSame(asked, ['1', '2', '3'])
  t.equal(await show(RIGHT, '203.0.113.10'), RIGHT, 'another client')
})

t.test('a network of IPv6 is one client', async (t) => {
  const { show } = await bundle(t)
  for (const [n, key] of ['1', '2', '3'].entries()) await show(key, `2001:db8::${n}`)
  await t.rejects(show('4', '2001:db8::ffff'), TooManyWrongKeys)
  t.equal(await show('4', '2001:db8:0:1::'), null)
})

t.test('wrong keys of many clients are held up as well', async (t) => {
  const { show } = await bundle(t)
  for (let n = 1; n <= 6; n++) t.equal(await show(`${n}`, `203.0.113.${n}`), null)
  await t.rejects(show('7', '203.0.113.7'), TooManyWrongKeys)
  await t.rejects(show(RIGHT, '203.0.113.8'), TooManyWrongKeys, 'no matter who they are')
})

t.test('right keys are never counted, however many at once', async (t) => {
  const { show } = await bundle(t)
  const keys = Array.from({ length: 50 }, (_, n) => `a right key ${n}`)
  t.strictSame(await Promise.all(keys.map((key) => show(key))), keys)
  t.strictSame(await Promise.all(keys.map((key) => show(key))), keys)
})

t.test('a burst with one key that is new here is looked up once before it is known', async (t) => {
  const { show, asked } = await bundle(t)
  const burst = () => Promise.all(Array.from({ length: 1_000 }, () => show(RIGHT)))
  t.strictSame(new Set(await burst()), new Set([RIGHT]))
  t.strictSame(new Set(await burst()), new Set([RIGHT]))
  const [first] = asked
  t.equal(first, RIGHT)
  const wrong = await Promise.allSettled(Array.from({ length: 100 }, () => show('wrong')))
  t.equal(wrong.filter(({ status }) => status === 'fulfilled').length, 3, 'each counts')
})

t.test('a key that was right is not held up, for an hour, unless it becomes wrong', async (t) => {
  const { show, guard, now } = await bundle(t)
  await show(RIGHT)
  for (const key of ['1', '2', '3']) await show(key)
  t.equal(await show(RIGHT), RIGHT)
  now.ms += 3_599_999
  t.equal(await show(RIGHT), RIGHT, 'and each use counts')
  now.ms += 3_600_001
  await t.rejects(show(RIGHT), TooManyWrongKeys)

  const revoked = await bundle(t)
  await revoked.show(RIGHT)
  for (const key of ['1', '2', '3']) await revoked.show(key)
  const gone = () => revoked.guard.find(HERE, RIGHT, async () => null)
  t.equal(await gone(), null)
  await t.rejects(gone(), TooManyWrongKeys)
  t.ok(guard)
})

t.test('what is compared without a look-up is never held up', async (t) => {
  const { show } = await bundle(t, { known: [hashApiKey(RIGHT)] })
  for (const key of ['1', '2', '3']) await show(key)
  t.equal(await show(RIGHT), RIGHT)
  await t.rejects(show('a right other'), TooManyWrongKeys)
})

t.test('many wrong keys at once are looked up a few at a time', async (t) => {
  const { guard } = await bundle(t, { inAll: 1_000 })
  let running = 0
  let most = 0
  const find = async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    return null
  }
  const tried = Array.from({ length: 200 }, (_, n) =>
    guard.find(`203.0.113.${n % 50}`, `${n}`, find),
  )
  const settled = await Promise.allSettled(tried)
  t.equal(most, 4)
  const looked = settled.filter(({ status }) => status === 'fulfilled').length
  t.ok(
    looked >= 150 && looked <= 200,
    `${looked}: three of each client, and those that were in between`,
  )
  const alone = await Promise.allSettled(
    Array.from({ length: 100 }, (_, n) => guard.find('203.0.113.200', `${n}`, find)),
  )
  const counted = alone.filter(({ status }) => status === 'fulfilled').length
  t.ok(counted <= 3 + 1, `${counted} of one client: two at a time`)
})

t.test('when the store fails, nobody was wrong', async (t) => {
  const { guard, show } = await bundle(t)
  const fail = () => guard.find(HERE, 'any', () => Promise.reject(new Error('away')))
  for (let n = 1; n <= 10; n++) await t.rejects(fail(), /away/)
  t.equal(await show(RIGHT), RIGHT)
})

t.test('processes count together in Redis, and each by itself while it is away', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const one = await bundle(t, { url: server.url })
  const { redis, limits } = one
  const other = new KeyGuard({ redis, limits })
  const wrong = (key: string) => other.find(HERE, key, async () => null)
  t.equal(await one.show('1'), null)
  t.equal(await wrong('2'), null)
  t.equal(await one.show('3'), null)
  await t.rejects(wrong('4'), TooManyWrongKeys)
  await t.rejects(one.show('4'), TooManyWrongKeys)
  await server.stop()
  for (const key of ['5', '6', '7']) t.equal(await one.show(key, '203.0.113.77'), null)
  await t.rejects(one.show('8', '203.0.113.77'), TooManyWrongKeys)
})
