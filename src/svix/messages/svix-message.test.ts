/** Messages, and the access to the portal, as SDKs of Svix ask for them. */
import t from 'tap'
import { createTenant } from '../../testing/data/tenant.ts'
import { createTestApi, type RequestOptions } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { svixId, uuidOf } from '../svix-id.ts'

const { pool } = await createTestDatabase(t)
const { request, app } = createTestApi(pool, { svixApi: true })

async function application() {
  const tenant = await createTenant(pool)
  const path = `/api/v1/app/${svixId('app', tenant.id)}/msg`
  const create = (
    body: object,
    { query = '', ...options }: RequestOptions & { query?: string } = {},
  ) =>
    request('POST', `${path}${query}`, {
      body: { eventType: 'a.b', payload: {}, ...body },
      ...options,
    })
  const list = async (query = '') => (await request('GET', `${path}?${query}`)).json
  const named = async (query = '') =>
    (await list(query)).data.map(({ payload }: { payload: { n: number } }) => payload.n)
  return { tenant, path, create, list, named }
}

const keyed = (key: string) => ({ headers: { 'idempotency-key': key } })

t.test('a message is stored as an event that is sent as Svix sends it', async (t) => {
  const { create, path, tenant } = await application()
  const endpoint = await tenant.addEndpoint({
    url: 'http://127.0.0.1:1/',
    event_types: ['a.b'],
    channels: ['red'],
  })
  const made = await create({
    channels: ['red', 'blue', 'red'],
    tags: ['x'],
    eventId: 'mine',
    odd: 1,
  })
  t.match(made, {
    status: 202,
    json: {
      ...{ id: /^msg_\w{27}$/, eventId: 'mine', eventType: 'a.b', payload: {} },
      ...{ channels: ['red', 'blue'], tags: ['x'], timestamp: String },
    },
  })
  t.strictSame((await request('GET', `${path}/${made.json.id}`)).json, made.json)
  t.strictSame((await request('GET', `${path}/mine/`)).json, made.json)
  const { rows } = await pool.query(
    'select e.as_svix, d.endpoint_id from postrider.event e left join postrider.delivery d on d.event_id = e.id where e.id = $1',
    [uuidOf('msg', made.json.id)],
  )
  t.strictSame(rows, [{ as_svix: true, endpoint_id: endpoint.id }])
})

t.test('the payload is kept and shown byte by byte, and left out on demand', async (t) => {
  const { path } = await application()
  const payload = '{ "big": 12345678901234567890.10, "b" :1, "a":"\\u00e9" }'
  const headers = { 'content-type': 'application/json' }
  const post = (query: string) =>
    request('POST', path + query, { body: `{"eventType":"a", "payload":${payload}}`, headers })
  const made = await post('')
  t.ok(made.text.includes(`"payload":${payload}`))
  t.ok((await request('GET', `${path}/${made.json.id}`)).text.includes(payload))
  t.ok((await request('GET', path)).text.includes(payload))
  t.strictSame((await post('?with_content=false')).json.payload, {})
  t.strictSame((await request('GET', `${path}?with_content=false`)).json.data[0].payload, {})
  const raw = await request('POST', path, {
    body: { eventType: 'a', payload: { a: 1 }, transformationsParams: { rawPayload: '[1.0]' } },
  })
  t.match(raw.text, /"payload":\[1\.0\]/)
})

t.test('a repeat with the same key gets the first message, whatever its body', async (t) => {
  const { create, list } = await application()
  const first = await create({ payload: { n: 1 } }, keyed('k'))
  const again = await create({ payload: { n: 2 }, eventType: 'c' }, keyed('k'))
  t.strictSame([again.status, again.json], [202, first.json])
  t.equal(first.json.eventId, null, 'the key of a request is no eventId')
  t.not((await create({}, keyed('other'))).json.id, first.json.id)
  t.not((await create({}, { ...keyed('k'), query: '?with_content=true' })).json.id, first.json.id)
  t.equal((await list()).data.length, 3)
})

t.test('a second message with an eventId is refused, but not the same request again', async (t) => {
  const { create, path } = await application()
  const first = await create({ eventId: 'order-1' }, keyed('k'))
  t.equal(first.status, 202)
  t.strictSame((await create({ eventId: 'order-1' }, keyed('k'))).json, first.json)
  t.match(await create({ eventId: 'order-1' }), { status: 409, json: { code: 'conflict' } })
  t.equal((await create({ eventId: 'order-1' }, keyed('l'))).status, 409)
  const other = await application()
  t.equal((await other.create({ eventId: 'order-1' })).status, 202, 'of another application')
  const longest = 'x'.repeat(256)
  t.equal((await create({ eventId: longest })).json.eventId, longest)
  t.equal((await create({ eventId: longest })).status, 409)
  t.equal((await request('GET', `${path}/${longest}`)).json.eventId, longest)
})

