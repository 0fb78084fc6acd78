import t from 'tap'
import type { TenantId } from '../ids.ts'
import { holdKeys, slowDownKeys } from '../testing/data/idempotency.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi, type RequestOptions } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'
import { createPublisher } from './publish.ts'
import { DatabaseUnavailable } from './publish-refused.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const BYTES_MAX = 2_048

async function bundle(overrides: Parameters<typeof createTestApi>[1] = {}) {
  const tenant = await createTenant(pool)
  const { apiKeys, request, logged } = createTestApi(pool, {
    eventBytesMax: BYTES_MAX,
    ...overrides,
  })
  const publish = (body: unknown, options: RequestOptions = {}) =>
    request('POST', '/api/events', { body, ...options })
  const event = (values: object = {}) => ({
    tenant: tenant.key,
    type: 'invoice.paid',
    data: { id: 1 },
    ...values,
  })
  const countEvents = async () => {
    const text = 'select count(*)::int as events from postrider.event where tenant_id = $1'
    return (await pool.query(text, [tenant.id])).rows[0].events
  }
  return { tenant, apiKeys, request, publish, event, countEvents, logged }
}

t.test('202 with id, deliveries and duplicate', async (t) => {
  const { tenant, publish, event } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const { status, json } = await publish(event())
  t.equal(status, 202)
  t.match(json, { id: /^[0-9a-f-]{36}$/, deliveries: 1, duplicate: false })
  t.strictSame(Object.keys(json), ['id', 'deliveries', 'duplicate'])
})

t.test('takes occurredAt with an offset and deliverAt, and null for either', async (t) => {
  const { publish, event, request, tenant } = await bundle()
  const { json } = await publish(
    event({ occurredAt: '2026-01-31T12:00:00+02:00', deliverAt: null }),
  )
  const stored = await request('GET', `/api/tenants/${tenant.key}/events/${json.id}`)
  t.equal(stored.json.occurredAt, '2026-01-31T10:00:00.000Z')
  const later = new Date(Date.now() + 86_400_000).toISOString()
  t.equal((await publish(event({ deliverAt: later }))).status, 202)
})

t.test('channels choose endpoints, and an event shows them', async (t) => {
  const { publish, event, request, tenant } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a', channels: ['project-1'] })
  const { json } = await publish(event({ channels: ['project-1', 'b'] }))
  t.match(json, { deliveries: 2 })
  const stored = await request('GET', `/api/tenants/${tenant.key}/events/${json.id}`)
  t.strictSame(stored.json.channels, ['project-1', 'b'])
  for (const channels of [null, undefined, ['Project-1']]) {
    t.match(await publish(event({ channels })), { status: 202, json: { deliveries: 1 } })
  }
  const wrong: [channels: unknown, field: string][] = [
    [[], 'channels'],
    [['a', 'b', 'c', 'd', 'e', 'f'], 'channels'],
    [['a', ''], 'channels[1]'],
    [['a b'], 'channels[0]'],
    [['x'.repeat(129)], 'channels[0]'],
    ['a', 'channels'],
  ]
  for (const [channels, field] of wrong) {
    t.match(await publish(event({ channels })), { status: 422, json: { errors: [{ field }] } })
  }
})

t.test('what only the Svix-compatible API may say is refused', async (t) => {
  const { publish, event } = await bundle()
  for (const more of [{ asSvix: true }, { svix: {} }, { eraseAt: '2100-01-01T00:00:00Z' }]) {
    t.match(await publish(event(more)), { status: 422 })
  }
})

