import t from 'tap'
import { hashApiKey } from '../access/caller.ts'
import type { ApiKeyId } from '../ids.ts'
import { createDatabase } from '../postgres/pool.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { ApiKeyNotFound, createApiKeys } from './api-keys.ts'

const { pool } = await createTestDatabase(t)
const database = createDatabase(pool)
const { tenants } = createTestServices(pool)

/** Keys with a clock that the test sets. */
function bundle(adminKey: string | null = 'the-admin-key') {
  const clock = { now: Date.now() }
  const apiKeys = createApiKeys({
    database,
    adminKeyHash: adminKey === null ? null : hashApiKey(adminKey),
    now: () => clock.now,
  })
  const revokeElsewhere = (id: string) => other.revoke(id as ApiKeyId, 'ann')
  const lastUse = async (id: string) => {
    await apiKeys.idle()
    const { rows } = await pool.query(
      'select extract(epoch from now() - last_used_at)::float8 as ago from postrider.api_key where id = $1',
      [id],
    )
    return rows[0]?.ago as number | null
  }
  return { apiKeys, clock, revokeElsewhere, lastUse }
}

/** Another process. */
const other = createApiKeys({ database, adminKeyHash: null })

t.test('the bootstrap key may do everything and belongs to no tenant', async (t) => {
  const { apiKeys } = bundle()
  t.match(await apiKeys.verify('the-admin-key'), { apiKeyId: null, tenant: null })
  t.ok((await apiKeys.verify('the-admin-key'))?.scopes.has('admin'))
  t.equal(await apiKeys.verify('the-admin-kez'), null)
  t.equal(await bundle(null).apiKeys.verify('the-admin-key'), null)
})

t.test('a key is known by its hash, and the key itself is stored nowhere', async (t) => {
  const { apiKeys } = bundle()
  const { key, apiKey } = await apiKeys.issue({ name: 'ci', scopes: ['publish', 'read'] })
  t.match(key, /^pr_[\w-]{43}$/)
  t.match(await apiKeys.verify(key), {
    apiKeyId: apiKey.id,
    tenant: null,
    scopes: new Set(['publish', 'read']),
  })
  t.equal(await apiKeys.verify(`${key}x`), null)
  const { rows } = await pool.query('select * from postrider.api_key where id = $1', [apiKey.id])
  t.notMatch(JSON.stringify(rows), key)
})

t.test('a key may be bound to one tenant', async (t) => {
  const { apiKeys } = bundle()
  const { tenant } = await tenants.put('acme', {})
  const { key } = await apiKeys.issue({ name: 'acme', scopes: ['read'], tenantId: tenant.id })
  t.match(await apiKeys.verify(key), { tenant: { id: tenant.id, key: 'acme' } })
})

t.test('a revoked key works for five seconds at most', async (t) => {
  const { apiKeys, clock, revokeElsewhere } = bundle()
  const { key, apiKey } = await apiKeys.issue({ name: 'ci', scopes: ['read'] })
  t.ok(await apiKeys.verify(key))
  await revokeElsewhere(apiKey.id)
  clock.now += 5_000
  t.ok(await apiKeys.verify(key))
  clock.now += 1
  t.equal(await apiKeys.verify(key), null)
})

t.test('a key ends when it expires, seen recently or not', async (t) => {
  const { apiKeys, clock } = bundle()
  const expiresAt = new Date(clock.now + 1_000)
  const { key } = await apiKeys.issue({ name: 'ci', scopes: ['read'], expiresAt })
  t.ok(await apiKeys.verify(key))
  clock.now += 999
  t.ok(await apiKeys.verify(key))
  clock.now += 1
  t.equal(await apiKeys.verify(key), null)
})

t.test('requests at the same time share one look-up', async (t) => {
  const { apiKeys } = bundle()
  const { key } = await apiKeys.issue({ name: 'ci', scopes: ['read'] })
  let queries = 0
  const count = () => {
    queries += 1
  }
  pool.on('acquire', count)
  const callers = await Promise.all(Array.from({ length: 20 }, () => apiKeys.verify(key)))
  await apiKeys.verify(key)
  await apiKeys.idle()
  pool.off('acquire', count)
  t.ok(callers.every((caller) => caller !== null))
  t.equal(queries, 2, 'and one that notes its use')
})