t.test('what cannot be is refused with the field', async (t) => {
  const { create, path } = await application()
  const refused: [object, (string | number)[]][] = [
    [{ eventType: 'a b' }, ['eventType']],
    [{ eventType: 'postrider.endpoint.disabled' }, ['eventType']],
    [{ payload: 'text' }, ['payload']],
    [{ payload: [1] }, ['payload']],
    [{ payload: undefined }, ['payload']],
    [{ payload: { a: '\u0000' } }, ['payload']],
    [{ eventId: 'msg_1' }, ['eventId']],
    [{ eventId: 'x'.repeat(257) }, ['eventId']],
    [{ channels: [] }, ['channels']],
    [{ channels: ['1', '2', '3', '4', '5', '6'] }, ['channels']],
    [{ channels: ['a b'] }, ['channels', 0]],
    [{ payloadRetentionPeriod: 4 }, ['payloadRetentionPeriod']],
    [{ payloadRetentionPeriod: 91 }, ['payloadRetentionPeriod']],
    [{ payloadRetentionHours: 1 }, ['payloadRetentionHours']],
    [{ deliverAt: '3000-01-01T00:00:00Z' }, ['deliverAt']],
    [{ transformationsParams: { rawPayload: 'a=1' } }, ['transformationsParams', 'rawPayload']],
  ]
  for (const [body, loc] of refused) {
    const { status, json } = await create(body)
    t.match(
      [status, json.detail?.[0]?.loc],
      [422, ['body', ...loc]],
      JSON.stringify(body).slice(0, 80),
    )
  }
  t.equal((await request('POST', path)).status, 422, 'nothing at all')
  t.equal((await create({ payload: { a: 'x'.repeat(1_100_000) } })).status, 413)
})

t.test('the payload is erased when it is said, and by hand', async (t) => {
  const { create, path } = await application()
  const { json } = await create({ payloadRetentionPeriod: 5, eventId: 'gone' })
  const { rows } = await pool.query(
    `select erase_at - now() between interval '4 days 23 hours' and interval '5 days' as is_then
     from postrider.event_erasure where event_id = $1`,
    [uuidOf('msg', json.id)],
  )
  t.strictSame(rows, [{ is_then: true }])
  const deliverAt = new Date(Date.now() + 6 * 86_400_000).toISOString()
  const { json: scheduled } = await create({ payloadRetentionPeriod: 5, deliverAt })
  const { rows: after } = await pool.query(
    `select erase_at = $2::timestamptz + interval '5 days' as is_then from postrider.event_erasure where event_id = $1`,
    [uuidOf('msg', scheduled.id), deliverAt],
  )
  t.strictSame(after, [{ is_then: true }], 'not before it is sent')
  t.equal((await request('DELETE', `${path}/gone/content`)).status, 204)
  t.strictSame((await request('GET', `${path}/${json.id}`)).json.payload, { expired: true })
  t.equal((await request('DELETE', `${path}/nope/content`)).status, 404)
})

t.test('messages are listed both ways, and filtered', async (t) => {
  const { create, list, named } = await application()
  const made = []
  for (const n of [1, 2, 3, 4, 5]) {
    const more = n % 2 ? { channels: ['odd'], eventType: 'is.odd' } : { eventType: 'is.even' }
    made.push((await create({ payload: { n }, ...more })).json)
  }
  t.strictSame(await named(), [5, 4, 3, 2, 1])
  const first = await list('limit=2')
  t.match(first, { done: false, iterator: made[3].id, prevIterator: `-${made[4].id}` })
  t.strictSame(await named(`limit=2&iterator=${first.iterator}`), [3, 2])
  t.match(await list(`limit=2&iterator=${made[1].id}`), { done: true, iterator: made[0].id })
  t.strictSame(await named(`limit=2&iterator=-${made[0].id}`), [3, 2], 'the other way')
  t.match(await list(`iterator=${made[0].id}`), { data: [], iterator: null, done: true })
  t.strictSame(await named('channel=odd'), [5, 3, 1])
  for (const types of [
    'event_types=is.even,c',
    'event_types=c&event_types=is.even',
    'event_types[]=is.even',
    'event_types[0]=is.even',
  ]) {
    t.strictSame(await named(types), [4, 2], types)
  }
  const long = '2999-01-01T00:00:00Z'
  t.strictSame(await named(`before=${long}&after=2020-01-01T00:00:00%2B00:00`), [5, 4, 3, 2, 1])
  t.strictSame(await named('after=2020-01-01T00:00:00Z&limit=2'), [2, 1], 'those that follow it')
  t.strictSame(await named(`after=${long}`), [])
  for (const query of ['channel=a%20b', 'before=yesterday', 'limit=0', 'iterator=nope', 'tag=a']) {
    const { path } = await application()
    t.equal((await request('GET', `${path}?${query}`)).status, 422, query)
  }
})

