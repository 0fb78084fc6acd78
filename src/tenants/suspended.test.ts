/** What a key of a suspended tenant may do: read what is the tenant's, and nothing else (issue 15). */
import t from 'tap'
import { bodyIn, createWorld, pathIn, type World } from '../testing/data/world.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import type { Document, Operation } from '../testing/wiring/openapi-check.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const document = (await request('GET', '/openapi.json')).json as Document
const operations = Object.entries(document.paths).flatMap(([template, item]) =>
  Object.entries(item)
    .filter(([, { security }]) => security?.length !== 0)
    .map(([method, operation]) => ({ template, method: method.toUpperCase(), operation })),
)

/** What takes no more than the scope `read`. */
const isReading = ({ template, method }: { template: string; method: string }) =>
  (method === 'GET' &&
    !template.endsWith('/secret') &&
    !/^\/api\/(keys|(incidents|search|ordering-keys|service)$)/.test(template)) ||
  template.endsWith('/match')
/** Refused to every key of one tenant, suspended or not. */
const OF_NO_TENANT =
  /^(POST \/api\/tenants\/\{tenant\}\/(suspend|resume|incidents\/\{id\}\/(acknowledge|note|notify))|DELETE \/api\/tenants\/\{tenant\}|GET \/api\/(incidents|search|ordering-keys|service))$/
const OF_OPERATORS = /^(\/api\/keys|\/api\/service\/|\/api\/event-types)/

async function bundle() {
  const world = await createWorld(pool)
  const keyWith = (...scopes: ('publish' | 'read' | 'manage' | 'admin')[]) =>
    apiKeys.issue({ name: scopes.join(), scopes, tenantId: world.tenant.id as never }, 'test')
  const { key } = await keyWith('publish', 'read', 'manage')
  const admin = (await keyWith('admin')).key
  const set = (action: 'suspend' | 'resume') =>
    request('POST', `/api/tenants/${world.tenant.key}/${action}`)
  await set('suspend')
  return { world, key, admin, set }
}

function ask(
  world: World,
  key: string,
  of: { template: string; method: string; operation: Operation },
) {
  const body = bodyIn(world, of.operation)
  return request(of.method, pathIn(world, of.template), { body, key })
}

async function stateOf(tenantId: string) {
  const tables = [
    'tenant',
    'endpoint',
    'endpoint_secret',
    'event',
    'delivery',
    'replay',
    'incident',
    'portal_link',
  ]
  const parts = tables.map(
    (table) => `(select json_agg(r order by r.id) from postrider.${table} r
      where r.${table === 'tenant' ? 'id' : 'tenant_id'} = $1) as ${table}`,
  )
  return (await pool.query(`select ${parts.join(', ')}`, [tenantId])).rows
}

t.test('it reads what is there', async (t) => {
  const { world, key } = await bundle()
  const reading = operations.filter(isReading).filter(({ template }) => !/stream$/.test(template))
  t.ok(reading.length > 15)
  for (const operation of reading) {
    const { status, text } = await ask(world, key, operation)
    // The endpoint of the world has no certificate, and nothing of its key is waiting.
    const expected = /certificate$|\{key\}$/.test(operation.template) ? 404 : 200
    t.equal(status, expected, `${operation.method} ${operation.template}: ${text.slice(0, 300)}`)
  }
})

t.test('everything else is refused, and changes nothing', async (t) => {
  const { world, key, admin } = await bundle()
  const before = await stateOf(world.tenant.id)
  const changing = operations.filter((operation) => !isReading(operation))
  t.ok(changing.length > 20)
  for (const operation of changing) {
    const name = `${operation.method} ${operation.template}`
    for (const [holder, asked] of [
      ['manage', key],
      ['admin', admin],
    ] as const) {
      const isOfAdmins = /^\/api\/(keys|service\/)/.test(operation.template)
      const ofNoTenant = OF_NO_TENANT.test(name) || (isOfAdmins && holder === 'admin')
      const isOther = OF_OPERATORS.test(operation.template)
      const code = ofNoTenant ? 'key_of_one_tenant' : isOther ? 'scope_missing' : 'tenant_suspended'
      const { status, json } = await ask(world, asked, operation)
      t.match(
        { status, json },
        { status: 403, json: { code } },
        `${name}, a key that may ${holder}`,
      )
    }
  }
  t.strictSame(await stateOf(world.tenant.id), before)
})

t.test('once the tenant is resumed, the same key may do what it could', async (t) => {
  const { world, key, set } = await bundle()
  await set('resume')
  const path = `/api/tenants/${world.tenant.key}`
  const body = { type: 'invoice.paid', data: 1 }
  t.match(await request('POST', '/api/events', { key, body }), { status: 202 })
  t.match(await request('PATCH', path, { key, body: { name: 'A' } }), { status: 200 })
  t.match(await request('POST', `${path}/endpoints/${world.ids['endpoints']}/pause`, { key }), {
    status: 200,
  })
})

t.test('others are not refused: a key of no tenant, one of another tenant', async (t) => {
  const { world } = await bundle()
  const other = await bundle()
  await other.set('resume')
  const path = `/api/tenants/${world.tenant.key}`
  const endpoint = `${path}/endpoints/${world.ids['endpoints']}`
  t.match(await request('PATCH', endpoint, { body: { description: 'A' } }), { status: 200 })
  const event = { tenant: world.tenant.key, type: 'invoice.paid', data: 1 }
  // It may publish, but not this event.
  t.match(await request('POST', '/api/events', { body: event }), {
    status: 422,
    json: { code: 'tenant_suspended', errors: [{ field: 'tenant' }] },
  })
  t.match(
    await request('POST', '/api/events', { key: other.key, body: { ...event, tenant: null } }),
    {
      status: 202,
    },
  )
  t.match(await request('POST', '/api/events', { key: other.key, body: event }), {
    status: 422,
    json: { code: 'tenant_not_found' },
  })
})
