import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi, createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const tenant = await createTenant(pool)
const TYPES = '/api/event-types'
const SCHEMA = {
  type: 'object',
  required: ['amount', 'currency'],
  properties: {
    amount: { type: 'integer', minimum: 1 },
    currency: { enum: ['EUR', 'USD'] },
    email: { type: 'string', format: 'email' },
  },
  additionalProperties: false,
}

const put = (name: string, body: unknown, options = {}) =>
  request('PUT', `${TYPES}/${name}`, { body, ...options })
const publish = (type: string, data: unknown) =>
  request('POST', '/api/events', { body: { tenant: tenant.key, type, data } })
const fields = (answer: { json: { errors: { field: string }[] } }) =>
  answer.json.errors.map(({ field }) => field).sort()

t.test('described, changed, deprecated, forgotten', async (t) => {
  const created = await put('invoice.paid', { description: 'money came', schema: SCHEMA })
  t.equal(created.status, 201)
  t.strictSame(Object.keys(created.json), [
    'name',
    'description',
    'schema',
    'mask',
    'deprecatedAt',
    'archivedAt',
    'createdAt',
    'updatedAt',
  ])
  t.match(created.json, { name: 'invoice.paid', schema: SCHEMA, deprecatedAt: null })
  const path = `${TYPES}/invoice.paid`
  t.strictSame((await request('GET', path)).json, created.json)
  t.match(await put('invoice.paid', {}), { status: 200, json: { description: 'money came' } })
  const deprecated = await request('PATCH', path, { body: { deprecated: true } })
  t.match(deprecated.json, { deprecatedAt: /Z$/, schema: SCHEMA })
  const again = await request('PATCH', path, { body: { deprecated: true, schema: null } })
  t.equal(again.json.deprecatedAt, deprecated.json.deprecatedAt, 'since the first time')
  t.equal(again.json.schema, null)
  t.equal((await publish('invoice.paid', 1)).status, 202, 'published anyway')
  t.match((await request('PATCH', path, { body: { deprecated: false } })).json, {
    deprecatedAt: null,
  })
  t.match(await request('DELETE', path), { status: 204, text: '' })
  for (const method of ['GET', 'DELETE']) {
    t.match(await request(method, path), { status: 404, json: { code: 'event_type_not_found' } })
  }
  t.equal((await request('PATCH', path, { body: {} })).status, 404)
})

t.test('lists by name, page by page', async (t) => {
  for (const name of ['list.c', 'list.a', 'list.b']) await put(name, {})
  const first = await request('GET', `${TYPES}?limit=2`)
  const second = await request('GET', `${TYPES}?limit=2&cursor=${first.json.nextCursor}`)
  const names = [...first.json.data, ...second.json.data].map(({ name }) => name)
  t.strictSame(names, ['list.a', 'list.b', 'list.c'])
  t.equal(second.json.nextCursor, null)
  for (const query of ['limit=0', 'limit=101', 'cursor=', 'cursor=%00', 'cursor=AAAA', 'x=1']) {
    const [field] = query.split('=')
    const errors = [{ field, ...(field === 'cursor' && { message: /^is not a cursor of this/ }) }]
    t.match(await request('GET', `${TYPES}?${query}`), { status: 422, json: { errors } }, query)
  }
  for (const name of names) await request('DELETE', `${TYPES}/${name}`)
})

t.test('with a schema publishing answers every violation and its path', async (t) => {
  await put('order.paid', { schema: SCHEMA })
  t.equal((await publish('order.paid', { amount: 1, currency: 'EUR' })).status, 202)
  const refused = await publish('order.paid', { amount: 0.5, email: 'x', extra: 1 })
  t.match(refused, { status: 422, json: { code: 'data_invalid' } })
  t.strictSame(fields(refused), [
    'data.amount',
    'data.amount',
    'data.currency',
    'data.email',
    'data.extra',
  ])
  t.equal((await publish('order.unknown', {})).status, 202, 'others are free')
  const event = (data: unknown) => ({ tenant: tenant.key, type: 'order.paid', data })
  const events = [event({ amount: 1, currency: 'EUR' }), event(5), event({ amount: 1 })]
  const batch = await request('POST', '/api/events/batch', { body: { events } })
  t.match(batch, { status: 422, json: { code: 'data_invalid' } })
  t.strictSame(fields(batch), ['events[1].data', 'events[2].data.currency'])
  await request('PATCH', `${TYPES}/order.paid`, { body: { schema: null } })
  t.equal((await publish('order.paid', 5)).status, 202, 'without it anything goes, at once')
})

t.test('EVENT_TYPES_STRICT refuses types that are not described', async (t) => {
  const strict = createTestApi(pool, createTestServices(pool, { EVENT_TYPES_STRICT: 'true' }))
  const send = (type: string) =>
    strict.request('POST', '/api/events', { body: { tenant: tenant.key, type, data: 1 } })
  t.match(await send('never.described'), {
    status: 422,
    json: { code: 'event_type_unknown', errors: [{ field: 'type' }] },
  })
  const path = `${TYPES}/now.described`
  t.equal((await strict.request('PUT', path, { body: {} })).status, 201)
  t.equal((await send('now.described')).status, 202)
})