t.test('what producers published in another way is there as well', async (t) => {
  const { tenant, list } = await application()
  await pool.query(`select postrider.publish($1, 'from.sql', '{"n":1}', 'order-7')`, [tenant.key])
  t.match((await list()).data, [{ eventType: 'from.sql', eventId: 'order-7', payload: { n: 1 } }])
})

t.test('an application is made along where the path names none', async (t) => {
  const body = (uid?: string) => ({
    ...{ eventType: 'a', payload: {} },
    application: { name: 'Made along', ...(uid && { uid }) },
  })
  const post = (named: string, uid?: string, options: RequestOptions = {}) =>
    request('POST', `/api/v1/app/${named}/msg`, { body: body(uid), ...options })
  t.match(await post('along', 'other'), {
    status: 422,
    json: { detail: [{ loc: ['body', 'application', 'uid'], type: 'application_uid_mismatch' }] },
  })
  t.match((await post('along')).json.detail, [{ type: 'application_uid_missing' }])
  const publisher = await request('POST', '/api/keys', { body: { name: 'p', scopes: ['publish'] } })
  const { key } = publisher.json
  t.equal((await post('along', 'along', { key })).status, 403)
  t.equal((await post('along', 'along')).status, 202)
  t.equal((await post('along', 'along', { key })).status, 202, 'it is there now')
  t.match((await request('GET', '/api/v1/app/along')).json, { uid: 'along', name: 'Made along' })
  const plain = { body: { eventType: 'a', payload: {} } }
  t.equal((await request('POST', '/api/v1/app/nobody/msg', plain)).status, 404)
})

t.test('a key of one tenant publishes for that one alone', async (t) => {
  const { tenant, create } = await application()
  const other = await application()
  const { json } = await request('POST', '/api/keys', {
    body: { name: 'one', scopes: ['publish'], tenant: tenant.key },
  })
  t.equal((await create({}, { key: json.key })).status, 202)
  t.equal((await other.create({}, { key: json.key })).status, 404)
  t.equal((await create({}, { key: null })).status, 401)
})

t.test('access to the portal is a link, whose token is for its application alone', async (t) => {
  const { tenant, path } = await application()
  const other = await application()
  const access = (named: string, body: object = {}) =>
    request('POST', `/api/v1/auth/app-portal-access/${named}`, { body })
  const id = svixId('app', tenant.id)
  const { status, json } = await access(id)
  t.equal(status, 200)
  t.equal(new URL(json.url).searchParams.get('token'), json.token)
  const key: string = json.token
  t.equal((await request('GET', path, { key })).status, 200)
  t.equal((await request('GET', other.path, { key })).status, 404)
  t.equal((await request('GET', '/api/v1/app', { key })).status, 403)
  t.equal((await request('POST', path, { key, body: {} })).status, 403, 'it does not publish')
  t.equal((await request('GET', '/api/tenants', { key })).status, 401, 'of this API alone')
  const older = await request('POST', `/api/v1/auth/dashboard-access/${id}/`)
  t.equal((await request('GET', path, { key: older.json.token })).status, 200)
  await request('DELETE', `/api/tenants/${tenant.key}/portal-links`)
  t.equal((await request('GET', path, { key })).status, 401, 'revoked')

  const along = { application: { name: 'New', uid: 'for-portal' }, readOnly: true, expiry: 3_600 }
  t.equal((await access('for-portal', along)).status, 200)
  t.equal((await access('nobody')).status, 404)
  for (const body of [{ featureFlags: ['a'] }, { capabilities: ['ViewBase'] }, { expiry: 1 }]) {
    t.equal((await access(id, body)).status, 422, JSON.stringify(body))
  }
  t.equal((await app.request('/api/v1/auth/logout', { method: 'POST' })).status, 400)
})
