import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const tenant = await createTenant(pool)
const other = await createTenant(pool)
const bound = await apiKeys.issue({
  name: 'bound',
  scopes: ['read', 'manage'],
  tenantId: tenant.id as TenantId,
})
const reader = await apiKeys.issue({ name: 'reader', scopes: ['read'] })

t.test('PUT makes a tenant, then changes it', async (t) => {
  const made = await request('PUT', '/api/tenants/acme', { body: { name: 'Acme' } })
  t.match(made, { status: 201, json: { key: 'acme', name: 'Acme', suspendedAt: null } })
  t.match(made.json.createdAt, /^\d{4}-\d\d-\d\dT.*Z$/)
  const changed = await request('PUT', '/api/tenants/acme', { body: { name: 'Acme Inc.' } })
  t.match(changed, { status: 200, json: { id: made.json.id, name: 'Acme Inc.' } })
  const bare = await request('PUT', '/api/tenants/acme')
  t.match(bare, { status: 200, json: { name: 'Acme Inc.' } }, 'no body changes nothing')
  t.strictSame((await request('GET', '/api/tenants/acme')).json, bare.json)
})

t.test('PUT refuses a key that is none, and a name that cannot be stored', async (t) => {
  for (const key of ['a%00b', 'a%20b', '%C3%A4', 'x'.repeat(129), '%ff']) {
    const { status, json } = await request('PUT', `/api/tenants/${key}`)
    t.match({ status, json }, { status: 422, json: { errors: [{ field: 'tenant' }] } }, key)
  }
  const hidden = await request('PUT', '/api/tenants/acme%E2%80%8B')
  t.match(hidden.json, { errors: [{ message: /letter or digit; it contains U\+200B/ }] })
  const odd = ['acme\u200b', 'acme\u202e', ' acme', 'acme\u00a0', 'ac\u00adme', 'a\nb']
  for (const name of ['', 'a\0', 'a\ud800', 'x'.repeat(201), 1, null, ...odd]) {
    const { status, json } = await request('PUT', '/api/tenants/named', { body: { name } })
    t.match({ status, json }, { status: 422, json: { errors: [{ field: 'name' }] } }, String(name))
  }
  const unknown = await request('PUT', '/api/tenants/named', { body: { key: 'x', state: 1 } })
  t.match(unknown, { status: 422, json: { errors: [{ field: 'key' }, { field: 'state' }] } })
  t.equal((await request('GET', '/api/tenants/named')).status, 404)
})

t.test('PUT refuses bodies that are no JSON, too large, or of another type', async (t) => {
  const put = (body: unknown, headers = {}) =>
    request('PUT', '/api/tenants/acme', { body, headers })
  t.match(await put('{'), { status: 400, json: { code: 'json_invalid' } })
  t.match(await put({ name: 'x'.repeat(140_000) }), {
    status: 413,
    json: { code: 'body_too_large' },
  })
  t.match(await put('name=x', { 'content-type': 'application/x-www-form-urlencoded' }), {
    status: 415,
  })
})

t.test('GET of an unknown tenant, or of what is no key, is 404', async (t) => {
  for (const key of ['nobody', 'a%00b', '%20', '%ff']) {
    const { status, json } = await request('GET', `/api/tenants/${key}`)
    t.match({ status, json }, { status: 404, json: { code: 'tenant_not_found' } }, key)
  }
})

t.test('401 and 403', async (t) => {
  for (const [method, path] of [
    ['PUT', '/api/tenants/acme'],
    ['GET', '/api/tenants/acme'],
    ['GET', '/api/tenants'],
  ] as const) {
    t.equal((await request(method, path, { key: null })).status, 401, `${method} ${path}`)
    t.equal((await request(method, path, { key: 'pr_x' })).status, 401, `${method} ${path}`)
  }
  t.equal((await request('PUT', '/api/tenants/acme', { key: reader.key })).status, 403)
})

t.test('a key of one tenant cannot see, make or change another', async (t) => {
  const { key } = bound
  const foreign = await request('GET', `/api/tenants/${other.key}`, { key })
  const unknown = await request('GET', '/api/tenants/nobody', { key })
  t.equal(foreign.status, 404)
  t.strictSame(foreign.json, unknown.json)
  t.equal((await request('PUT', `/api/tenants/${other.key}`, { key })).status, 404)
  t.equal((await request('PUT', '/api/tenants/brand-new', { key })).status, 404)
  t.equal((await request('GET', '/api/tenants/brand-new')).status, 404)
  t.equal((await request('PUT', `/api/tenants/${tenant.key}`, { key })).status, 200)
  const list = await request('GET', '/api/tenants?limit=100', { key })
  t.strictSame(
    list.json.data.map((each: { key: string }) => each.key),
    [tenant.key],
  )
})

t.test('lists the newest first, page by page, stable under inserts', async (t) => {
  for (const key of ['page-1', 'page-2', 'page-3']) await request('PUT', `/api/tenants/${key}`)
  const first = await request('GET', '/api/tenants?limit=2')
  t.match(first.json.data, [{ key: 'page-3' }, { key: 'page-2' }])
  await request('PUT', '/api/tenants/page-4')
  const second = await request('GET', `/api/tenants?limit=1&cursor=${first.json.nextCursor}`)
  t.match(second.json.data, [{ key: 'page-1' }])
  t.equal((await request('GET', '/api/tenants?limit=100')).json.nextCursor, null)
})

t.test('422 for limits and cursors that are none, and for unknown parameters', async (t) => {
  const invalid = {
    limit: ['0', '101', '-1', '1.5', 'x', '', '1e1', '1&limit=2'],
    cursor: ['x', '', 'AAAA', '%00', `${'A'.repeat(22)}==`, 'A'.repeat(21).concat('B'), 'é'],
    page: ['2'],
  }
  for (const [field, values] of Object.entries(invalid)) {
    for (const value of values) {
      const { status, json } = await request('GET', `/api/tenants?${field}=${value}`)
      t.match({ status, json }, { status: 422, json: { errors: [{ field }] } }, `${field}=${value}`)
      if (field === 'cursor') t.match(json.errors[0].message, /^is not a cursor of this list/)
    }
  }
  const several = await request('GET', '/api/tenants?limit=0&cursor=x&page=1')
  t.equal(several.json.errors.length, 3)
  for (const limit of [1, 100]) {
    t.equal((await request('GET', `/api/tenants?limit=${limit}`)).status, 200)
  }
})
