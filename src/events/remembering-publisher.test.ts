import t, { type Test } from 'tap'
import { createDedupCache } from '../limits/dedup-cache.ts'
import { createDatabase } from '../postgres/pool.ts'
import { connectRedis } from '../redis/redis.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createPublisher } from './publish.ts'
import type { PublishItem } from './publisher.ts'
import { createRememberingPublisher } from './remembering-publisher.ts'

const { pool } = await createTestDatabase(t)

/** A tenant, and a publisher of which is known what came through to Postgres' publish. */
async function bundle(t: Test, url: string) {
  const captured = captureLog()
  const redis = await connectRedis({ url, log: captured.log, commandMsMax: 1_000 })
  t.teardown(() => redis.stop())
  await captured.logged('redis.connected')
  const tenant = await createTenant(pool)
  const through: PublishItem[] = []
  const direct = createPublisher({ pool })
  const publish = (item: PublishItem) => {
    through.push(item)
    return direct.publish(item)
  }
  const cache = createDedupCache({ redis })
  const database = createDatabase(pool)
  const publisher = createRememberingPublisher({ publisher: { publish }, cache, database })
  const item = (values: Partial<PublishItem> = {}): PublishItem => ({
    body: '{"type":"invoice.paid","data":{"id":1}}',
    tenant: tenant.key,
    idempotencyKey: 'order 1',
    ...values,
  })
  /** Publishes, and waits until that is remembered. */
  const publishAndRemember = async (given = item()) => {
    const published = await publisher.publish(given)
    await untilAnswer(() => cache.get(given.tenant, given.idempotencyKey ?? ''), Boolean)
    return published
  }
  return { tenant, through, direct, publisher, publishAndRemember, item }
}

t.test('a repeat is answered as Postgres would, without publishing again', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { tenant, through, direct, publisher, publishAndRemember, item } = await bundle(
    t,
    server.url,
  )
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const first = await publishAndRemember()
  t.match(first, { deliveries: 1, duplicate: false })
  const repeat = await publisher.publish(item())
  t.equal(through.length, 1)
  t.strictSame(repeat, { ...first, duplicate: true })
  t.strictSame(repeat, await direct.publish(item()))
})

t.test('another body, key or tenant, or no key, goes the long way', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { through, publisher, publishAndRemember, item } = await bundle(t, server.url)
  const other = await bundle(t, server.url)
  const { id } = await publishAndRemember()
  const spaced = '{"type":"invoice.paid", "data":{"id":1}}'
  t.match(await publisher.publish(item({ body: spaced })), { id, duplicate: true })
  const changed = publisher.publish(item({ body: '{"type":"invoice.paid","data":{"id":2}}' }))
  await t.rejects(changed, { code: 'idempotency_key_reused' })
  for (const values of [
    { idempotencyKey: 'order 2' },
    { idempotencyKey: null },
    { tenant: other.tenant.key },
  ]) {
    t.match(await publisher.publish(item(values)), { duplicate: false })
  }
  t.equal(through.length, 6)
})

t.test('what Postgres no longer knows is published again, whatever Redis remembers', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  for (const [what, statements] of [
    ['a failover lost it', ['delete from postrider.idempotency', 'delete from postrider.event']],
    ['its key is over', ['update postrider.idempotency set expires_at = now()']],
  ] as const) {
    const { tenant, publisher, publishAndRemember, item } = await bundle(t, server.url)
    const { id } = await publishAndRemember()
    for (const text of statements) await pool.query(`${text} where tenant_id = $1`, [tenant.id])
    const again = await publishAndRemember()
    t.match(again, { duplicate: false }, what)
    t.not(again.id, id, what)
    t.match(await publisher.publish(item()), { id: again.id, duplicate: true }, what)
  }
})

t.test('a tenant that is suspended or goes is refused what it has published before', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  for (const [column, code] of [
    ['suspended_at', 'tenant_suspended'],
    ['deletion_started_at', 'tenant_deleting'],
  ] as const) {
    const { tenant, publisher, publishAndRemember, item } = await bundle(t, server.url)
    await publishAndRemember()
    await pool.query(`update postrider.tenant set ${column} = now() where id = $1`, [tenant.id])
    await t.rejects(publisher.publish(item()), { code })
  }
})

t.test('with Redis gone repeats are found by Postgres', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { through, publisher, publishAndRemember, item } = await bundle(t, server.url)
  const { id } = await publishAndRemember()
  await server.stop()
  t.match(await publisher.publish(item()), { id, duplicate: true })
  t.equal(through.length, 2)
})
