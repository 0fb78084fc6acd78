import t from 'tap'
import { createDatabase } from '../database/pool.ts'
import { createTestDatabase } from '../testing/database.ts'
import { createApiKeys, hashApiKey } from './api-keys.ts'
import { createTenants } from './tenants.ts'

const { pool } = await createTestDatabase(t)
const database = createDatabase(pool)

/** Keys with a clock that the test sets. */
function bundle(adminKey: string | null = 'the-admin-key') {
  const clock = { now: Date.now() }
  const apiKeys = createApiKeys({
    database,
    adminKeyHash: adminKey === null ? null : hashApiKey(adminKey),
    now: () => clock.now,
  })
  const revoke = (id: string) =>
    pool.query('update postrider.api_key set revoked_at = now() where id = $1', [id])
  return { apiKeys, clock, revoke }
}

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
  const { tenant } = await createTenants({ database }).put('acme', {})
  const { key } = await apiKeys.issue({ name: 'acme', scopes: ['read'], tenantId: tenant.id })
  t.match(await apiKeys.verify(key), { tenant: { id: tenant.id, key: 'acme' } })
})

t.test('a revoked key works for five seconds at most', async (t) => {
  const { apiKeys, clock, revoke } = bundle()
  const { key, apiKey } = await apiKeys.issue({ name: 'ci', scopes: ['read'] })
  t.ok(await apiKeys.verify(key))
  await revoke(apiKey.id)
  clock.now += 4_999
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
  pool.off('acquire', count)
  t.ok(callers.every((caller) => caller !== null))
  t.equal(queries, 1)
})