t.test('401 without a key, 403 without the scope', async (t) => {
  const { apiKeys, publish, event, countEvents } = await bundle()
  const without = await publish(event(), { key: null })
  t.match(without, { status: 401, json: { code: 'unauthenticated', status: 401 } })
  t.match(without.headers.get('www-authenticate'), /^Bearer/)
  t.equal((await publish(event(), { key: 'pr_wrong' })).status, 401)
  t.equal((await publish(event(), { key: 'x'.repeat(300) })).status, 401)
  const basic = { authorization: 'Basic eDp5' }
  t.equal((await publish(event(), { key: null, headers: basic })).status, 401)
  const { key } = await apiKeys.issue({ name: 'reader', scopes: ['read', 'manage'] })
  t.match(await publish(event(), { key }), {
    status: 403,
    json: { code: 'scope_missing', detail: /"publish"/ },
  })
  t.equal(await countEvents(), 0)
})

t.test('a key of one tenant may leave the tenant out, and knows no other', async (t) => {
  const { tenant, apiKeys, publish, event, countEvents } = await bundle()
  const other = await bundle()
  const tenantId = tenant.id as TenantId
  const { key } = await apiKeys.issue({ name: 'acme', scopes: ['publish'], tenantId })
  t.equal((await publish(event({ tenant: undefined }), { key })).status, 202)
  t.equal((await publish(event({ tenant: null }), { key })).status, 202)
  t.equal((await publish(event(), { key })).status, 202)
  t.equal(await countEvents(), 3)

  const foreign = await publish(other.event(), { key })
  const unknown = await publish(other.event({ tenant: 'nobody' }), { key })
  t.equal(foreign.status, 422)
  t.strictSame(foreign.json, unknown.json, 'told apart by nothing')
  t.match(foreign.json, { code: 'tenant_not_found', errors: [{ field: 'tenant' }] })
  t.equal(await other.countEvents(), 0)
})

t.test('422 names every invalid field, the header among them', async (t) => {
  const { publish, countEvents, request } = await bundle()
  const body = { tenant: '/', type: 'a b', data: null, deliverAt: 'soon', occurredAt: 1, extra: 1 }
  const { status, json, headers } = await publish(body, { headers: { 'idempotency-key': 'ä' } })
  t.equal(status, 422)
  t.equal(headers.get('content-type'), 'application/problem+json')
  t.match(json, {
    type: 'urn:postrider:problem:request_invalid',
    code: 'request_invalid',
    status: 422,
  })
  t.strictSame(json.errors.map(({ field }: { field: string }) => field).sort(), [
    'Idempotency-Key',
    'data',
    'deliverAt',
    'extra',
    'occurredAt',
    'tenant',
    'type',
  ])
  t.match((await publish({})).json.errors, [
    { field: 'type', message: 'is required' },
    { field: 'data' },
    { field: 'tenant', message: 'is required' },
  ])
  for (const orderingKey of ['', ' ', '.', '..']) {
    const { errors } = (await publish({ ...body, orderingKey })).json
    t.ok(
      errors.some(({ field }: { field: string }) => field === 'orderingKey'),
      JSON.stringify(orderingKey),
    )
  }
  for (const text of ['[]', 'null', '1', '"x"']) {
    t.match(await publish(text), { status: 422, json: { errors: [{ field: 'body' }] } }, text)
  }
  t.match(await request('POST', '/api/events'), {
    status: 422,
    json: { errors: [{ field: 'body' }] },
  })
  t.equal(await countEvents(), 0)
})

t.test('422 for what only the database can tell', async (t) => {
  const { tenant, publish, event, countEvents } = await bundle()
  const far = new Date(Date.now() + 31 * 86_400_000).toISOString()
  const cases: [unknown, string, string][] = [
    [event({ tenant: 'nobody' }), 'tenant_not_found', 'tenant'],
    [event({ deliverAt: far }), 'deliver_at_too_far', 'deliverAt'],
    [event({ data: 'NUL \0' }), 'data_unsupported', 'data'],
    [event({ data: { '\0': 1 } }), 'data_unsupported', 'data'],
    [event({ data: ['\ud800'] }), 'data_unsupported', 'data'],
  ]
  for (const [body, code, field] of cases) {
    const { status, json } = await publish(body)
    t.match(
      { status, json },
      { status: 422, json: { code, status: 422, errors: [{ field }] } },
      code,
    )
  }
  await pool.query('update postrider.tenant set suspended_at = now() where id = $1', [tenant.id])
  t.match(await publish(event()), { status: 422, json: { code: 'tenant_suspended' } })
  t.equal(await countEvents(), 0)
})

