import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createWork } from '../testing/data/work.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const OPERATOR = 'postrider:operator'
const OPERATIONS = [
  ['PATCH', ''],
  ['POST', '/suspend'],
  ['POST', '/resume'],
  ['DELETE', ''],
] as const

const publish = (tenant: string) =>
  request('POST', '/api/events', { body: { tenant, type: 'a.b', data: 1 } })

/** What the job of a deletion does, until it is over. */
async function deleteRows(tenantId: string): Promise<string> {
  await pool.query(
    `update postrider.tenant set deletion_started_at = now() - interval '11 seconds' where id = $1`,
    [tenantId],
  )
  for (;;) {
    const { rows } = await pool.query('select postrider.delete_tenant_step($1) as step', [tenantId])
    if (!/deleted$|^waiting/.test(rows[0]?.step)) return rows[0]?.step
  }
}

t.test('PATCH changes the name', async (t) => {
  const { tenant } = await createWork(pool)
  const path = `/api/tenants/${tenant.key}`
  t.match(await request('PATCH', path, { body: { name: 'Acme' } }), {
    status: 200,
    json: { id: tenant.id, name: 'Acme' },
  })
  t.match(await request('PATCH', path, { body: {} }), { status: 200, json: { name: 'Acme' } })
  for (const name of ['', 'a\0', 1, null, 'x'.repeat(201)]) {
    const { status, json } = await request('PATCH', path, { body: { name } })
    t.match({ status, json }, { status: 422, json: { errors: [{ field: 'name' }] } }, String(name))
  }
  const { key } = await apiKeys.issue({
    name: 'its own',
    scopes: ['manage'],
    tenantId: tenant.id as TenantId,
  })
  t.equal((await request('PATCH', path, { body: { name: 'Mine' }, key })).status, 200)
})

t.test('suspend refuses events and holds deliveries; resume takes up where it was', async (t) => {
  const work = await createWork(pool)
  const path = `/api/tenants/${work.tenant.key}`
  const due = await work.publish()
  for (const _ of ['once', 'twice']) {
    const suspended = await request('POST', `${path}/suspend`)
    t.match(suspended, { status: 200, json: { key: work.tenant.key, suspendedAt: /Z$/ } })
  }
  t.match(await publish(work.tenant.key), { status: 422, json: { code: 'tenant_suspended' } })
  t.equal(await work.claim(due), null)
  t.match(await work.deliveryOf(due.eventId), { state: 'held' })

  for (const _ of ['once', 'twice']) {
    const resumed = await request('POST', `${path}/resume`)
    t.match(resumed, { status: 200, json: { suspendedAt: null } })
  }
  t.equal((await publish(work.tenant.key)).status, 202)
  await pool.query('select postrider.align($1)', [work.endpoint.id])
  const released = await work.deliveryOf(due.eventId)
  t.match(released, { state: 'pending' })
  t.ok(await work.claim(released))
  t.match(await work.audited(), [
    { who: 'admin key', action: 'suspend_tenant' },
    { action: 'resume_tenant' },
  ])
})

t.test('DELETE answers at once, shows its progress, and ends with 404', async (t) => {
  const work = await createWork(pool)
  const { tenant } = work
  const path = `/api/tenants/${tenant.key}`
  const bound = await apiKeys.issue({
    name: 'bound',
    scopes: ['read'],
    tenantId: tenant.id as TenantId,
  })
  for (let n = 0; n < 3; n++) await work.publish()

  const begun = await request('DELETE', path)
  const deleting = { startedAt: /Z$/, deletedRows: 0, remaining: { events: 3, deliveries: 3 } }
  t.match(begun, { status: 202, json: { key: tenant.key, suspendedAt: /Z$/, deleting } })
  t.strictSame((await request('DELETE', path)).json, begun.json, 'again changes nothing')
  t.strictSame((await request('GET', path)).json, begun.json)
  const [listed] = (await request('GET', '/api/tenants?limit=1')).json.data
  t.match(listed, { key: tenant.key, deleting: { ...deleting, remaining: null } })

  t.match(await publish(tenant.key), { status: 422, json: { code: 'tenant_deleting' } })
  t.match(await request('GET', `${path}/endpoints`), {
    status: 404,
    json: { code: 'tenant_not_found' },
  })
  t.equal(await createTestApi(pool).apiKeys.verify(bound.key), null)
  for (const [method, suffix] of [...OPERATIONS.slice(0, 3), ['PUT', '']] as const) {
    const refused = await request(method, `${path}${suffix}`)
    t.match(refused, { status: 409, json: { code: 'tenant_deleting' } }, `${method} ${suffix}`)
  }

  await pool.query('select postrider.delete_tenant_step($1)', [tenant.id])
  const half = { deletedRows: 3, remaining: { events: 3, deliveries: 0 } }
  t.match((await request('GET', path)).json, { deleting: half })
  t.equal(await deleteRows(tenant.id), 'done')
  t.match(await request('GET', path), { status: 404 })
  t.match(await request('DELETE', path), { status: 404 })
  const again = await request('PUT', path)
  t.match(again, { status: 201 })
  t.not(again.json.id, tenant.id)
})

