import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { ADMIN_KEY, createTestApi, type RequestOptions } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createOpenApiCheck, type Document } from '../testing/wiring/openapi-check.ts'
import { svixId, uuidOf } from './svix-id.ts'

const { pool } = await createTestDatabase(t)
const { app, request: ourApi } = createTestApi(pool, { svixApi: true })

const document = await app.request('/api/v1/openapi.json')
const check = createOpenApiCheck((await document.json()) as Document)

/** What is not as the document of this API says fails the test. */
async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: RequestOptions['headers'] = {},
) {
  const sent = body === undefined ? undefined : JSON.stringify(body)
  const response = await app.request(`/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_KEY}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(sent !== undefined && { body: sent }),
  })
  const text = await response.text()
  const { status } = response
  const contentType = response.headers.get('content-type')
  const at = `/api/v1${path}`.replace(/\/$/, '')
  const mistake = check({ method, path: at, body: sent, status, contentType, text })
  if (mistake) throw new Error(`${method} ${path} is not as documented: ${mistake}`)
  return { status, json: text === '' ? undefined : JSON.parse(text) }
}

async function application() {
  const tenant = await createTenant(pool)
  const path = `/app/${svixId('app', tenant.id)}/endpoint`
  const create = (values: object = {}) =>
    call('POST', path, { url: 'https://example.com/hook', ...values })
  return { tenant, path, create }
}

const describeType = (name: string, values: object = {}) =>
  ourApi('PUT', `/api/event-types/${name}`, { body: values })

t.test('an endpoint is created as SDKs of both generations say it and read it', async (t) => {
  const { create, path } = await application()
  await describeType('invoice.paid')
  const settings = {
    uid: 'mine',
    description: 'Books',
    channels: ['a', 'b', 'a'],
    metadata: { x: 'y' },
  }
  const newer = { eventTypes: ['invoice.paid'], throttleRate: 7 }
  const made = await create({ ...settings, ...newer, unknownMember: true })
  t.match(made, {
    status: 201,
    json: {
      ...{ id: /^ep_[A-Za-z0-9]{27}$/, uid: 'mine', url: 'https://example.com/hook' },
      ...{ description: 'Books', disabled: false, version: 1, metadata: { x: 'y' } },
      ...{ eventTypes: ['invoice.paid'], filterTypes: ['invoice.paid'], channels: ['a', 'b'] },
      ...{ throttleRate: 7, rateLimit: 7, createdAt: String, updatedAt: String },
    },
  })
  t.notOk('secret' in made.json)
  t.strictSame((await call('GET', `${path}/${made.json.id}`)).json, made.json)
  t.strictSame((await call('GET', `${path}/mine/`)).json, made.json)
  const older = await create({ filterTypes: ['invoice.paid'], rateLimit: 3, version: 2 })
  t.match(older.json, { eventTypes: ['invoice.paid'], throttleRate: 3, version: 2, uid: null })
  const least = await create({ url: 'https://EXAMPLE.com' })
  t.match(least.json, {
    ...{ url: 'https://example.com/', description: '', metadata: {}, channels: null },
    ...{ eventTypes: null, filterTypes: null, throttleRate: null, rateLimit: null },
  })
})

t.test('our own API shows it, with the shape that Svix sends', async (t) => {
  const { create, tenant } = await application()
  const { json } = await create({ uid: 'one', disabled: true })
  const id = uuidOf('ep', json.id)
  const { json: ours } = await ourApi('GET', `/api/tenants/${tenant.key}/endpoints/${id}`)
  t.match(ours, { shape: 'svix', state: 'disabled', eventTypes: ['*'] })
  t.equal(json.disabled, true)
})

t.test('what cannot be is refused with the field', async (t) => {
  const { create } = await application()
  await describeType('old.type')
  await pool.query(`update postrider.event_type set archived_at = now() where name = 'old.type'`)
  const refused: [object, string[]][] = [
    [{ url: 'nope' }, ['url']],
    [{ url: 'ftp://example.com/' }, ['url']],
    [{ url: 'http://10.0.0.1/' }, ['url']],
    [{ eventTypes: [] }, ['eventTypes']],
    [{ filterTypes: ['not.described'] }, ['eventTypes']],
    [{ eventTypes: ['old.type'] }, ['eventTypes']],
    [{ channels: [] }, ['channels']],
    [{ channels: Array.from({ length: 11 }, (_, n) => `c${n}`) }, ['channels']],
    [{ channels: ['a b'] }, ['channels', '0']],
    [{ throttleRate: 0 }, ['throttleRate']],
    [{ version: 0 }, ['version']],
    [{ uid: 'ep_1' }, ['uid']],
    [{ uid: 'a b' }, ['uid']],
    [{ metadata: { a: 'x'.repeat(4096) } }, ['metadata']],
    [{ metadata: { a: 1 } }, ['metadata', 'a']],
    [{ secret: 'whsec_C2FVsBQIhrscChlQIM+b5sSYspob' }, ['secret']],
    [{ secret: `whsec_${Buffer.alloc(76, 1).toString('base64')}` }, ['secret']],
    [{ secret: 'hwsec_C2FVsBQIhrscChlQIM+b5sSYspob7oDazfgh' }, ['secret']],
  ]
  for (const [values, loc] of refused) {
    const { status, json } = await create(values)
    t.equal(status, 422, JSON.stringify(values).slice(0, 80))
    t.match(json, { detail: [{ msg: String, type: String }] })
    t.strictSame(json.detail[0].loc, ['body', ...loc])
  }
  const largest = Array.from({ length: 10 }, (_, n) => `c${n}`)
  t.equal((await create({ channels: largest })).status, 201)
})

t.test('a list goes both ways, newest first or oldest first', async (t) => {
  const { create, path } = await application()
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.push((await create()).json.id)
  const newest = ids.toReversed()
  const list = async (query: string) => (await call('GET', `${path}?${query}`)).json
  const idsOf = ({ data }: { data: { id: string }[] }) => data.map(({ id }) => id)
  const first = await list('limit=2')
  t.strictSame(idsOf(first), newest.slice(0, 2))
  t.match(first, { iterator: newest[1], prevIterator: `-${newest[0]}`, done: false })
  const second = await list(`limit=2&iterator=${first.iterator}`)
  t.strictSame(idsOf(second), newest.slice(2, 4))
  t.strictSame(idsOf(await list(`limit=2&iterator=${second.prevIterator}`)), newest.slice(0, 2))
  t.match(await list(`iterator=${second.iterator}`), { data: [{ id: newest[4] }], done: true })
  t.strictSame(idsOf(await list('order=ascending&limit=3')), ids.slice(0, 3))
})

t.test('a replacement leaves nothing of what it does not name but the secret', async (t) => {
  const { create, path } = await application()
  await describeType('invoice.paid')
  const { json } = await create({
    uid: 'u',
    eventTypes: ['invoice.paid'],
    channels: ['a'],
    disabled: true,
  })
  const secret = (await call('GET', `${path}/u/secret`)).json
  const replaced = await call('PUT', `${path}/${json.id}`, { url: 'https://example.org/' })
  t.match(replaced, {
    status: 200,
    json: {
      ...{ id: json.id, uid: null, url: 'https://example.org/', disabled: false },
      ...{ eventTypes: null, channels: null, metadata: {}, createdAt: json.createdAt },
    },
  })
  t.strictSame((await call('GET', `${path}/${json.id}/secret`)).json, secret)
  const upserted = await call('PUT', `${path}/${svixId('ep', randomUuid())}`, {
    url: 'https://example.org/new',
  })
  t.equal(upserted.status, 201)
  t.not(upserted.json.id, json.id)
})

t.test('a patch changes what it names, and null clears', async (t) => {
  const { create, path } = await application()
  await describeType('invoice.paid')
  const made = await create({
    uid: 'u',
    filterTypes: ['invoice.paid'],
    channels: ['a'],
    rateLimit: 5,
  })
  const one = `${path}/${made.json.id}`
  const { updatedAt: _, ...before } = made.json
  const same = await call('PATCH', one, {})
  t.match(same, { status: 200, json: before })
  t.match((await call('PATCH', one, { description: 'new' })).json, {
    ...before,
    description: 'new',
  })
  t.match((await call('PATCH', one, { filterTypes: null })).json, { eventTypes: null, uid: 'u' })
  t.match((await call('PATCH', one, { eventTypes: ['invoice.paid'] })).json, {
    filterTypes: ['invoice.paid'],
  })
  const cleared = { eventTypes: null, uid: null, channels: null, throttleRate: null }
  t.match((await call('PATCH', one, cleared)).json, {
    ...cleared,
    filterTypes: null,
    rateLimit: null,
  })
  t.equal((await call('PATCH', one, { eventTypes: ['not.described'] })).status, 422)
  t.equal((await call('PATCH', `${path}/ep_nothing`, {})).status, 404)
})

t.test('a pattern that our own API set may be given back', async (t) => {
  const { create, path, tenant } = await application()
  const { json } = await create()
  const ours = `/api/tenants/${tenant.key}/endpoints/${uuidOf('ep', json.id)}`
  await ourApi('PATCH', ours, { body: { eventTypes: ['order.*'] } })
  const shown = (await call('GET', `${path}/${json.id}`)).json
  t.strictSame(shown.eventTypes, ['order.*'])
  t.match(await call('PUT', `${path}/${json.id}`, shown), {
    status: 200,
    json: { eventTypes: ['order.*'] },
  })
})

t.test(
  'a uid is one of a kind in its application, and free once its endpoint is deleted',
  async (t) => {
    const [one, other] = [await application(), await application()]
    const { json } = await one.create({ uid: 'same' })
    const taken = await one.create({ uid: 'same' })
    t.match(taken, { status: 409, json: { code: 'conflict', detail: String } })
    t.equal((await other.create({ uid: 'same' })).status, 201)
    const second = (await one.create()).json
    t.equal((await call('PATCH', `${one.path}/${second.id}`, { uid: 'same' })).status, 409)
    t.equal((await call('DELETE', `${one.path}/same`)).status, 204)
    t.equal((await call('GET', `${one.path}/${json.id}`)).status, 404)
    t.equal((await one.create({ uid: 'same' })).status, 201)
    t.equal((await call('GET', `${other.path}/${second.id}`)).status, 404, 'of another application')
  },
)

t.test('an id that Svix gave names the endpoint, and is shown', async (t) => {
  const { create, path } = await application()
  const { json } = await create()
  const given = 'ep_2aBcDeFgHiJkLmNoPqRsTuVwXyZ'
  await pool.query('update postrider.endpoint set svix_id = $1 where id = $2', [
    given,
    uuidOf('ep', json.id),
  ])
  t.match(await call('GET', `${path}/${given}`), { status: 200, json: { id: given } })
  t.match(await call('GET', `${path}/${json.id}`), { status: 200, json: { id: given } })
})

t.test('disabled is a state of ours: what is open is held, and follows', async (t) => {
  const work = await createWork(pool)
  const path = `/app/${svixId('app', work.tenant.id)}/endpoint/${svixId('ep', work.endpoint.id)}`
  const open = await work.publish()
  const state = async () => (await work.deliveryOf(open.eventId)).state
  const stored = async () =>
    (await pool.query('select state from postrider.endpoint where id = $1', [work.endpoint.id]))
      .rows[0].state
  t.match((await call('PATCH', path, { disabled: true })).json, { disabled: true })
  t.equal(await stored(), 'disabled')
  await pool.query('select postrider.align($1, 500)', [work.endpoint.id])
  t.equal(await state(), 'held')
  t.match((await call('PATCH', path, { disabled: false })).json, { disabled: false })
  t.equal(await state(), 'pending')
  await pool.query('select postrider.pause_endpoint($1)', [work.endpoint.id])
  t.match((await call('PATCH', path, { disabled: true })).json, { disabled: true })
  t.equal(await stored(), 'paused', 'a pause stays one')
  t.match((await call('PATCH', path, { disabled: false })).json, { disabled: false })
  t.equal(await stored(), 'active')
  t.match(
    (await work.audited()).map(({ who, action }) => [who, action]),
    [
      ['admin key', 'disable_by_hand'],
      ['admin key', 'enable_endpoint'],
      [String, 'pause_endpoint'],
      ['admin key', 'resume_endpoint'],
    ],
  )
})

t.test('headers are replaced or merged, and credentials are not shown', async (t) => {
  const { create, path } = await application()
  const headers = `${path}/${(await create()).json.id}/headers`
  const shown = async () => (await call('GET', headers)).json
  t.strictSame(await shown(), { headers: {}, sensitive: [] })
  const put = { 'x-test-1': '1', 'x-test-2': '2' }
  t.strictSame(await call('PUT', headers, { headers: put }), { status: 204, json: undefined })
  t.strictSame(await shown(), { headers: put, sensitive: [] })
  const patch = { 'x-test-3': '4', 'X-Test-2': null, authorization: 'Bearer abc', 'x-none': null }
  t.equal((await call('PATCH', headers, { headers: patch })).status, 204)
  t.strictSame(await shown(), {
    headers: { 'x-test-1': '1', 'x-test-3': '4' },
    sensitive: ['authorization'],
  })
  t.equal((await call('PATCH', headers, { headers: { 'x-test-1': '5' } })).status, 204)
  const without = { headers: { 'x-test-4': '4' }, deleteHeaders: ['X-Test-3'] }
  t.equal((await call('PATCH', headers, without)).status, 204)
  t.strictSame((await shown()).headers, { 'x-test-1': '5', 'x-test-4': '4' })
  const { rows } = await pool.query(
    `select secret_headers ? 'authorization' as kept from postrider.endpoint where url = 'https://example.com/hook'
     order by id desc limit 1`,
  )
  t.equal(rows[0].kept, true, 'a credential stays when others change')
  t.equal((await call('PUT', headers, { headers: { 'x-test-1': '1' } })).status, 204)
  t.strictSame(await shown(), { headers: { 'x-test-1': '1' }, sensitive: [] })
  for (const name of [
    'content-length',
    'some:thing',
    'svix-foo',
    'x-svix-foo',
    'x-amzn-foo',
    'webhook-id',
  ]) {
    for (const method of ['PUT', 'PATCH']) {
      const refused = await call(method, headers, { headers: { [name]: '1' } })
      t.match(
        refused,
        { status: 422, json: { detail: [{ loc: ['body', 'headers', name] }] } },
        name,
      )
    }
  }
  for (const method of ['PUT', 'PATCH']) {
    const twice = await call(method, headers, { headers: { 'X-A': '1', 'x-a': '2' } })
    t.match(twice, { status: 422, json: { detail: [{ loc: ['body', 'headers'] }] } }, method)
  }
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`x-${n}`, 'v']))
  t.match(await call('PATCH', headers, { headers: many }), {
    status: 422,
    json: { detail: [{ loc: ['body', 'headers'] }] },
  })
})

t.test('a secret is shown whole, and of an ed25519 key the public half', async (t) => {
  const { create, path } = await application()
  const bytes = Buffer.alloc(24, 5).toString('base64')
  const keyOf = async (values: object) => {
    const { status, json } = await create(values)
    t.equal(status, 201)
    return (await call('GET', `${path}/${json.id}/secret`)).json
  }
  t.match(await keyOf({}), { key: /^whsec_/ })
  t.strictSame(await keyOf({ secret: `whsec_${bytes}` }), { key: `whsec_${bytes}` })
  t.strictSame(await keyOf({ secret: bytes }), { key: `whsec_${bytes}` })
  const like = 'whsec_0123456789abcdef0123456789abcdef'
  t.strictSame(await keyOf({ secret: like }), { key: like }, 'base64 although it looks like hex')
  const longest = `whsec_${Buffer.alloc(75, 9).toString('base64')}`
  t.strictSame(await keyOf({ secret: longest }), { key: longest })
  const generated = await ourApi(
    'POST',
    `/api/tenants/${(await application()).tenant.key}/endpoints`,
    {
      body: { url: 'https://example.com/', secretKind: 'ed25519' },
    },
  )
  const { secret, publicKey } = generated.json
  t.strictSame(await keyOf({ secret }), { key: publicKey })

  const brought = Buffer.alloc(24, 251)
  for (const encoding of ['hex', 'base64url', 'base64', 'utf8'] as const) {
    const { tenant, path } = await application()
    const secret = encoding === 'utf8' ? 'a secret in plain words' : brought.toString(encoding)
    const body = {
      ...{ url: 'https://example.com/', secret },
      secretEncoding: encoding === 'utf8' ? 'text' : encoding,
    }
    const made = await ourApi('POST', `/api/tenants/${tenant.key}/endpoints`, { body })
    const { id } = (await call('GET', path)).json.data[0]
    const { key } = (await call('GET', `${path}/${id}/secret`)).json
    t.equal(made.status, 201, encoding)
    const bytes = Buffer.from(key.replace(/^whsec_/, ''), 'base64')
    t.strictSame(bytes, Buffer.from(secret, encoding), `${encoding} as the key of a Webhook`)
  }
})

t.test('a secret is rotated, and ten old ones sign next to it', async (t) => {
  const { create, path } = await application()
  const secret = `${path}/${(await create()).json.id}/secret`
  const rotate = (body: object) => call('POST', `${secret}/rotate`, body)
  const key = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
  t.strictSame(await rotate({ key }), { status: 204, json: undefined })
  t.strictSame((await call('GET', secret)).json, { key })
  t.equal((await rotate({ gracePeriodSeconds: 604_801 })).status, 422)
  t.equal((await rotate({ key: 'short' })).status, 422)
  for (let n = 2; n <= 10; n++) t.equal((await rotate({})).status, 204, `rotation ${n}`)
  t.match(await rotate({}), { status: 400, json: { code: 'limit_reached', detail: String } })
  t.equal((await rotate({ gracePeriodSeconds: 0 })).status, 204, 'without an old one there is room')
})

// Both answered 500, to an application that cannot know the keys of the service.
t.test('a secret that no key opens is refused, and can be rotated', async (t) => {
  const { create, path } = await application()
  const { id } = (await create()).json
  const secret = `${path}/${id}/secret`
  await pool.query(
    `update postrider.endpoint_secret set encrypted = overlay(encrypted placing 'AAAAAAAA' from 30 for 8)
     where endpoint_id = $1`,
    [uuidOf('ep', id)],
  )
  t.match(await call('GET', secret), {
    status: 409,
    json: { code: 'secret_unreadable', detail: /no key of this service/ },
  })
  t.equal((await call('POST', `${secret}/rotate`, {})).status, 204)
  t.match(await call('GET', secret), { status: 200, json: { key: /^whsec_/ } })
})

t.test('attempts are counted by how they ended, within 28 days', async (t) => {
  const work = await createWork(pool)
  const path = `/app/${svixId('app', work.tenant.id)}/endpoint/${svixId('ep', work.endpoint.id)}/stats`
  const none = { success: 0, fail: 0, pending: 0, sending: 0, canceled: 0 }
  t.strictSame(await call('GET', path), { status: 200, json: none })
  await work.finish(await work.claim(await work.publish()), 200)
  await work.finish(await work.claim(await work.publish()), 500)
  await work.finish(await work.claim(await work.publish()), 500, 60)
  await work.claim(await work.publish())
  const later = new Date(Date.now() + 60_000).toISOString()
  const counted = await call('GET', `${path}?until=${later}`)
  t.strictSame(counted.json, { ...none, success: 1, fail: 2, sending: 1 })
  const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
  const past = await call('GET', `${path}?since=${ago(2)}&until=${ago(1)}`)
  t.strictSame(past.json, none)
  t.equal((await call('GET', `${path}?since=${ago(28)}`)).status, 200)
  t.match(await call('GET', `${path}?since=${ago(29)}`), {
    status: 400,
    json: { code: 'invalid_range' },
  })
  t.match(await call('GET', `${path}?since=${ago(1)}&until=${ago(2)}`), { status: 400 })
  t.equal((await call('GET', `${path}?since=yesterday`)).status, 422)
})

t.test('recovering gives what failed one more attempt, and no schedule', async (t) => {
  const work = await createWork(pool)
  const path = `/app/${svixId('app', work.tenant.id)}/endpoint/${svixId('ep', work.endpoint.id)}/recover`
  const [failed, waiting, delivered, untried] = [
    await work.publish(),
    await work.publish(),
    await work.publish(),
    await work.publish(),
  ]
  await work.finish(await work.claim(failed), 500)
  await work.finish(await work.claim(waiting), 500, 3_600)
  await work.finish(await work.claim(delivered), 200)
  const now = new Date(Date.now() + 1_000).toISOString()
  const nothing = await call('POST', path, { since: now })
  t.match(nothing, { status: 202, json: { status: 'running' } })
  const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
  const begun = await call('POST', path, { since: ago(1) })
  t.match(begun, {
    status: 202,
    json: { id: /^qtask_/, status: 'running', task: 'endpoint.recover', updatedAt: String },
  })
  const id = uuidOf('qtask', begun.json.id)
  const { rows } = await pool.query('select total from postrider.replay where id = $1', [id])
  t.equal(rows[0].total, 2, 'what was tried and is not delivered')
  await pool.query('select postrider.replay_step($1)', [id])
  const of = (one: { eventId: string }) => work.deliveryOf(one.eventId)
  t.match(await of(failed), { state: 'pending', trigger: 'manual', schedule_step: 1_000_000 })
  t.match(await of(waiting), { state: 'pending', trigger: 'manual', schedule_step: 1 })
  t.ok(((await of(waiting)).due_in ?? 60) < 60, 'it does not wait for its schedule')
  t.match(await of(delivered), { state: 'delivered', attempt_count: 1 })
  t.match(await of(untried), { state: 'pending', trigger: 'schedule' })
  await work.finish(await work.claim(await of(failed)), 500)
  t.match(await of(failed), { state: 'failed', attempt_count: 2 })
  const late = await call('POST', path, { since: ago(15) })
  t.match(late, { status: 422, json: { detail: [{ loc: ['body', 'since'] }] } })
  const future = await call('POST', path, { since: ago(-1) })
  t.match(future, { status: 422, json: { detail: [{ loc: ['body', 'since'] }] } })
  t.equal((await call('POST', path, {})).status, 422)
})

t.test('an example is sent whatever the endpoint wants', async (t) => {
  const work = await createWork(pool, { shape: 'svix', event_types: '{other.type}' })
  const path = `/app/${svixId('app', work.tenant.id)}/endpoint/${svixId('ep', work.endpoint.id)}/send-example`
  const bodyOf = async (id: string) => {
    const delivery = await work.deliveryOf(uuidOf('msg', id) ?? '')
    return JSON.parse((await work.claim(delivery))?.body ?? 'null')
  }
  const ping = await call('POST', path, { eventType: 'svix.ping' })
  t.match(ping, {
    status: 200,
    json: { id: /^msg_/, eventType: 'svix.ping', payload: {}, channels: null, timestamp: String },
  })
  const pinged = await work.deliveryOf(uuidOf('msg', ping.json.id) ?? '')
  t.match(pinged, { state: 'pending', trigger: 'test', schedule_step: 0 }, 'on its schedule')
  t.strictSame(await bodyOf(ping.json.id), { success: true })
  const schema = { type: 'object', examples: [{ total: 1 }] }
  await describeType('example.one', { schema })
  const one = await call('POST', path, { eventType: 'example.one' })
  t.strictSame(await bodyOf(one.json.id), { total: 1 })
  await describeType('example.none')
  t.match(await call('POST', path, { eventType: 'example.none' }), {
    status: 400,
    json: { code: 'invalid_scheme' },
  })
  await pool.query(
    `update postrider.event_type set svix_schemas = '{"1": {"examples": [1]}, "10": {"examples": [{"v": 10}, {"v": 11}]}, "9": {}}'
     where name = 'example.none'`,
  )
  const versioned = await call('POST', path, { eventType: 'example.none' })
  t.strictSame(await bodyOf(versioned.json.id), { v: 10 })
  const second = await call('POST', path, { eventType: 'example.none', exampleIndex: 1 })
  t.strictSame(await bodyOf(second.json.id), { v: 11 })
  t.equal((await call('POST', path, { eventType: 'example.none', exampleIndex: 2 })).status, 400)
  t.equal((await call('POST', path, { eventType: 'not.described' })).status, 404)
})

t.test('a key that may only read changes nothing', async (t) => {
  const { create, path } = await application()
  const { json } = await create()
  const made = await ourApi('POST', '/api/keys', { body: { name: 'reader', scopes: ['read'] } })
  const headers = { authorization: `Bearer ${made.json.key}` }
  const one = `${path}/${json.id}`
  t.equal((await call('GET', one, undefined, headers)).status, 200)
  for (const [method, at, body] of [
    ['POST', path, { url: 'https://example.com/' }],
    ['PUT', one, { url: 'https://example.com/' }],
    ['PATCH', one, {}],
    ['DELETE', one],
    ['GET', `${one}/secret`],
    ['POST', `${one}/secret/rotate`, {}],
    ['PUT', `${one}/headers`, { headers: {} }],
    ['POST', `${one}/recover`, { since: new Date().toISOString() }],
    ['POST', `${one}/send-example`, { eventType: 'svix.ping' }],
  ] as const) {
    t.match(
      await call(method, at, body, headers),
      { status: 403, json: { code: String } },
      `${method} ${at}`,
    )
  }
})

const randomUuid = () => '0199d3a4-7b1c-7def-8abc-0123456789ab'