t.test('NUL and lone surrogates in names are refused', async (t) => {
  const { publish, event } = await bundle()
  for (const text of ['a\0', 'a\ud800', '\0']) {
    const { status, json } = await publish(event({ type: text, tenant: text }))
    t.equal(status, 422)
    t.match(json.errors, [{ field: 'tenant' }, { field: 'type' }])
  }
})

t.test('400 for a body that is not JSON, not UTF-8, or nested too deeply', async (t) => {
  const { publish, event, countEvents } = await bundle({ eventBytesMax: 100_000 })
  const deep = (levels: number) =>
    JSON.stringify(event()).replace('{"id":1}', '['.repeat(levels) + ']'.repeat(levels))
  t.match(await publish('{"type":'), {
    status: 400,
    json: { code: 'json_invalid', errors: [{ field: 'body', message: /end of JSON/ }] },
  })
  const event1 = JSON.stringify(event())
  t.match(await publish(`${event1}}`), {
    status: 400,
    json: { errors: [{ field: 'body', message: `at position ${event1.length} ` }] },
  })
  t.match(await publish(Buffer.from([0x22, 0xff, 0x22])), {
    status: 400,
    json: { code: 'utf8_invalid', errors: [{ field: 'body' }] },
  })
  t.match(await publish(deep(20_000)), {
    status: 400,
    json: { code: 'json_too_deep', errors: [{ field: 'body' }] },
  })
  t.match(await publish(deep(512)), { status: 400 }, 'the event is a level too')
  t.equal(await countEvents(), 0)
  t.equal((await publish(deep(511))).status, 202, 'as deep as allowed is stored')
})

t.test('413 for data over EVENT_BYTES_MAX, counted or announced', async (t) => {
  const { publish, event, countEvents } = await bundle()
  const text = (bytes: number) => 'x'.repeat(bytes - 2)
  const fits = await publish(event({ data: text(BYTES_MAX) }))
  t.equal(fits.status, 202, 'as large as allowed')
  const over = await publish(event({ data: text(BYTES_MAX + 1) }))
  t.match(over, { status: 413, json: { code: 'body_too_large', errors: [{ field: 'data' }] } })
  const far = await publish(event({ data: text(BYTES_MAX * 10) }))
  t.match(far, { status: 413, json: { code: 'body_too_large', errors: [{ field: 'data' }] } })
  const announced = await publish(event(), { headers: { 'content-length': '99999999' } })
  t.match(announced, { status: 413 })
  t.equal(await countEvents(), 1)
})

t.test('415 for another content type, or none', async (t) => {
  const { publish, event } = await bundle()
  const body = JSON.stringify(event())
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
    const answer = await publish(body, { headers: { 'content-type': type } })
    t.match(answer, { status: 415, json: { code: 'content_type_unsupported' } }, type)
  }
  for (const type of [
    'application/json; charset=utf-8',
    'Application/JSON',
    'application/a.b+json',
  ]) {
    t.equal((await publish(body, { headers: { 'content-type': type } })).status, 202, type)
  }
})

t.test('405 for another method, with those that are allowed', async (t) => {
  const { request } = await bundle()
  const answer = await request('DELETE', '/api/events')
  t.match(answer, { status: 405, json: { code: 'method_not_allowed' } })
  t.equal(answer.headers.get('allow'), 'POST')
})