t.test('the example of a type fits its schema', async (t) => {
  const example = async (name: string) => (await request('GET', `${TYPES}/${name}/example`)).json
  await put('with.schema', { schema: SCHEMA })
  const made = await example('with.schema')
  t.match(made, { type: 'with.schema', timestamp: /Z$/, data: { email: /@/ } })
  t.equal((await publish('with.schema', made.data)).status, 202)
  t.strictSame((await example('with.schema')).data, made.data, 'the same again')
  await put('with.examples', { schema: { type: 'integer', examples: ['wrong', 42] } })
  t.match(await example('with.examples'), { data: 42 })
  await put('without.schema', {})
  t.match(await example('without.schema'), { data: {} })
  await put('nothing.fits', { schema: false })
  t.match(await request('GET', `${TYPES}/nothing.fits/example`), {
    status: 422,
    json: { code: 'example_not_found' },
  })
  const tree = { $ref: '#/$defs/node' }
  const node = {
    type: 'object',
    required: ['next'],
    properties: { next: { anyOf: [tree, { type: 'null' }] } },
  }
  await put('a.tree', { schema: { ...tree, $defs: { node } } })
  t.match((await example('a.tree')).data, { next: Object })
})

t.test('422 names what is wrong with a schema', async (t) => {
  const cases: [unknown, string[]][] = [
    [{ schema: { type: 'objekt' } }, ['schema.type']],
    [{ schema: { properties: { a: { $ref: 'http://x/' } } } }, ['schema.properties.a.$ref']],
    [{ schema: { pattern: '(' } }, ['schema']],
    [{ schema: 'text' }, ['schema']],
    [{ schema: [] }, ['schema']],
    [{ description: 'NUL \0' }, ['description']],
    [
      { description: 'x'.repeat(1001), deprecated: 'yes', other: 1 },
      ['deprecated', 'description', 'other'],
    ],
  ]
  for (const [body, expected] of cases) {
    const answer = await put('not.saved', body)
    t.equal(answer.status, 422, JSON.stringify(body))
    t.strictSame([...new Set(fields(answer))], expected, answer.text)
  }
  t.equal((await request('GET', `${TYPES}/not.saved`)).status, 404)
  for (const name of ['a..b', 'a b', '.a', 'x'.repeat(129), '%00']) {
    t.match(await put(name, {}), { status: 422, json: { errors: [{ field: 'name' }] } }, name)
    t.equal((await request('GET', `${TYPES}/${name}`)).status, 404, name)
  }
})

t.test('no more than 1,000', async (t) => {
  await pool.query(
    `insert into postrider.event_type (name) select 'many.' || n from generate_series(1, 1000) as n`,
  )
  t.match(await put('one.too.many', {}), { status: 409, json: { code: 'too_many_event_types' } })
  t.equal((await put('many.1', { description: 'x' })).status, 200)
  await pool.query(`delete from postrider.event_type where name like 'many.%'`)
})

t.test('each route: 401 and 403; a key of one tenant may read', async (t) => {
  await put('guarded', {})
  const tenantId = tenant.id as TenantId
  const of = async (scopes: ('read' | 'publish' | 'manage' | 'admin')[], bound = false) =>
    (await apiKeys.issue({ name: 'k', scopes, ...(bound && { tenantId }) })).key
  const [reader, publisher, manager] = [
    await of(['read']),
    await of(['publish']),
    await of(['manage', 'admin'], true),
  ]
  const writes = [
    ['PUT', '/guarded'],
    ['PATCH', '/guarded'],
    ['DELETE', '/guarded'],
  ] as const
  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/guarded'],
    ['GET', '/guarded/example'],
  ] as const) {
    t.equal((await request(method, TYPES + path, { key: null })).status, 401)
    t.equal((await request(method, TYPES + path, { key: publisher })).status, 403)
    t.equal((await request(method, TYPES + path, { key: manager })).status, 200)
  }
  for (const [method, path] of writes) {
    const call = (key: string | null) => request(method, TYPES + path, { key, body: {} })
    t.equal((await call(null)).status, 401)
    for (const key of [reader, manager]) t.equal((await call(key)).status, 403, method)
  }
  t.equal((await request('GET', `${TYPES}/guarded`)).status, 200, 'still there')
})

t.test('a tenant whose events take too long to check is told when to try again', async (t) => {
  await put('endless.pattern', { schema: { type: 'string', pattern: '^(a+)+$' } })
  await put('quick.one', { schema: { type: 'integer' } })
  const bad = `${'a'.repeat(40)}!`
  const slow = Array.from({ length: 14 }, () => publish('endless.pattern', bad))
  t.equal((await publish('quick.one', 1)).status, 202, 'others are not held up')
  const answers = await Promise.all(slow)
  const refused = answers.filter(({ status }) => status === 429)
  t.ok(refused.length > 0)
  for (const { json, headers } of refused) {
    t.match(json, { code: 'too_many_at_once' })
    t.ok(Number(headers.get('retry-after')) >= 1)
  }
  const checked = answers.filter(({ status }) => status === 422)
  t.equal(checked.length + refused.length, 14)
  t.match(checked[0]?.json, { errors: [{ message: /takes longer than 100 ms/ }] })
})
