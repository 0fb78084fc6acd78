import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'

async function bundle() {
  const tenant = await createTenant(pool)
  const get = (path: string, options = {}) =>
    request('GET', `/api/tenants/${tenant.key}${path}`, options)
  const publish = (data: string) =>
    request('POST', '/api/events', { body: `{"tenant":"${tenant.key}","type":"a","data":${data}}` })
  return { tenant, get, publish }
}

t.test('an event comes back with its data to the byte, and its deliveries', async (t) => {
  const { tenant, get, publish } = await bundle()
  const endpoint = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const data = '{"z":12345678901234567890.10, "a":1e2,"z":[]}'
  const { id } = (await publish(data)).json
  const { status, text, json } = await get(`/events/${id}`)
  t.equal(status, 200)
  t.ok(text.includes(`"data":${data}`), text)
  t.match(json, { id, type: 'a', idempotencyKey: null })
  t.match(json.deliveries, [
    { eventId: id, endpointId: endpoint.id, state: 'pending', attemptCount: 0, finishedAt: null },
  ])
  t.strictSame(Object.keys(json), [
    'id',
    'type',
    'data',
    'masked',
    'occurredAt',
    'createdAt',
    'idempotencyKey',
    'orderingKey',
    'channels',
    'deliveries',
    'routing',
  ])
  const { routing, ...listed } = json
  t.match(routing, [{ endpointId: endpoint.id, matched: true, deliveryId: json.deliveries[0].id }])
  const list = await get('/events')
  t.strictSame(list.json, { data: [listed], nextCursor: null })
})

t.test('lists the newest first, page by page, stable under inserts', async (t) => {
  const { get, publish } = await bundle()
  const made: string[] = []
  for (const n of [1, 2, 3, 4, 5]) made.unshift((await publish(String(n))).json.id)
  const seen: string[] = []
  for (let cursor = ''; ; ) {
    const { json } = await get(`/events?limit=2${cursor}`)
    seen.push(...json.data.map(({ id }: { id: string }) => id))
    if (json.nextCursor === null) break
    cursor = `&cursor=${json.nextCursor}`
    await publish('6')
  }
  t.strictSame(seen, made)
})

t.test('deliveries: listed by state, endpoint and event; shown with their attempts', async (t) => {
  const { tenant, get } = await bundle()
  const [a, b] = [
    await tenant.addEndpoint({ url: 'http://127.0.0.1/a' }),
    await tenant.addEndpoint({ url: 'http://127.0.0.1/b', state: 'paused' }),
  ]
  const eventIds = [await tenant.publish(), await tenant.publish()]
  const count = async (query: string) => (await get(`/deliveries?${query}`)).json.data.length
  t.equal(await count(''), 4)
  t.equal(await count('state=held'), 2)
  t.equal(await count(`endpointId=${a.id}`), 2)
  t.equal(await count(`eventId=${eventIds[0]}`), 2)
  t.equal(await count(`eventId=${eventIds[0]}&endpointId=${b.id}&state=held`), 1)
  t.equal(await count(`eventId=${eventIds[0]}&endpointId=${b.id}&state=pending`), 0)
  t.equal(await count(`eventId=${UNKNOWN_ID}`), 0)
  const page = await get('/deliveries?limit=3')
  t.equal((await get(`/deliveries?limit=3&cursor=${page.json.nextCursor}`)).json.data.length, 1)

  const { json } = await get(`/deliveries?endpointId=${a.id}&limit=1`)
  const { id } = json.data[0]
  await attempt(id)
  t.equal(await count('reason=status_5xx'), 1)
  t.equal(await count('reason=status_4xx'), 0)
  const shown = await get(`/deliveries/${id}`)
  t.match(shown, { status: 200, json: { id, state: 'pending', attemptCount: 1 } })
  t.strictSame(without(shown.json.attempts[0], 'id', 'startedAt', 'finishedAt'), {
    number: 1,
    trigger: 'schedule',
    outcome: 'rejected',
    statusCode: 500,
    reason: 'status_5xx',
    error: '500',
    errorDetail: null,
    durationMs: 12.5,
    timings: { dnsMs: null, connectMs: 1.5, tlsMs: null, firstByteMs: 10 },
    requestHeaders: { host: 'a' },
    responseHeaders: { 'set-cookie': ['a', 'b'] },
    responseBody: 'oops',
    runner: 'worker-1',
    batchId: null,
  })
  t.match(shown.json.attempts[0], { startedAt: /Z$/, finishedAt: /Z$/ })
  t.equal(shown.json.attempts.length, 1)
})

