import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const tenant = await createTenant(pool)
const tenantId = tenant.id as TenantId
const ALL = ['publish', 'read', 'manage', 'admin'] as const

t.test('POST makes a key that works, shown this once', async (t) => {
  const made = await request('POST', '/api/keys', { body: { name: 'ci', scopes: ['read'] } })
  t.match(made, {
    status: 201,
    json: {
      name: 'ci',
      tenant: null,
      scopes: ['read'],
      expiresAt: null,
      lastUsedAt: null,
      revokedAt: null,
    },
  })
  const { key, ...shown } = made.json
  t.match(key, /^pr_[\w-]{43}$/)
  t.equal((await request('GET', '/api/tenants', { key })).status, 200)
  await apiKeys.idle()
  const [listed] = (await request('GET', '/api/keys?limit=1')).json.data
  t.match(listed.lastUsedAt, /^\d{4}-\d\d-\d\dT.*Z$/)
  t.strictSame({ ...listed, lastUsedAt: null }, shown)
  const { rows } = await pool.query('select * from postrider.api_key where id = $1', [shown.id])
  t.notMatch(JSON.stringify(rows), key)
})

t.test('a key may be for one tenant, and until a time', async (t) => {
  const expiresAt = '2999-01-01T01:00:00+01:00'
  const body = { name: 'acme', scopes: ['read', 'read'], tenant: tenant.key, expiresAt }
  const made = await request('POST', '/api/keys', { body })
  t.match(made, {
    status: 201,
    json: { tenant: tenant.key, scopes: ['read'], expiresAt: '2999-01-01T00:00:00.000Z' },
  })
  const { key } = made.json
  t.equal((await request('GET', `/api/tenants/${tenant.key}`, { key })).status, 200)
  const mine = await request('GET', `/api/keys?tenant=${tenant.key}`)
  t.match(mine.json, { data: [{ id: made.json.id }], nextCursor: null })
})

t.test('DELETE revokes at once, and again changes nothing', async (t) => {
  const { json } = await request('POST', '/api/keys', { body: { name: 'x', scopes: ['read'] } })
  const asKey = { key: json.key }
  t.equal((await request('GET', '/api/tenants', asKey)).status, 200)
  for (const _ of ['once', 'twice']) {
    t.match(await request('DELETE', `/api/keys/${json.id}`), { status: 204, text: '' })
  }
  t.match(await request('GET', '/api/tenants', asKey), { status: 401 })
  const [listed] = (await request('GET', '/api/keys?limit=1')).json.data
  t.match(listed, { id: json.id, revokedAt: /Z$/ })
})

t.test('DELETE of an unknown key, or of what is no id, is 404', async (t) => {
  for (const id of ['01900000-0000-7000-8000-000000000000', 'x', '%00', '%ff']) {
    const { status, json } = await request('DELETE', `/api/keys/${id}`)
    t.match({ status, json }, { status: 404, json: { code: 'api_key_not_found' } }, id)
  }
})

t.test('422 names every invalid field', async (t) => {
  const invalid = {
    name: [undefined, '', 'a\0', 'a\ud800', 'x'.repeat(201), 1, null, 'a\u200b', 'a\u202eb'],
    scopes: [undefined, [], 'read', null],
    'scopes[0]': [['all'], [null]],
    tenant: ['nobody', 'postrider:operator', '', 'a b', 1],
    expiresAt: ['soon', '2000-01-01T00:00:00Z', '2030-01-01', 1],
    key: ['pr_chosen'],
  }
  for (const [field, values] of Object.entries(invalid)) {
    for (const value of values) {
      const body = { name: 'x', scopes: ['read'], [field.replace('[0]', '')]: value }
      const { status, json } = await request('POST', '/api/keys', { body })
      t.match({ status, json }, { status: 422, json: { errors: [{ field }] } }, `${field} ${value}`)
    }
  }
  for (const query of ['limit=0', 'cursor=x', 'tenant=a%20b', 'page=1']) {
    t.equal((await request('GET', `/api/keys?${query}`)).status, 422, query)
  }
  const several = await request('POST', '/api/keys', { body: { scopes: ['x'], expiresAt: 'x' } })
  t.equal(several.json.errors.length, 3)
  t.equal((await request('POST', '/api/keys', { body: '{' })).status, 400)
})

t.test('lists page by page, newest first', async (t) => {
  for (const name of ['page-1', 'page-2', 'page-3']) {
    await request('POST', '/api/keys', { body: { name, scopes: ['read'] } })
  }
  const first = await request('GET', '/api/keys?limit=2')
  t.match(first.json.data, [{ name: 'page-3' }, { name: 'page-2' }])
  const second = await request('GET', `/api/keys?limit=1&cursor=${first.json.nextCursor}`)
  t.match(second.json.data, [{ name: 'page-1' }])
})

t.test('keys are for admins that are bound to no tenant', async (t) => {
  const manager = await apiKeys.issue({ name: 'manager', scopes: ['publish', 'read', 'manage'] })
  const bound = await apiKeys.issue({ name: 'bound', scopes: [...ALL], tenantId })
  const body = { name: 'x', scopes: ['read'] }
  for (const [method, path] of [
    ['POST', '/api/keys'],
    ['GET', '/api/keys'],
    ['DELETE', `/api/keys/${manager.apiKey.id}`],
  ] as const) {
    const as = (key: string | null) =>
      request(method, path, { key, ...(method === 'POST' && { body }) })
    t.match(await as(null), { status: 401 })
    t.match(await as('pr_x'), { status: 401 })
    t.match(await as(manager.key), { status: 403, json: { code: 'scope_missing' } })
    t.match(await as(bound.key), { status: 403, json: { code: 'key_of_one_tenant' } })
  }
})

t.test('who made and revoked a key is in the audit log', async (t) => {
  const admin = await apiKeys.issue({ name: 'admin', scopes: ['admin'] })
  const body = { name: 'x', scopes: ['read'], tenant: tenant.key }
  const { json } = await request('POST', '/api/keys', { body, key: admin.key })
  await request('DELETE', `/api/keys/${json.id}`)
  const { rows } = await pool.query(
    'select who, action, tenant_id from postrider.audit_log where target_id = $1 order by id',
    [json.id],
  )
  t.strictSame(rows, [
    { who: `api key ${admin.apiKey.id}`, action: 'create_api_key', tenant_id: tenantId },
    { who: 'admin key', action: 'revoke_api_key', tenant_id: tenantId },
  ])
})
