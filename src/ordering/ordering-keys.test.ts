/** What people do about ordering keys, through the API, the console and the portal. */
import t from 'tap'
import { createWork } from '../testing/data/work.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

/** A key that is blocked by its first event, with others behind it. */
async function bundle() {
  const pages = await createTestConsole(pool)
  const work = await createWork(pool, { ordering: 'key' })
  const events = await work.publishInOrder('invoice/42', 'invoice/42', 'invoice/42', 'other')
  const [first = ''] = events
  await work.finish(await work.claim(await work.deliveryOf(first)), 503)
  const path = `/api/tenants/${work.tenant.key}/endpoints/${work.endpoint.id}`
  const ask = (method: string, below: string, body?: unknown) =>
    pages.request(method, `${path}${below}`, body === undefined ? {} : { body })
  const stateOf = async (n: number) => (await work.deliveryOf(events[n] ?? '')).state
  return { ...pages, work, events, ask, stateOf, key: '/ordering-keys/invoice%2F42' }
}

t.test('what is blocked is listed, with what was answered and how many wait', async (t) => {
  const { ask, events, work, key, request } = await bundle()
  const blocked = {
    key: 'invoice/42',
    endpointId: work.endpoint.id,
    state: 'blocked',
    blockedAt: String,
    waiting: 2,
    eventId: events[0],
    nextEventId: events[1],
    deliveryState: 'failed',
    lastStatusCode: 503,
    lastError: 'answered 503',
  }
  t.match(await ask('GET', key), { status: 200, json: blocked })
  t.match(await ask('GET', '/ordering-keys?state=blocked'), { json: { data: [blocked] } })
  const page = await ask('GET', '/ordering-keys?limit=1')
  t.match(page.json, { data: [{ key: 'other', state: 'moving', waiting: 0 }], nextCursor: String })
  const rest = await ask('GET', `/ordering-keys?cursor=${page.json.nextCursor}`)
  t.match(rest.json, { data: [blocked], nextCursor: null })
  const all = await request('GET', `/api/ordering-keys?endpointId=${work.endpoint.id}`)
  t.equal(all.json.data.length, 2)
  t.equal((await ask('GET', '/ordering-keys/unknown')).status, 404)
})

t.test('the event whose turn it is is retried, and skipped', async (t) => {
  const { ask, stateOf, key, work, events } = await bundle()
  t.equal((await ask('POST', `${key}/retry`)).status, 202)
  t.equal(await stateOf(0), 'pending')
  t.equal((await ask('POST', `${key}/skip`)).status, 204)
  t.equal(await stateOf(0), 'cancelled')
  t.equal(await stateOf(1), 'pending')
  t.match(await ask('POST', `${key}/skip-to`, { eventId: events[2] }), {
    status: 200,
    json: { isDone: true },
  })
  t.equal(await stateOf(1), 'cancelled')
  t.equal(await stateOf(2), 'pending')
  t.equal((await ask('POST', `${key}/skip-to`, { eventId: events[0] })).status, 404)
  t.match(
    (await work.audited()).map(({ action }) => action),
    ['retry_now', 'skip_head', 'skip_to'],
  )
})

t.test(
  'an endpoint is released from ordering, and its settings are shown and changed',
  async (t) => {
    const { ask, stateOf } = await bundle()
    t.match(await ask('PATCH', '', { onFailure: 'skip' }), {
      json: { ordering: 'key', onFailure: 'skip' },
    })
    t.match(await ask('POST', '/release-ordering'), { status: 200, json: { ordering: 'none' } })
    t.equal(await stateOf(1), 'pending')
    t.equal(await stateOf(2), 'pending')
    t.equal((await ask('PATCH', '', { ordering: 'sometimes' })).status, 422)
  },
)