t.test('lists are filtered by what the query says', async (t) => {
  const { tenant, get } = await bundle()
  const { id: endpointId } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const order = await tenant.publish('order.paid', { number: 'A-17' })
  const invoice = await tenant.publish('invoice.paid')
  const [sinceOrder, later] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)].map(
    (time) => encodeURIComponent(time.toISOString().replace('Z', '+00:00')),
  )
  const cases: [path: string, query: string, found: string[]][] = [
    ['/events', 'type=order.*', [order]],
    ['/events', 'search=a-17', [order]],
    ['/events', `search=${invoice}`, [invoice]],
    ['/events', `since=${sinceOrder}&until=${later}`, [invoice, order]],
    ['/events', `since=${later}`, []],
    ['/events', `endpointId=${endpointId}&state=pending&type=invoice.paid`, [invoice]],
    ['/deliveries', 'type=order.paid', [order]],
    ['/deliveries', `since=${sinceOrder}&state=pending&endpointId=${endpointId}`, [invoice, order]],
    ['/deliveries', 'statusClass=5', []],
    ['/deliveries', 'reason=timeout_answer', []],
  ]
  for (const [path, query, found] of cases) {
    const { status, json } = await get(`${path}?${query}`)
    const ids = json.data.map((row: { id: string; eventId?: string }) => row.eventId ?? row.id)
    t.strictSame([status, ids], [200, found], `${path}?${query}`)
  }
  const { json } = await get('/events?type=*&limit=1')
  t.match((await get(`/events?type=*&limit=1&cursor=${json.nextCursor}`)).json, {
    data: [{ id: order }],
    nextCursor: null,
  })
})

t.test('each route: 401, 403, 404 and 422', async (t) => {
  const { tenant, get } = await bundle()
  const other = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const eventId = await tenant.publish()
  const [delivery] = (await get('/deliveries')).json.data
  const publisher = await apiKeys.issue({ name: 'p', scopes: ['publish', 'manage'] })
  const tenantId = other.tenant.id as TenantId
  const foreign = await apiKeys.issue({ name: 'f', scopes: ['read'], tenantId })

  for (const path of [
    '/events',
    `/events/${eventId}`,
    '/deliveries',
    `/deliveries/${delivery.id}`,
  ]) {
    t.equal((await get(path)).status, 200, path)
    t.equal((await get(path, { key: null })).status, 401, path)
    t.equal((await get(path, { key: publisher.key })).status, 403, path)
    t.match(await get(path, { key: foreign.key }), {
      status: 404,
      json: { code: 'tenant_not_found' },
    })
    t.equal((await request('GET', `/api/tenants/nobody${path}`)).status, 404, path)
  }
  for (const [kind, id] of [
    ['event', eventId],
    ['delivery', delivery.id],
  ]) {
    const path = kind === 'event' ? '/events' : '/deliveries'
    const missing = { status: 404, json: { code: `${kind}_not_found` } }
    for (const unknown of [UNKNOWN_ID, 'x', '%00', 'f'.repeat(36)]) {
      t.match(await get(`${path}/${unknown}`), missing, `${path}/${unknown}`)
    }
    t.match(await other.get(`${path}/${id}`), missing, 'of another tenant')
  }
  const invalid = {
    '/events': [
      'limit=0',
      'limit=101',
      'limit=-1',
      'cursor=x',
      'cursor=',
      'cursor=%00',
      'state=lost',
      'type=a..b',
      'since=yesterday',
      'until=2026-01-01',
      'search=',
      'search=%00',
      `search=${'x'.repeat(201)}`,
      'endpointId=x',
      'eventId=x',
    ],
    '/deliveries': [
      'limit=x',
      'cursor=AAAA',
      'state=lost',
      'endpointId=x',
      'eventId=%00',
      'id=1',
      'statusClass=1',
      'statusClass=404',
      'reason=timeout',
      'reason=null',
      'type=*x',
      'since=1',
      'search=x',
    ],
  }
  for (const [path, queries] of Object.entries(invalid)) {
    for (const query of queries) {
      const errors = [{ field: query.split('=')[0] }]
      t.match(await get(`${path}?${query}`), { status: 422, json: { errors } }, `${path}?${query}`)
    }
  }
})

/** One attempt that was rejected, as a runner makes it. */
async function attempt(deliveryId: string): Promise<void> {
  await pool.query(`select postrider.register_runner('worker-1', 'test', 1)`)
  const claimed = await pool.query(
    `select attempt_id from postrider.claim_many(array[$1::uuid], array[1], 'worker-1')`,
    [deliveryId],
  )
  const result = {
    delivery_id: deliveryId,
    attempt_id: claimed.rows[0].attempt_id,
    outcome: 'rejected',
    status_code: 500,
    reason: 'status_5xx',
    error: '500',
    errorDetail: null,
    duration_ms: 12.5,
    connect_ms: 1.5,
    first_byte_ms: 10,
    request_headers: { host: 'a' },
    response_headers: { 'set-cookie': ['a', 'b'] },
    response_body: 'oops',
    next_in_seconds: 60,
  }
  await pool.query('select * from postrider.finish_many($1)', [JSON.stringify([result])])
}

function without(value: object, ...names: string[]): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)))
}
