/** What somebody does on a page is held to what a request is held to, and leaves the same traces. */
import t from 'tap'
import type { TenantId } from '../../ids.ts'
import { createTenant, operatorTenant } from '../../testing/data/tenant.ts'
import { addIncident } from '../../testing/data/world.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { createTestConsole } from '../../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
/** Of the service itself; only admins touch it. */
const RESERVED = 'postrider:operator'
const URL = 'http://127.0.0.1:9/a'

async function bundle(env: Record<string, string> = {}) {
  const pages = await createTestConsole(pool, { env })
  const tenant = await createTenant(pool)
  const { key } = await pages.apiKeys.issue({ name: 'manages', scopes: ['read', 'manage'] })
  const cookie = await pages.signedIn(key)
  const send = (path: string, fields: Record<string, string> = {}) =>
    pages.post(`/console${path}`, fields, { cookie })
  const ask = (method: string, path: string, body?: unknown) =>
    pages.request(method, `/api${path}`, { key, ...(body !== undefined && { body }) })
  const see = (path: string) => pages.get(`/console${path}`, { cookie })
  return { ...pages, tenant, send, ask, see }
}

t.test('a form is refused for what a request is refused for', async (t) => {
  const { send, ask, tenant } = await bundle()
  const endpoints = `/tenants/${tenant.key}/endpoints`
  const name = await ask('POST', endpoints, `{"url": "${URL}", "headers": {"__proto__": "a"}}`)
  t.match(name, { status: 422, json: { errors: [{ field: 'headers.__proto__' }] } })
  const named = await send('/endpoints/new', {
    ...{ tenant: tenant.key, url: URL },
    headers: '__proto__: a',
  })
  t.match(named, {
    status: 422,
    text: /id="mistake-headers">“__proto__” is a name that JavaScript has/,
  })

  const endpoint = await tenant.addEndpoint({ url: URL })
  const incident = await addIncident(pool, tenant.id, endpoint.id)
  for (const [verb, member] of [
    ['note', 'note'],
    ['notify', 'message'],
  ] as const) {
    for (const text of ['pay\u202eto', 'x'.repeat(4_001)]) {
      const path = `/incidents/${incident}/${verb}`
      const asked = await ask('POST', `/tenants/${tenant.key}${path}`, { [member]: text })
      t.match(asked, { status: 422, json: { errors: [{ field: member }] } }, verb)
      t.equal((await send(path, { [member]: text })).status, 422, verb)
    }
    t.equal((await send(`/incidents/${incident}/${verb}`, { [member]: 'fine' })).status, 303)
  }

  const deep = `${'{"not":'.repeat(600)}{}${'}'.repeat(600)}`
  t.equal((await ask('PUT', '/event-types/deep', `{"schema": ${deep}}`)).status, 400)
  const typed = await send('/event-types', { name: 'deep', schema: deep })
  t.match(typed, { status: 422, text: /At most 512 levels/ })

  const large = JSON.stringify({ description: 'x'.repeat(131_072) })
  t.equal((await ask('PUT', '/event-types/large', `{"schema": ${large}}`)).status, 413)
  t.equal((await send('/event-types', { name: 'large', schema: large })).status, 422)
  t.equal((await ask('GET', '/event-types/large')).status, 404, 'neither has made it')
})

t.test('a tenant of the service is out of reach of a key that is no admin', async (t) => {
  const { send, ask, see, request, post, get, signedIn } = await bundle()
  const made = await request('POST', `/api/tenants/${RESERVED}/endpoints`, { body: { url: URL } })
  const { id } = made.json
  const forms = ['pause', 'delete', 'secret', 'test', 'rotate', 'edit']
  t.equal((await ask('POST', `/tenants/${RESERVED}/endpoints/${id}/pause`)).status, 404)
  for (const form of forms) t.equal((await send(`/endpoints/${id}/${form}`)).status, 404, form)
  t.equal((await send('/endpoints/new', { tenant: RESERVED, url: URL })).status, 422)
  t.equal((await ask('GET', `/tenants/${RESERVED}/endpoints/${id}`)).status, 404)
  t.equal((await see(`/endpoints/${id}`)).status, 404)
  const admin = await signedIn()
  t.equal((await get(`/console/endpoints/${id}`, { cookie: admin })).status, 200)
  t.equal((await post(`/console/endpoints/${id}/pause`, {}, { cookie: admin })).status, 303)
})