t.test('a repeat with the same key answers with the first event', async (t) => {
  const { publish, event, countEvents } = await bundle()
  const headers = { 'idempotency-key': 'order 1' }
  const first = await publish(event(), { headers })
  const repeat = await publish(event(), { headers })
  t.match(repeat, { status: 202, json: { id: first.json.id, duplicate: true } })
  const other = await publish(event({ data: 2 }), { headers })
  t.match(other, {
    status: 422,
    json: { code: 'idempotency_key_reused', errors: [{ field: 'Idempotency-Key' }] },
  })
  for (const [key, status] of [
    ['k'.repeat(255), 202],
    ['k'.repeat(256), 422],
    ['', 422],
  ] as const) {
    const answer = await publish(event({ data: 3 }), { headers: { 'idempotency-key': key } })
    t.equal(answer.status, status, `${key.length} characters`)
  }
  t.equal(await countEvents(), 2)
})

t.test('409 with Retry-After while another publisher uses the key', async (t) => {
  const { tenant, publish, event, countEvents } = await bundle({
    publisher: createPublisher({ pool, keyWaitMsMax: 0 }),
  })
  const holder = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const headers = { 'idempotency-key': 'held' }
  const busy = await publish(event(), { headers })
  t.match(busy, {
    status: 409,
    json: { code: 'idempotency_key_busy', errors: [{ field: 'Idempotency-Key' }] },
  })
  t.equal(busy.headers.get('retry-after'), '1')
  await holder.query('rollback')
  t.match(await publish(event(), { headers }), { status: 202, json: { duplicate: false } })
  t.equal(await countEvents(), 1)
})

t.test('503 with Retry-After, and one line in the log, while the disk is full', async (t) => {
  const { publish, event, countEvents, logged } = await bundle()
  await pool.query(`
    create function fill_disk() returns trigger language plpgsql as $$
    begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
    create trigger fill_disk before insert on postrider.event for each row execute function fill_disk()`)
  const answers = [await publish(event()), await publish(event())]
  await pool.query('drop function fill_disk cascade')
  for (const { status, headers, json } of answers) {
    t.equal(status, 503)
    t.equal(headers.get('retry-after'), '1')
    t.match(json, { code: 'database_unavailable', detail: 'Try again; nothing is lost.' })
  }
  t.equal(await countEvents(), 0)
  t.equal(logged.length, 1)
})

t.test('forty clients of two APIs race with one key, and all have the same event', async (t) => {
  const { event, countEvents } = await bundle()
  const apis: Service[] = await Promise.all(
    [1, 2].map(() => startService(t, 'api', { DATABASE_URL: databaseUrl })),
  )
  await slowDownKeys(t, pool)
  const send = async ({ url }: Service) => {
    const response = await fetch(`${url}/api/events`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer test-admin-key',
        'content-type': 'application/json',
        'idempotency-key': 'one for all',
      },
      body: JSON.stringify(event()),
    })
    const { id, duplicate } = (await response.json()) as { id: string; duplicate: boolean }
    return { status: response.status, id, duplicate }
  }
  const answers = await Promise.all(Array.from({ length: 20 }, () => apis.map(send)).flat())
  t.equal(answers.length, 40)
  t.strictSame([...new Set(answers.map(({ status }) => status))], [202])
  t.equal(new Set(answers.map(({ id }) => id)).size, 1)
  t.equal(answers.filter(({ duplicate }) => !duplicate).length, 1)
  t.equal(await countEvents(), 1)
})

t.test(
  '503 with Retry-After while the database is away, and the cause in the log only',
  async (t) => {
    const { publish, event, logged } = await bundle({
      publisher: {
        publish: () =>
          Promise.reject(new DatabaseUnavailable('away', { cause: new Error('secret') })),
      },
    })
    const answer = await publish(event())
    t.match(answer, { status: 503, json: { code: 'database_unavailable' } })
    t.equal(answer.headers.get('retry-after'), '1')
    t.notMatch(answer.text, 'secret')
    t.match(logged, [{ err: { cause: { message: 'secret' } }, path: '/api/events' }])
  },
)
