import t, { type Test } from 'tap'
import type { EventId } from '../ids.ts'
import { connectRedis } from '../redis/redis.ts'
import { captureLog } from '../testing/log-lines.ts'
import { type RedisServer, startRedis } from '../testing/servers/redis-server.ts'
import { createDedupCache } from './dedup-cache.ts'

const ENTRY = {
  eventId: '0198c1f5-7e4a-7000-8000-000000000001' as EventId,
  requestHash: 'f00d',
}
const LATER = { ...ENTRY, eventId: '0198c1f5-7e4a-7000-8000-000000000002' as EventId }

async function start(t: Test, url: string | undefined, keptSeconds?: number) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax: 1_000 })
  t.teardown(() => redis.stop())
  if (url) await captured.logged('redis.connected')
  return { cache: createDedupCache({ redis, ...(keptSeconds && { keptSeconds }) }), ...captured }
}

/** The only key that the cache has made. */
async function storedKey(server: RedisServer): Promise<string> {
  const keys = (await server.send('KEYS postrider:seen:*')) as string[]
  return keys.length === 1 ? (keys[0] ?? '') : ''
}

t.test('another process remembers what one has published', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const [one, two] = [await start(t, server.url), await start(t, server.url)]
  t.equal(await two.cache.get('acme', 'order-1'), null)
  await one.cache.remember('acme', 'order-1', ENTRY)
  t.same(await two.cache.get('acme', 'order-1'), ENTRY)
})

t.test('tenants and keys are not mixed up, whatever stands in them', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { cache } = await start(t, server.url)
  await cache.remember('a', 'b:c', ENTRY)
  for (const [tenant, key] of [
    ['a:b', 'c'],
    ['a', 'b'],
    ['b:c', 'a'],
    ['a"', ',"b:c'],
  ] as const) {
    t.equal(await cache.get(tenant, key), null, `${tenant} / ${key}`)
  }
  await cache.remember('a', `${'ü\n\0'.repeat(1_000)}`, LATER)
  t.same(await cache.get('a', `${'ü\n\0'.repeat(1_000)}`), LATER)
})

t.test('what is remembered later counts: Postgres may have lost the earlier one', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { cache } = await start(t, server.url)
  await cache.remember('acme', 'order-1', ENTRY)
  await cache.remember('acme', 'order-1', LATER)
  t.same(await cache.get('acme', 'order-1'), LATER)
})

t.test('forgets after an hour, and after seven days at most', async (t) => {
  for (const [keptSeconds, endsIn] of [
    [undefined, 3_600],
    [60, 60],
    [8 * 86_400, 7 * 86_400],
  ] as const) {
    const server = await startRedis(t)
    if (!server) return
    const { cache } = await start(t, server.url, keptSeconds)
    await cache.remember('acme', 'order-1', ENTRY)
    const leftSeconds = Number(await server.send(`TTL ${await storedKey(server)}`))
    t.ok(leftSeconds > endsIn - 10 && leftSeconds <= endsIn, `${leftSeconds} s left`)
  }
})

t.test('what it cannot read is a miss', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { cache, names } = await start(t, server.url)
  await cache.remember('acme', 'order-1', ENTRY)
  const key = await storedKey(server)
  for (const text of ['garbage', '{}', '{"eventId":"x","requestHash":"y"}', 'null']) {
    await server.send(`SET ${key} ${text}`)
    t.equal(await cache.get('acme', 'order-1'), null, text)
  }
  t.strictSame(names(), ['redis.connected'], 'and no outage')
})

t.test('without Redis nothing is remembered, and nobody complains', async (t) => {
  const { cache, lines } = await start(t, undefined)
  await cache.remember('acme', 'order-1', ENTRY)
  t.equal(await cache.get('acme', 'order-1'), null)
  t.strictSame(lines, [])
})

t.test('a Redis that is killed and comes back empty is a miss', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { cache, logged } = await start(t, server.url)
  await cache.remember('acme', 'order-1', ENTRY)
  await server.stop()
  t.equal(await cache.get('acme', 'order-1'), null)
  await cache.remember('acme', 'order-1', ENTRY)
  await logged('redis.degraded')
  await server.start()
  await logged('redis.restored')
  t.equal(await cache.get('acme', 'order-1'), null)
})

t.test('a Redis that hangs is a miss', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { cache, logged } = await start(t, server.url)
  await cache.remember('acme', 'order-1', ENTRY)
  server.pause()
  t.equal(await cache.get('acme', 'order-1'), null)
  server.resume()
  await logged('redis.restored')
  t.same(await cache.get('acme', 'order-1'), ENTRY)
})
