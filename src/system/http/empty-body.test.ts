import t from 'tap'
import { startHttp } from '../../http/start-http.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { ADMIN_KEY, createTestApi } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'

/**
 * Over a real port: a request of Hono's own `app.request` has no body at all, one that came over a socket has
 * an empty one, and routes with an optional body answered 415 to that.
 */
const { pool } = await createTestDatabase(t)
const { app, request } = createTestApi(pool)
const http = await startHttp({ app, host: '127.0.0.1', port: 0 })
t.teardown(() => http.stop())

const call = async (method: string, path: string, headers = {}) => {
  const response = await fetch(http.url + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_KEY}`, ...headers },
  })
  return { status: response.status, text: await response.text() }
}

t.test('a body that is optional may be left out', async (t) => {
  const tenant = await createTenant(pool)
  const path = `/api/tenants/${tenant.key}`
  const { json: endpoint } = await request('POST', `${path}/endpoints`, {
    body: { url: 'http://127.0.0.1:1/' },
  })
  t.match(await call('PUT', path), { status: 200 })
  t.match(await call('PUT', '/api/event-types/order.made'), { status: /^20[01]$/ })
  t.match(await call('POST', `${path}/endpoints/${endpoint.id}/secret/rotate`), { status: 200 })
  t.match(await call('POST', `${path}/endpoints/${endpoint.id}/enable`), { status: 200 })
})

t.test('also with a content type, as some clients send it always', async (t) => {
  const tenant = await createTenant(pool)
  t.match(await call('PUT', `/api/tenants/${tenant.key}`, { 'content-type': 'application/json' }), {
    status: 200,
  })
})

t.test('one that is required is asked for', async (t) => {
  const tenant = await createTenant(pool)
  const { status } = await call('POST', `/api/tenants/${tenant.key}/endpoints`)
  t.ok([415, 422].includes(status), `${status}`)
})