/** What each list across tenants has of the service's own tenant when everything about it is there. */
const LISTS = [
  ...['', '/endpoints', '/deliveries', '/events', '/replays', '/incidents', '/audit', '/tenants'],
]

t.test('no list shows it to a key that is no admin, nor takes its name', async (t) => {
  const { see, get, signedIn } = await bundle()
  const operator = await operatorTenant(pool)
  const { id } = await operator.addEndpoint({ url: 'http://127.0.0.1:9/of-the-service' })
  const event = await operator.publish('of.the_service')
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since) values ($1, $2, 1, now())`,
    [id, operator.id],
  )
  await addIncident(pool, operator.id, id)
  await pool.query(
    `select postrider.start_replay(tenant => $1, since => now() - interval '1 hour', until => now(), who => 'test')`,
    [RESERVED],
  )
  await pool.query(`select postrider.audit('test', 'act', 'event', $1, $2, '{}')`, [
    event,
    operator.id,
  ])
  const admin = await signedIn()
  const isOfService = /postrider:operator|of-the-service|of\.the_service/
  for (const list of LISTS) {
    const { status, text } = await see(list)
    t.match(
      { status, is: isOfService.test(text) },
      { status: 200, is: false },
      `${list} of a reader`,
    )
    t.match(
      (await get(`/console${list}`, { cookie: admin })).text,
      isOfService,
      `${list} of an admin`,
    )
    if (list === '' || list === '/tenants') continue
    const named = await see(`${list}?tenant=${RESERVED}`)
    t.match(named, { status: 422, text: 'Tenant not found' }, list)
    const found = await see(`${list}?search=${event}`)
    t.match({ ...found, is: isOfService.test(found.text) }, { status: 200, is: false }, list)
  }
  t.equal((await see(`/live/stream?tenant=${RESERVED}`)).status, 422)
  t.equal((await see(`/tenants/${RESERVED}`)).status, 404)
  t.equal((await get(`/console/tenants/${RESERVED}`, { cookie: admin })).status, 200)
})

t.test('the audit log names who has sent a form as it names who made a request', async (t) => {
  const { send, ask, tenant } = await bundle()
  const { json: endpoint } = await ask('POST', `/tenants/${tenant.key}/endpoints`, { url: URL })
  const path = `/endpoints/${endpoint.id}`
  const written = async () => {
    const { rows } = await pool.query(
      `select who, action, target_kind, target_id, tenant_id from postrider.audit_log
       where target_id = $1 order by id`,
      [endpoint.id],
    )
    return rows
  }
  const before = (await written()).length
  await ask('PATCH', `/tenants/${tenant.key}${path}`, { description: 'one' })
  await ask('POST', `/tenants/${tenant.key}${path}/pause`)
  await ask('GET', `/tenants/${tenant.key}${path}/secret`)
  const byRequests = (await written()).slice(before)
  await ask('POST', `/tenants/${tenant.key}${path}/resume`)

  const start = (await written()).length
  t.equal((await send(`${path}/edit`, { url: URL, description: 'two' })).status, 303)
  t.equal((await send(`${path}/pause`)).status, 303)
  t.equal((await send(`${path}/secret`)).status, 200)
  t.equal(byRequests.length, 3)
  t.match(byRequests[0], { who: /^api key /, tenant_id: tenant.id as TenantId })
  t.strictSame((await written()).slice(start), byRequests)
})

t.test('forms count as requests of the key', async (t) => {
  const { send } = await bundle({ API_RATE_LIMIT: '1' })
  const answers = await Promise.all(Array.from({ length: 20 }, () => send('/tenants', { key: '' })))
  const refused = answers.filter(({ status }) => status === 429)
  t.ok(refused.length > 0)
  t.match(refused[0]?.text, 'Too many requests')
  t.match(refused[0]?.headers.get('retry-after'), /^\d+$/)
})