t.test('401, 403 and 404', async (t) => {
  const { tenant } = await createWork(pool)
  const reader = await apiKeys.issue({ name: 'reader', scopes: ['publish', 'read'] })
  const tenantId = tenant.id as TenantId
  const bound = await apiKeys.issue({ name: 'bound', scopes: ['manage', 'admin'], tenantId })
  for (const [method, suffix] of OPERATIONS) {
    const as = (key: string | null, of = tenant.key) =>
      request(method, `/api/tenants/${of}${suffix}`, { key })
    const name = `${method} ${suffix}`
    t.equal((await as(null)).status, 401, name)
    t.equal((await as('pr_x')).status, 401, name)
    t.match(await as(reader.key), { status: 403, json: { code: 'scope_missing' } }, name)
    if (method !== 'PATCH') {
      t.match(await as(bound.key), { status: 403, json: { code: 'key_of_one_tenant' } }, name)
    }
    for (const unknown of ['nobody', 'a%00b', '%ff', '%20']) {
      const { status, json } = await request(method, `/api/tenants/${unknown}${suffix}`)
      t.match({ status, json }, { status: 404, json: { code: 'tenant_not_found' } }, name)
    }
  }
  t.match(await request('GET', `/api/tenants/${tenant.key}`), { json: { suspendedAt: null } })
})

t.test('tenants of the service itself are hidden and stay as they are', async (t) => {
  const keysOf = async (query: string, key?: string) => {
    const { json } = await request('GET', `/api/tenants?limit=100${query}`, { ...(key && { key }) })
    return json.data.map((each: { key: string }) => each.key)
  }
  t.notOk((await keysOf('')).includes(OPERATOR))
  t.notOk((await keysOf('&reserved=false')).includes(OPERATOR))
  t.ok((await keysOf('&reserved=true')).includes(OPERATOR))
  t.equal((await request('GET', '/api/tenants?reserved=maybe')).status, 422)
  for (const [method, suffix] of [...OPERATIONS, ['PUT', '']] as const) {
    for (const reserved of [OPERATOR, 'postrider:mine']) {
      const { status, json } = await request(method, `/api/tenants/${reserved}${suffix}`)
      t.match({ status, json }, { status: 403, json: { code: 'tenant_reserved' } }, method)
    }
  }
  await t.rejects(pool.query('select postrider.delete_tenant($1)', [OPERATOR]), { code: '55000' })
})

t.test('only admins manage the endpoints of operational events', async (t) => {
  const path = `/api/tenants/${OPERATOR}/endpoints`
  const body = { url: 'https://example.com/operational' }
  const made = await request('POST', path, { body })
  t.equal(made.status, 201)
  t.equal((await request('GET', path)).json.data.length, 1)
  t.match(await request('GET', `/api/tenants/${OPERATOR}`), { status: 200 })
  const { key } = await apiKeys.issue({ name: 'all but', scopes: ['publish', 'read', 'manage'] })
  t.match(await request('GET', path, { key }), { status: 404 })
  t.match(await request('POST', path, { key, body }), { status: 404 })
  t.match(await request('GET', `/api/tenants/${OPERATOR}`, { key }), { status: 404 })
  t.notOk(
    (await request('GET', '/api/tenants?reserved=true&limit=100', { key })).text.includes(OPERATOR),
  )
  const event = { tenant: OPERATOR, type: 'endpoint.failing', data: {} }
  const forged = await request('POST', '/api/events', { key, body: event })
  t.match(forged, { status: 422, json: { code: 'tenant_not_found' } })
  t.equal((await request('DELETE', `${path}/${made.json.id}`)).status, 204)
})