t.test('where it is revoked it ends at once, and stays ended', async (t) => {
  const { apiKeys } = bundle()
  const { key, apiKey } = await apiKeys.issue({ name: 'ci', scopes: ['read'] })
  t.ok(await apiKeys.verify(key))
  await apiKeys.revoke(apiKey.id, 'ann')
  t.equal(await apiKeys.verify(key), null)
  const [{ revoked_at: first } = {}] = await apiKeys.list({ limit: 1, before: null })
  await apiKeys.revoke(apiKey.id, 'bob')
  const [{ revoked_at: second } = {}] = await apiKeys.list({ limit: 1, before: null })
  t.strictSame(second, first)
  await t.rejects(
    apiKeys.revoke('01900000-0000-7000-8000-000000000000' as ApiKeyId, 'ann'),
    ApiKeyNotFound,
  )
  const audited = await pool.query(
    `select who, action from postrider.audit_log where target_kind = 'api_key' and target_id = $1 order by id`,
    [apiKey.id],
  )
  t.strictSame(audited.rows, [
    { who: 'postrider', action: 'create_api_key' },
    { who: 'ann', action: 'revoke_api_key' },
  ])
})

t.test('the last use is written, at most once a minute', async (t) => {
  const { apiKeys, clock, lastUse } = bundle()
  const { key, apiKey } = await apiKeys.issue({ name: 'ci', scopes: ['read'] })
  t.equal(await lastUse(apiKey.id), null)
  await apiKeys.verify(key)
  t.ok(((await lastUse(apiKey.id)) ?? 9) < 5)

  const age = (seconds: number) =>
    pool.query(
      'update postrider.api_key set last_used_at = now() - make_interval(secs => $2) where id = $1',
      [apiKey.id, seconds],
    )
  await age(3_600)
  clock.now += 59_999
  await apiKeys.verify(key)
  t.ok(((await lastUse(apiKey.id)) ?? 0) >= 3_600, 'this process wrote it less than a minute ago')
  clock.now += 1
  await age(59)
  await apiKeys.verify(key)
  t.ok(((await lastUse(apiKey.id)) ?? 0) >= 59, 'another process did')
  clock.now += 60_000
  await age(61)
  await apiKeys.verify(key)
  t.ok(((await lastUse(apiKey.id)) ?? 9) < 5)
})

t.test('many keys at once are written together, and a failure harms no request', async (t) => {
  const { apiKeys, lastUse } = bundle()
  const issued = await Promise.all(
    Array.from({ length: 30 }, () => apiKeys.issue({ name: 'many', scopes: ['read'] })),
  )
  await Promise.all(issued.map(({ key }) => apiKeys.verify(key)))
  for (const { apiKey } of issued) t.ok(((await lastUse(apiKey.id)) ?? 9) < 5)

  const broken = database.withPlugin({
    transformQuery: ({ node }) => {
      if (node.kind === 'RawNode') throw new Error('no database')
      return node
    },
    transformResult: async ({ result }) => result,
  })
  const failing = createApiKeys({ database: broken, adminKeyHash: null })
  t.ok(await failing.verify(issued[0]?.key ?? ''))
  await failing.idle()
})

t.test('lists the newest first, those of one tenant if asked, never a hash', async (t) => {
  const { apiKeys } = bundle()
  const { tenant } = await tenants.put('lister', {})
  const issue = (name: string, tenantId: typeof tenant.id | null = null) =>
    apiKeys.issue({ name, scopes: ['read'], tenantId })
  await issue('first', tenant.id)
  await issue('second')
  await issue('third', tenant.id)
  const page = await apiKeys.list({ limit: 2, before: null })
  t.match(page, [
    { name: 'third', tenant: 'lister' },
    { name: 'second', tenant: null },
  ])
  t.match(await apiKeys.list({ limit: 1, before: page[1]?.id ?? null }), [{ name: 'first' }])
  t.match(await apiKeys.list({ limit: 9, before: null, tenant: 'lister' }), [
    { name: 'third' },
    { name: 'first' },
  ])
  t.strictSame(await apiKeys.list({ limit: 9, before: null, tenant: 'nobody' }), [])
  t.notOk(page.some((row) => 'hash' in row))
})
