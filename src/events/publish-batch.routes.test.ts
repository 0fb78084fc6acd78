import t from 'tap'
import type { TenantId } from '../ids.ts'
import { holdKeys } from '../testing/data/idempotency.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi, type RequestOptions } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createBatchPublisher } from './publish-batch.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool, { eventBytesMax: 2_048 })

async function bundle() {
  const tenant = await createTenant(pool)
  const publish = (events: unknown, options: RequestOptions = {}) =>
    request('POST', '/api/events/batch', { body: { events }, ...options })
  const event = (values: object = {}) => ({ tenant: tenant.key, type: 'a', data: 1, ...values })
  const stored = async () => {
    const text = 'select data::text from postrider.event where tenant_id = $1 order by id'
    const { rows } = await pool.query<{ data: string }>(text, [tenant.id])
    return rows.map(({ data }) => data)
  }
  return { tenant, publish, event, stored }
}

t.test('stores every event, byte for byte, and answers in order', async (t) => {
  const { tenant, publish, stored } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a', event_types: ['b'] })
  const text = (type: string, data: string) =>
    `{"tenant":"${tenant.key}","type":"${type}","data":${data}}`
  const datas = ['12345678901234567890.10', '{"z":1, "a":[1e2,"],{"]}', '"ä"']
  const events = [text('a', '12345678901234567890.10'), text('b', String(datas[1]))]
  const { status, json } = await publish(undefined, {
    body: `{ "events" : [ ${events.join(' , ')}, ${text('a', '"ä"')} ] }`,
  })
  t.equal(status, 202)
  t.match(json, { data: [{ deliveries: 0 }, { deliveries: 1 }, { deliveries: 0 }] })
  t.strictSame(await stored(), datas)
  const { rows } = await pool.query(
    `select e.data::text from unnest($1::uuid[]) with ordinality as w (id, place)
     join postrider.event e on e.id = w.id order by place`,
    [json.data.map(({ id }: { id: string }) => id)],
  )
  t.strictSame(
    rows.map(({ data }) => data),
    datas,
  )
})

t.test('takes 1,000 events and no more', async (t) => {
  const { publish, event, stored } = await bundle()
  const events = Array.from({ length: 1001 }, (_, n) => event({ data: n }))
  const refused = await publish(events)
  t.match(refused, { status: 422, json: { errors: [{ field: 'events' }] } })
  t.equal((await stored()).length, 0)
  const { status, json } = await publish(events.slice(0, 1000))
  t.equal(status, 202)
  t.equal(json.data.length, 1000)
  t.strictSame((await stored()).map(Number), [...Array(1000).keys()])
})

t.test('one bad event refuses the batch and is named', async (t) => {
  const { publish, event, stored } = await bundle()
  const far = new Date(Date.now() + 31 * 86_400_000).toISOString()
  const cases: [object, string, string][] = [
    [{ type: 'a b' }, 'request_invalid', 'events[1].type'],
    [{ data: null }, 'request_invalid', 'events[1].data'],
    [{ tenant: undefined }, 'request_invalid', 'events[1].tenant'],
    [{ occurredAt: 'now' }, 'request_invalid', 'events[1].occurredAt'],
    [{ idempotencyKey: '' }, 'request_invalid', 'events[1].idempotencyKey'],
    [{ idempotencyKey: 'ä' }, 'request_invalid', 'events[1].idempotencyKey'],
    [{ extra: 1 }, 'request_invalid', 'events[1].extra'],
    [{ tenant: 'nobody' }, 'tenant_not_found', 'events[1].tenant'],
    [{ deliverAt: far }, 'deliver_at_too_far', 'events[1].deliverAt'],
    [{ data: '\0' }, 'data_unsupported', 'events[1].data'],
    [{ idempotencyKey: 'k' }, 'idempotency_key_reused', 'events[1].idempotencyKey'],
  ]
  for (const [values, code, field] of cases) {
    const events = [event({ idempotencyKey: 'k' }), event({ data: 2, ...values }), event()]
    const answer = await publish(events)
    t.match(answer, { status: 422, json: { code, errors: [{ field }] } }, field)
    t.equal(answer.json.errors.length, 1, field)
  }
  const both = await publish([event({ tenant: 'nobody' }), event(), event({ data: '\0' })])
  t.match(both.json, {
    code: 'tenant_not_found',
    errors: [{ field: 'events[0].tenant' }, { field: 'events[2].data' }],
  })
  const many = await publish(Array(150).fill(1))
  t.equal(many.json.errors.length, 100, 'as many as anybody reads')
  for (const events of [[], {}, null, undefined]) {
    t.match(await publish(events), { status: 422, json: { errors: [{ field: 'events' }] } })
  }
  t.strictSame(await stored(), [])
})

