import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { connectRedis, type Redis } from './redis.ts'

/** Patient, unless the case is about that: on a busy machine a healthy Redis may take over 50 ms. */
const PATIENT = { commandMsMax: 5_000 }

async function bundle(
  t: Test,
  url: string | undefined,
  options: { commandMsMax?: number } = PATIENT,
) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, ...options })
  t.teardown(() => redis.stop())
  return { redis, ...captured }
}

const get = (redis: Redis) => redis.ask((commands) => commands.get('key'))
const warnings = (names: string[]) => names.filter((name) => name !== 'redis.connected')

t.test('without a URL Redis is off', async (t) => {
  const { redis, lines } = await bundle(t, undefined)
  t.equal(redis.state, 'off')
  await t.rejects(get(redis), { code: 'redis_away' })
  await redis.stop()
  t.strictSame(lines, [])
})

t.test('asks a Redis that is there', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged, names } = await bundle(t, server.url)
  t.equal(redis.state, 'degraded', 'until it is connected')
  await logged('redis.connected')
  t.equal(redis.state, 'ok')
  t.equal(await get(redis), null)
  t.strictSame(names(), ['redis.connected'])
})

t.test('a Redis that is absent at the start is found once it is there', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  await server.stop()
  const { redis, logged, names } = await bundle(t, server.url)
  await logged('redis.degraded')
  await t.rejects(get(redis), { code: 'redis_away' })
  await server.start()
  await logged('redis.restored')
  t.equal(await get(redis), null)
  t.strictSame(names(), ['redis.degraded', 'redis.restored'])
})

t.test('a Redis that is killed costs one warning, however many ask', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged, names, lines } = await bundle(t, server.url)
  await logged('redis.connected')
  const asked = Array.from({ length: 100 }, () => get(redis).catch((error) => error.code))
  await server.stop()
  t.ok((await Promise.all(asked)).every((answer) => answer === null || answer === 'redis_away'))
  await logged('redis.degraded')
  t.equal(redis.state, 'degraded')
  await t.rejects(get(redis), { code: 'redis_away' })
  t.strictSame(warnings(names()), ['redis.degraded'])
  t.match(lines.at(-1), { level: 'warn', err: { message: String } })

  await server.start()
  await logged('redis.restored')
  t.equal(redis.state, 'ok')
  t.equal(await get(redis), null)
  t.strictSame(warnings(names()), ['redis.degraded', 'redis.restored'])
})

t.test('a Redis that hangs costs one timeout, and is asked again once it answers', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged, names } = await bundle(t, server.url, {})
  await logged('redis.connected')
  server.pause()
  const startedAt = performance.now()
  await t.rejects(get(redis), { cause: { code: 'took_too_long' } })
  t.ok(performance.now() - startedAt >= 49)

  let asked = 0
  const ask = async () => {
    asked += 1
  }
  for (let n = 0; n < 100; n += 1) await t.rejects(redis.ask(ask), { code: 'redis_away' })
  t.equal(asked, 0, 'nobody waits for it')
  t.strictSame(warnings(names()), ['redis.degraded'])

  server.resume()
  await logged('redis.restored')
})

t.test('a Redis that hangs is noticed although nobody asks it', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged } = await bundle(t, server.url, {})
  await logged('redis.connected')
  server.pause()
  await logged('redis.degraded')
  t.equal(redis.state, 'degraded')
})

t.test('a Redis that refuses to write is degraded until it writes again', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged, lines } = await bundle(t, server.url)
  await logged('redis.connected')
  await server.send('CONFIG SET maxmemory 1')
  await logged('redis.degraded')
  t.match(lines.at(-1), { err: { message: /^OOM / } })
  await server.send('CONFIG SET maxmemory 0')
  await logged('redis.restored')
  t.equal(redis.state, 'ok')
})

t.test('a server that accepts and never speaks is degraded from the start', async (t) => {
  const mute = createServer().listen(0, '127.0.0.1')
  t.teardown(() => mute.close())
  await new Promise((resolve) => mute.once('listening', resolve))
  const { redis, logged, names } = await bundle(t, `redis://127.0.0.1:${portOf(mute)}`)
  await logged('redis.degraded')
  t.strictSame(names(), ['redis.degraded'])
  await redis.stop()
})

t.test('stops while Redis hangs, twice, and asks nothing more', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { redis, logged, names } = await bundle(t, server.url)
  await logged('redis.connected')
  server.pause()
  const asked = t.rejects(get(redis), { code: 'redis_away' })
  await Promise.all([redis.stop(), redis.stop()])
  await asked
  await t.rejects(get(redis), { code: 'redis_away' })
  t.strictSame(names(), ['redis.connected'], 'its end is no outage')
})

t.test('the password stands in no line', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { logged, lines } = await bundle(t, server.url.replace('//', '//user:hunter2@'))
  await logged('redis.degraded')
  t.match(lines, [{ err: { message: /^(WRONGPASS|NOAUTH) / } }])
  t.notMatch(JSON.stringify(lines), 'hunter2')
})

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address()
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}