t.test('the console lists what is blocked and does the same', async (t) => {
  const { get, post, signedIn, work, stateOf, events } = await bundle()
  const cookie = await signedIn()
  const list = await get('/console/ordering', { cookie })
  t.match(list.text, 'invoice/42')
  t.notMatch(list.text, '>other</a>', 'blocked ones only')
  // Issue 18: a field that is empty is not sent, so “Any” showed the blocked ones again.
  t.notMatch(list.text, '<option value="">')
  const all = await get('/console/ordering?state=all', { cookie })
  t.match(all.text, '>other</a>')
  t.match(all.text, `href="/console/endpoints/${work.endpoint.id}/keys"`)
  t.equal((await get('/console/ordering?state=lost', { cookie })).status, 422)
  const path = `/console/endpoints/${work.endpoint.id}`
  const { text } = await get(path, { cookie })
  t.match(text, `${path}/keys`)
  t.match(text, '1 pending, 0 being sent, 0 held, 2 waiting for their turn')
  t.match((await get(`${path}/keys`, { cookie })).text, /Answered 503[\s\S]*Skip/)
  const press = (fields: Record<string, string>) =>
    post(`${path}/keys`, { key: 'invoice/42', ...fields }, { cookie })
  for (const verb of ['', 'delete']) t.equal((await press({ verb })).status, 422)
  t.equal(await stateOf(0), 'failed', 'what is not named skips nothing')
  const refused = await get(`${path}/keys?refused=in_flight`, { cookie })
  t.match(refused.text, 'An attempt is in progress. Try again when it has ended.')
  t.equal((await get(`${path}/keys?refused=constructor`, { cookie })).status, 200)
  t.equal((await press({ verb: 'retry' })).status, 303)
  t.equal(await stateOf(0), 'pending')
  t.equal((await press({ verb: 'skip' })).status, 303)
  t.equal(await stateOf(1), 'pending')
  t.equal((await press({ verb: 'skip-to', event: events[2] ?? '' })).status, 303)
  t.equal(await stateOf(2), 'pending')
  t.match((await press({ verb: 'skip-to', event: 'x' })).headers.get('location'), 'said=gone')
  t.equal((await post(`${path}/release-ordering`, {}, { cookie })).status, 303)
  t.match((await get(`${path}/keys`, { cookie })).text, 'Ordering keys')
  t.match((await get('/console/ordering?tenant=nobody', { cookie })).status, 422)
})

t.test('a customer sees and does the same in the portal, and nothing of others', async (t) => {
  const { work, stateOf } = await bundle()
  const other = await bundle()
  const portal = await createTestPortal(pool)
  const cookie = await portal.entered(work.tenant.key)
  const path = `/portal/endpoints/${work.endpoint.id}/keys`
  t.match((await portal.get(path, { cookie })).text, 'invoice/42')
  const skip = { key: 'invoice/42', verb: 'skip' }
  t.equal((await portal.post(path, skip, { cookie })).status, 303)
  t.equal(await stateOf(1), 'pending')
  const others = `/portal/endpoints/${other.work.endpoint.id}/keys`
  t.equal((await portal.get(others, { cookie })).status, 404)
  t.equal((await portal.post(others, skip, { cookie })).status, 404)
  t.equal(await other.stateOf(0), 'failed')
  const reader = await portal.entered(work.tenant.key, 'read')
  t.notMatch((await portal.get(path, { cookie: reader })).text, 'name="verb"')
  t.equal((await portal.post(path, skip, { cookie: reader })).status, 403)
})

t.test('events have their key, and deliveries that wait say why', async (t) => {
  const { request, work, events } = await bundle()
  const base = `/api/tenants/${work.tenant.key}`
  t.match(await request('GET', `${base}/events/${events[1]}`), {
    json: {
      orderingKey: 'invoice/42',
      deliveries: [{ state: 'held', heldReason: 'order', orderingKey: 'invoice/42' }],
    },
  })
  const event = { tenant: work.tenant.key, type: 'a.b', data: 1 }
  const plain = await request('POST', '/api/events', { body: event })
  t.match(await request('GET', `${base}/events/${plain.json.id}`), { json: { orderingKey: null } })
  const wrong: [unknown, string][] = [
    ['', 'is empty'],
    ['k'.repeat(256), 'has more than 255 characters'],
    ['a\u200bb', 'contains U+200B'],
    [7, 'is not a string'],
  ]
  for (const [orderingKey, message] of wrong) {
    const refused = await request('POST', '/api/events', { body: { ...event, orderingKey } })
    t.match(refused, { status: 422, json: { errors: [{ field: 'orderingKey', message }] } })
  }
  const batch = { events: [1, 2].map((data) => ({ ...event, data, orderingKey: 'batch' })) }
  const { json } = await request('POST', '/api/events/batch', { body: batch })
  const states = await Promise.all(
    json.data.map(async ({ id }: { id: string }) => (await work.deliveryOf(id)).state),
  )
  t.strictSame(states, ['pending', 'held'], 'in the order of the batch')
})

t.test('a key that a transaction holds is busy, for one event and for a batch', async (t) => {
  const { request, work } = await bundle()
  const client = await pool.connect()
  t.teardown(() => client.release())
  await client.query('begin')
  await client.query(`select postrider.publish($1, 'a.b', '1', ordering_key => 'held')`, [
    work.tenant.key,
  ])
  const event = { tenant: work.tenant.key, type: 'a.b', data: 1, orderingKey: 'held' }
  const busy = { status: 409, json: { code: 'ordering_key_busy' } }
  t.match(await request('POST', '/api/events', { body: event }), busy)
  t.match(await request('POST', '/api/events/batch', { body: { events: [event] } }), busy)
  await client.query('rollback')
  t.equal((await request('POST', '/api/events', { body: event })).status, 202)
})
