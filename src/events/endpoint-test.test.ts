import { Webhook } from 'standardwebhooks'
import t from 'tap'
import type { TenantId } from '../ids.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startRawReceiver, startReceiver } from '../testing/servers/receiver.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const { request, app, apiKeys } = createTestApi(pool)
/** Its own process: the API learns from the database what came of it. */
const runner = await startService(t, 'runner', { DATABASE_URL: url })
t.teardown(() => runner.stop())

async function bundle(columns: object = {}) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url, ...columns }, secretBox.encrypt)
  const path = `/api/tenants/${tenant.key}/endpoints/${endpoint.id}/test`
  const test = (body?: unknown) => request('POST', path, { body })
  const deliveryOf = async (id: string) =>
    (await request('GET', `/api/tenants/${tenant.key}/deliveries/${id}`)).json
  return { receiver, tenant, endpoint, path, test, deliveryOf }
}

t.test('sends a signed event to this endpoint alone, and returns the attempt', async (t) => {
  const { receiver, tenant, endpoint, test, deliveryOf } = await bundle({ event_types: ['other'] })
  await using neighbour = await startReceiver()
  await tenant.addEndpoint({ url: neighbour.url }, secretBox.encrypt)
  const { status, json } = await test()
  t.equal(status, 200)
  t.match(json, { number: 1, trigger: 'test', outcome: 'delivered', statusCode: 200, error: null })
  const [arrived] = await receiver.received(1)
  t.equal(arrived?.headers['webhook-id'], json.eventId)
  const verified = new Webhook(endpoint.secret).verify(
    arrived?.body ?? '',
    arrived?.headers as Record<string, string>,
  )
  t.match(verified, { type: 'postrider.test', data: { endpointId: endpoint.id } })
  t.match(await deliveryOf(json.deliveryId), { state: 'delivered', attempts: [{ id: json.id }] })
  await tenant.publish('a.b')
  const [other] = await neighbour.received(1)
  t.match(JSON.parse(other?.body ?? ''), { type: 'a.b' }, 'nothing else came here')
})

t.test('of a type that is described it sends the example', async (t) => {
  const { receiver, test } = await bundle()
  const schema = { type: 'object', properties: { id: { const: 7 } }, required: ['id'] }
  await request('PUT', '/api/event-types/with.schema', { body: { schema } })
  t.match(await test({ type: 'with.schema' }), { status: 200 })
  const [arrived] = await receiver.received(1)
  t.match(JSON.parse(arrived?.body ?? ''), { type: 'with.schema', data: { id: 7 } })
})

t.test('a refused address is told to operators, and not to the tenant', async (t) => {
  const { tenant, test, path } = await bundle({ url: 'http://10.1.2.3/hooks' })
  const words = {
    outcome: 'blocked',
    reason: 'blocked_address',
    error: 'the address is not allowed',
  }
  const shown = { ...words, errorDetail: '10.1.2.3 is not a public address' }
  const { json } = await test()
  t.match(json, shown)
  const ofTenant = { tenantId: tenant.id as TenantId, name: 'acme' }
  const { key } = await apiKeys.issue({ ...ofTenant, scopes: ['read', 'manage'] })
  const delivery = `/api/tenants/${tenant.key}/deliveries/${json.deliveryId}`
  t.match((await request('GET', delivery)).json.attempts, [shown])
  const asked = await request('GET', delivery, { key })
  t.match(asked.json.attempts, [{ ...words, errorDetail: null }])
  const tested = await request('POST', path, { key })
  t.match(tested.json, { ...words, errorDetail: null })
  // The host is that of the tenant's own URL.
  for (const { text } of [asked, tested]) t.notMatch(text, 'public address')
})

t.test('a failure is the answer, and is not tried again', async (t) => {
  const { receiver, test, deliveryOf } = await bundle({ retry_schedule: [1] })
  receiver.answerWith(() => ({ status: 503, headers: { 'retry-after': '1' }, body: 'busy' }))
  const { status, json } = await test({ type: 'invoice.paid', data: { id: 1 } })
  t.equal(status, 200)
  t.match(json, { outcome: 'rejected', statusCode: 503, responseBody: 'busy' })
  t.match(JSON.parse(receiver.requests[0]?.body ?? ''), { type: 'invoice.paid', data: { id: 1 } })
  t.match(await deliveryOf(json.deliveryId), {
    state: 'failed',
    nextAttemptAt: null,
    attemptCount: 1,
  })
})

t.test('what is wrong with an answer stands next to its status', async (t) => {
  await using odd = await startRawReceiver((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\nx-odd : a\n\ntaken'))
  })
  const { test, deliveryOf } = await bundle({ url: odd.url })
  const { json } = await test()
  const attempt = {
    outcome: 'delivered',
    statusCode: 200,
    reason: null,
    error: /^a line of the response does not end with CR LF/,
    responseHeaders: { 'x-odd': 'a' },
    responseBody: 'taken',
  }
  t.match(json, attempt)
  t.match(await deliveryOf(json.deliveryId), { state: 'delivered', attempts: [attempt] })
})

t.test('where the circuit is open it is the probe, and a success closes it', async (t) => {
  const { tenant, endpoint, test } = await bundle()
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at)
     values ($1, $2, 20, now(), now() + interval '1 hour')`,
    [endpoint.id, tenant.id],
  )
  t.match(await test(), { status: 200, json: { outcome: 'delivered' } })
  const circuit = 'select * from postrider.circuit where endpoint_id = $1'
  t.strictSame((await pool.query(circuit, [endpoint.id])).rows, [])
})

t.test('409 where nothing would be sent, 422 for what cannot be', async (t) => {
  const { endpoint, tenant, test } = await bundle()
  const invalid = [
    [{ type: 'a b' }, 'type'],
    [{ data: null }, 'data'],
    [{ data: '\0' }, 'data'],
    [{ extra: 1 }, 'extra'],
  ]
  for (const [body, field] of invalid) {
    t.match(await test(body), { status: 422, json: { errors: [{ field }] } }, String(field))
  }
  const conflict = (detail: RegExp) => ({ status: 409, json: { code: 'state_conflict', detail } })
  await pool.query(`update postrider.tenant set suspended_at = now() where id = $1`, [tenant.id])
  t.match(await test(), conflict(/suspended/))
  await pool.query(`update postrider.tenant set suspended_at = null where id = $1`, [tenant.id])
  for (const state of ['paused', 'disabled']) {
    await pool.query(`update postrider.endpoint set state = $2 where id = $1`, [endpoint.id, state])
    t.match(await test(), conflict(new RegExp(state)))
  }
  const events = 'select count(*)::int as n from postrider.event where tenant_id = $1'
  t.match((await pool.query(events, [tenant.id])).rows, [{ n: 0 }], 'nothing was stored')
})

t.test('202 with the delivery when the attempt takes longer than anybody waits', async (t) => {
  const { receiver, path } = await bundle()
  const answer = Promise.withResolvers<number>()
  receiver.answerWith(() => answer.promise)
  const signal = new AbortController()
  const response = app.request(path, {
    method: 'POST',
    headers: { authorization: 'Bearer the-admin-key-of-the-tests' },
    signal: signal.signal,
  })
  await receiver.received(1)
  signal.abort()
  const answered = await response
  t.equal(answered.status, 202)
  const delivery = await answered.json()
  t.match(delivery, { state: 'delivering', attemptCount: 1, finishedAt: null })
  answer.resolve(200)
})