t.test('idempotency is that of each event', async (t) => {
  const { publish, event, stored } = await bundle()
  const first = await publish([event({ idempotencyKey: 'a' }), event({ idempotencyKey: 'b' })])
  const events = [
    event({ idempotencyKey: 'b' }),
    event({ idempotencyKey: 'c' }),
    event({ idempotencyKey: 'c' }),
    event({ idempotencyKey: null }),
  ]
  const again = await publish(events)
  t.equal(again.status, 202)
  t.match(again.json.data, [
    { id: first.json.data[1].id, duplicate: true },
    { duplicate: false },
    { id: again.json.data[1].id, duplicate: true },
    { duplicate: false },
  ])
  t.equal((await stored()).length, 4)
  const single = await request('POST', '/api/events', {
    body: event(),
    headers: { 'idempotency-key': 'a' },
  })
  t.match(single.json, { id: first.json.data[0].id, duplicate: true }, 'shared with single events')
  const headers = { 'idempotency-key': 'whole' }
  t.match(await publish([event()], { headers }), {
    status: 422,
    json: { errors: [{ field: 'Idempotency-Key' }] },
  })
})

t.test('409 with Retry-After names the events whose key another publisher holds', async (t) => {
  const { tenant, event, stored } = await bundle()
  const batchPublisher = createBatchPublisher({ pool, keyWaitMsMax: 0 })
  const api = createTestApi(pool, { batchPublisher })
  const holder = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const events = ['free', 'held'].map((idempotencyKey) => event({ idempotencyKey }))
  const busy = await api.request('POST', '/api/events/batch', { body: { events } })
  t.match(busy, {
    status: 409,
    json: { code: 'idempotency_key_busy', errors: [{ field: 'events[1].idempotencyKey' }] },
  })
  t.equal(busy.json.errors.length, 1)
  t.equal(busy.headers.get('retry-after'), '1')
  t.strictSame(await stored(), [])
  await holder.query('rollback')
})

t.test('deliverAt holds the jobs back, and the deliveries can be seen', async (t) => {
  const { tenant, publish, event } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const deliverAt = new Date(Date.now() + 29 * 86_400_000).toISOString()
  t.equal((await publish([event({ deliverAt })])).status, 202)
  const { json } = await request('GET', `/api/tenants/${tenant.key}/deliveries`)
  t.match(json.data, [{ state: 'pending', nextAttemptAt: deliverAt }])
})

t.test('401, 403, and a key of one tenant', async (t) => {
  const { tenant, publish, event, stored } = await bundle()
  const other = await bundle()
  t.equal((await publish([event()], { key: null })).status, 401)
  const reader = await apiKeys.issue({ name: 'r', scopes: ['read', 'manage'] })
  t.equal((await publish([event()], { key: reader.key })).status, 403)
  const tenantId = tenant.id as TenantId
  const { key } = await apiKeys.issue({ name: 'acme', scopes: ['publish'], tenantId })
  t.equal((await publish([event({ tenant: undefined }), event()], { key })).status, 202)
  t.match(await publish([event(), other.event()], { key }), {
    status: 422,
    json: { code: 'tenant_not_found', errors: [{ field: 'events[1].tenant' }] },
  })
  t.equal((await stored()).length, 2)
  t.equal((await other.stored()).length, 0)
})

t.test('400, 413 and 415 as for a single event', async (t) => {
  const { publish, event, stored } = await bundle()
  t.match(await publish(0, { body: '{"events":[' }), { status: 400 })
  t.match(await publish(0, { body: '[]', headers: { 'content-type': 'text/plain' } }), {
    status: 415,
  })
  const text = (bytes: number) => event({ data: 'x'.repeat(bytes - 2) })
  t.equal((await publish([text(2048), text(2048)])).status, 202)
  t.match(await publish([text(2048), text(2049)]), {
    status: 413,
    json: { code: 'body_too_large', errors: [{ field: 'events[1].data' }] },
  })
  t.match(await publish([event()], { headers: { 'content-length': '8388609' } }), { status: 413 })
  t.equal((await stored()).length, 2)
})
