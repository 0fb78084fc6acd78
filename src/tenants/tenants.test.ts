import t from 'tap'
import { TenantNotFound } from '../not-found.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { TENANT_KEY } from './tenants.ts'

const { pool } = await createTestDatabase(t)
const { tenants } = createTestServices(pool)

t.test('a tenant is named by its key until it is given a name', async (t) => {
  const made = await tenants.put('acme', {})
  t.match(made, { isNew: true, tenant: { key: 'acme', name: 'acme', suspended_at: null } })
  const named = await tenants.put('acme', { name: 'Acme Inc.' })
  t.match(named, { isNew: false, tenant: { id: made.tenant.id, name: 'Acme Inc.' } })
  const again = await tenants.put('acme', {})
  t.match(again, { isNew: false, tenant: { name: 'Acme Inc.' } }, 'a name left out stays')
  t.match(await tenants.find('acme'), { id: made.tenant.id, name: 'Acme Inc.' })
})

t.test('concurrent puts make one tenant', async (t) => {
  const made = await Promise.all(Array.from({ length: 8 }, () => tenants.put('race', {})))
  t.equal(new Set(made.map(({ tenant }) => tenant.id)).size, 1)
  t.equal(made.filter(({ isNew }) => isNew).length, 1)
})

t.test('what is no key finds no tenant, without asking the database', async (t) => {
  for (const key of ['nobody', '', 'NUL\0', 'two words', 'x'.repeat(129)]) {
    await t.rejects(tenants.find(key), TenantNotFound)
  }
})

t.test('the pattern of keys is the constraint of the table', async (t) => {
  const keys = [
    'a',
    '1',
    'A.b_c:d-e',
    'x'.repeat(128),
    'x'.repeat(129),
    '',
    '.a',
    '-a',
    'ä',
    'a/b',
    'a b',
  ]
  for (const key of keys) {
    const { rows } = await pool.query(
      `select $1 ~ substring(pg_get_constraintdef(oid) from '''(\\^.*\\$)''') as fits
       from pg_constraint where conrelid = 'postrider.tenant'::regclass and conname = 'tenant_key_check'`,
      [key],
    )
    t.equal(TENANT_KEY.test(key), rows[0].fits, key)
  }
})

t.test('a uid has 1 to 256 of its characters, for tenants and endpoints', async (t) => {
  const { tenant } = await tenants.put('with-uid', {})
  const setTenant = 'update postrider.tenant set uid = $1 where id = $2'
  const addEndpoint = `insert into postrider.endpoint (tenant_id, url, uid)
    values ($2, 'https://example.com/', $1)`
  for (const statement of [setTenant, addEndpoint]) {
    for (const uid of ['u', 'A.b_c-9', 'x'.repeat(256)]) {
      await t.resolves(pool.query(statement, [uid, tenant.id]), uid)
    }
    for (const uid of ['', 'x'.repeat(257), 'a b', 'ä', 'a\n']) {
      await t.rejects(pool.query(statement, [uid, tenant.id]), { code: '23514' }, uid)
    }
  }
})

t.test('lists the newest first and goes on below an id', async (t) => {
  for (const key of ['list-1', 'list-2', 'list-3']) await tenants.put(key, {})
  const page = await tenants.list({ limit: 2, before: null })
  t.strictSame(
    page.map(({ key }) => key),
    ['list-3', 'list-2'],
  )
  const [next] = await tenants.list({ limit: 1, before: page.at(-1)?.id ?? null })
  t.equal(next?.key, 'list-1')
})
