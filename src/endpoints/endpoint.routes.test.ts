import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool)
const tenant = await createTenant(pool)
const other = await createTenant(pool)
const ENDPOINTS = `/api/tenants/${tenant.key}/endpoints`
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'
const URL_OF_TEST = 'https://example.com/webhooks'

const create = (values: object = {}) =>
  request('POST', ENDPOINTS, { body: { url: URL_OF_TEST, ...values } })
const fields = (answer: { json: { errors: { field: string }[] } }) =>
  answer.json.errors.map(({ field }) => field)

t.test('POST answers with every field and the secret', async (t) => {
  const values = {
    description: 'ledger',
    eventTypes: ['*', 'invoice.paid', 'order.*'],
    headers: { 'X-Team': 'ledger', authorization: 'Bearer x' },
    ratePerSecond: 2.5,
    maxInFlight: 3,
    timeoutSeconds: 20,
    retrySchedule: [5, 10],
    metadata: { crm: '42' },
    filter: '$.amount > 100',
  }
  const { status, json } = await create(values)
  t.equal(status, 201)
  t.match(json, {
    ...values,
    headers: { 'X-Team': 'ledger', authorization: '***' },
    secretHeaders: ['authorization'],
    url: URL_OF_TEST,
    state: 'active',
    disabledReason: null,
  })
  t.match(json.secret, /^whsec_/)
  const { secret, publicKey, secretEncoding, secretWarning, ...shown } = json
  t.strictSame([secretEncoding, secretWarning], ['base64', null])
  t.equal(publicKey, null)
  t.strictSame((await request('GET', `${ENDPOINTS}/${json.id}`)).json, shown, 'without the secret')
  t.match((await request('GET', `${ENDPOINTS}/${json.id}/secret`)).json, { secret })
})

// The document asked for a URI, which is ASCII: clients made from it refused what the service takes.
t.test('a URL may have letters beyond ASCII, and is shown as it was given', async (t) => {
  for (const url of [
    'https://müller.example/ü?é=1',
    'https://example.com/😀',
    'https://例え.example/',
  ]) {
    t.match(await create({ url }), { status: 201, json: { url } })
  }
})

t.test('POST names every invalid field', async (t) => {
  const { status, json } = await create({
    url: 'ftp://example.com',
    description: 1,
    eventTypes: ['invoice.*', 'a..b', '*.a'],
    headers: { Host: 'x', 'X-A': 'a\r\nb', 'bad name': 'x' },
    ratePerSecond: 0,
    maxInFlight: 1.5,
    timeoutSeconds: 61,
    retrySchedule: [0],
    metadata: { a: 1 },
    secret: 'short',
    state: 'disabled',
    filter: '$.a >',
  })
  t.equal(status, 422)
  t.strictSame(fields({ json }).sort(), [
    'description',
    'eventTypes[1]',
    'eventTypes[2]',
    'filter',
    'headers.Host',
    'headers.X-A',
    'headers.bad name',
    'maxInFlight',
    'metadata.a',
    'ratePerSecond',
    'retrySchedule[0]',
    'secret',
    'state',
    'timeoutSeconds',
    'url',
  ])
  t.strictSame(fields(await request('POST', ENDPOINTS, { body: {} })), ['url'])
})

t.test('url: http and https, nothing hidden in it, no private address', async (t) => {
  const refused = [
    'example.com',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'https://user:pass@example.com/',
    'https://user@example.com/',
    'https://example.com/#part',
    'https://example.com/#',
    'https://example.com/a b',
    'https://exam\nple.com/',
    ' https://example.com',
    'https://example.com/\0',
    'https://example.com/\ud800',
    'https://',
    // URL takes the first part of the path for the host.
    'https:///example.com/',
    'https:example.com',
    'https:/example.com/',
    'http:////example.com/',
    `https://example.com/${'x'.repeat(2029)}`,
    'http://10.0.0.1/',
    'http://169.254.169.254/latest',
    'http://[::1]/',
    'http://2130706434.1/',
    'http://0x0a.1/',
    'http://[::ffff:10.0.0.1]/',
    'http://3232235521/',
    'https://example.com\\@10.0.0.1/',
    'https://exam%E2%80%8Bple.com/',
  ]
  for (const url of refused) {
    const answer = await create({ url })
    t.match(answer, { status: 422, json: { errors: [{ field: 'url' }] } }, url)
  }
  // Issue 14, 17: sent as %E2%80%8B, or dropped from the host.
  const hidden = [
    '00a0',
    '00ad',
    '061c',
    '200b',
    '200e',
    '202e',
    '2028',
    '2066',
    '3164',
    'feff',
    'fe0f',
  ]
  for (const code of hidden) {
    const character = String.fromCharCode(Number.parseInt(code, 16))
    for (const url of [
      'https://exam#ple.com/',
      'https://example.com/a#',
      'https://example.com/?a=#b',
    ]) {
      const said = new RegExp(`^contains U\\+${code}, `, 'i')
      const errors = [{ field: 'url', message: said }]
      t.match(
        await create({ url: url.replace('#', character) }),
        { status: 422, json: { errors } },
        code,
      )
    }
  }
  const longest = `https://example.com/${'x'.repeat(2028)}`
  const letters = ['https://xn--mller-kva.example/', 'https://example.com/a%20b?c=%E2%80%8B']
  const accepted = [
    URL_OF_TEST,
    'HTTPS://Example.com/',
    'http://[2606:4700::1]/',
    'http://example.com:8080/?a=b',
    longest,
    'http://127.0.0.1:9/',
  ]
  for (const url of [...accepted, ...letters]) {
    t.match(await create({ url }), { status: 201, json: { url } }, url)
  }
})

t.test('texts: what cannot be seen is named by its number', async (t) => {
  const cases = [
    [{ description: 'pay\u202epal' }, 'description', /^contains U\+202E, which turns/],
    [{ metadata: { 'a\u200b': '1' } }, 'metadata.a\u200b', /^contains U\+200B, a zero width/],
    [{ metadata: { a: '1\u00ad' } }, 'metadata.a', /^contains U\+00AD, a soft hyphen/],
    [{ metadata: { 'a\u00a0b': '1' } }, 'metadata.a\u00a0b', /^contains U\+00A0, a no-break/],
    [
      { headers: { 'x-a\u200b': '1' } },
      'headers.x-a\u200b',
      /name of a header; it contains U\+200B/,
    ],
    [{ headers: { 'x-a': '1\u00a0' } }, 'headers.x-a', /visible ASCII; it contains U\+00A0/],
    [{ headers: { 'x-a': '1\r' } }, 'headers.x-a', /visible ASCII; it contains U\+000D/],
    [{ headers: { 'x-a': 'ü' } }, 'headers.x-a', /visible ASCII$/],
    [{ eventTypes: ['a.b\u200b'] }, 'eventTypes[0]', /ends in \.\*; it contains U\+200B/],
    [{ filter: '$.a == "\u202e"' }, 'filter', /^contains U\+202E/],
  ] as const
  for (const [values, field, message] of cases) {
    t.match(await create(values), { status: 422, json: { errors: [{ field, message }] } }, field)
  }
  const seen = {
    description: '10\u00a0€,\nfor 👩\u200d💻\tand می\u200cخواهم',
    metadata: { 'Größe (cm)': ' 7\u00a0½ ' },
    filter: '$.a == "10\u00a0€"',
  }
  t.match(await create(seen), { status: 201, json: seen })
})

t.test('url: nothing but https where HTTPS_ONLY says so', async (t) => {
  const strict = createTestApi(pool, { httpsOnly: true })
  const post = (url: string) => strict.request('POST', ENDPOINTS, { body: { url } })
  t.match(await post('http://example.com/'), {
    status: 422,
    json: { errors: [{ field: 'url', message: /not https/ }] },
  })
  t.equal((await post('https://example.com/')).status, 201)
  const { json } = await create()
  const body = { url: 'http://example.com/' }
  t.equal((await strict.request('PATCH', `${ENDPOINTS}/${json.id}`, { body })).status, 422)
})

t.test('secrets: ed25519 with the public key for the receiver', async (t) => {
  const made = await create({ secretKind: 'ed25519' })
  t.match(made.json, { secret: /^whsk_/, publicKey: /^whpk_/ })
  const path = `${ENDPOINTS}/${made.json.id}/secret`
  const { secret, publicKey } = made.json
  t.match((await request('GET', path)).json, { secret, publicKey })
  t.match((await request('POST', `${path}/rotate`)).json, {
    publicKey: /^whpk_/,
    expiring: [{ secret, publicKey }],
  })
  t.match((await request('POST', `${path}/rotate`, { body: { kind: 'hmac' } })).json, {
    secret: /^whsec_/,
    publicKey: null,
  })
  t.match(await create({ secret }), { status: 201, json: { secret, publicKey } })
  t.match(await create({ secretKind: 'rsa' }), { status: 422 })
})

t.test('headers, metadata and lists are bounded on both sides', async (t) => {
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'v']))
  const cases: [object, number, string?][] = [
    [{ headers: entries(20) }, 201],
    [{ headers: entries(21) }, 422, 'headers'],
    [{ headers: { 'x-a': 'v'.repeat(4093) } }, 201],
    [{ headers: { 'x-a': 'v'.repeat(4094) } }, 422, 'headers'],
    [{ headers: { 'X-A': '1', 'x-a': '2' } }, 422, 'headers.x-a'],
    [{ headers: { 'x-a': '' } }, 422, 'headers.x-a'],
    [{ headers: { 'x-a': 'ä' } }, 422, 'headers.x-a'],
    [{ headers: { 'Webhook-Anything': 'x' } }, 422, 'headers.Webhook-Anything'],
    [{ headers: { 'User-Agent': 'x' } }, 422, 'headers.User-Agent'],
    [{ headers: { 'Content-Length': '1' } }, 422, 'headers.Content-Length'],
    [{ metadata: entries(50) }, 201],
    [{ metadata: entries(51) }, 422, 'metadata'],
    [{ metadata: { 'a\0': 'x' } }, 422, 'metadata.a\0'],
    [{ metadata: { a: 'x\0' } }, 422, 'metadata.a'],
    [{ description: 'x'.repeat(1000) }, 201],
    [{ description: 'x'.repeat(1001) }, 422, 'description'],
    [{ description: 'NUL \0' }, 422, 'description'],
    [{ eventTypes: [] }, 422, 'eventTypes'],
    [{ eventTypes: Array(100).fill('a') }, 201],
    [{ eventTypes: Array(101).fill('a') }, 422, 'eventTypes'],
    [{ retrySchedule: [] }, 201],
    [{ retrySchedule: Array(50).fill(604_800) }, 201],
    [{ retrySchedule: Array(51).fill(1) }, 422, 'retrySchedule'],
    [{ retrySchedule: [604_801] }, 422, 'retrySchedule[0]'],
    [{ timeoutSeconds: 1 }, 201],
    [{ timeoutSeconds: 60 }, 201],
    [{ timeoutSeconds: 0 }, 422, 'timeoutSeconds'],
    [{ maxInFlight: 0 }, 422, 'maxInFlight'],
    [{ ratePerSecond: 10_001 }, 422, 'ratePerSecond'],
    [{ ratePerSecond: null, maxInFlight: null, timeoutSeconds: null, retrySchedule: null }, 201],
  ]
  for (const [values, status, field] of cases) {
    const answer = await create(values)
    const name = JSON.stringify(values).slice(0, 60)
    t.equal(answer.status, status, name)
    if (field) t.strictSame(fields(answer), [field], name)
  }
})

t.test('filter: checked when saved, an error says where, null takes it away', async (t) => {
  const refused = await create({ filter: '$.a > 1 && $.b = 2' })
  t.match(refused, {
    status: 422,
    json: { errors: [{ field: 'filter', message: /^at character 16: expected one of ==/ }] },
  })
  // Our grammar knows no bound on numbers; Postgres does.
  t.match(await create({ filter: '$.a > 1e999999' }), {
    status: 422,
    json: { code: 'request_invalid', errors: [{ field: 'filter', message: /Postgres/ }] },
  })
  const longest = `$.a == "${'x'.repeat(991)}"`
  t.equal((await create({ filter: longest })).status, 201)
  t.equal((await create({ filter: `${longest} ` })).status, 422)
  const { json } = await create({ filter: '$.amount > 100' })
  const path = `${ENDPOINTS}/${json.id}`
  t.equal((await request('PATCH', path, { body: { filter: '$.a ==' } })).status, 422)
  t.equal((await request('PATCH', path, { body: { filter: '$.a > 1e999999' } })).status, 422)
  t.match((await request('GET', path)).json, { filter: '$.amount > 100' })
  t.match((await request('PATCH', path, { body: { filter: null } })).json, { filter: null })
})

t.test('PATCH changes what is named, and never the state', async (t) => {
  const { json } = await create({ description: 'ledger', timeoutSeconds: 5 })
  const path = `${ENDPOINTS}/${json.id}`
  const changed = await request('PATCH', path, {
    body: { timeoutSeconds: null, eventTypes: ['a'] },
  })
  t.match(changed, {
    status: 200,
    json: { description: 'ledger', timeoutSeconds: null, eventTypes: ['a'], url: URL_OF_TEST },
  })
  t.equal((await request('PATCH', path, { body: {} })).status, 200)
  const refused = { state: 'disabled', disabledReason: 'x', secret: 'x', url: 'http://10.0.0.1' }
  const answer = await request('PATCH', path, { body: refused })
  t.equal(answer.status, 422)
  t.strictSame(fields(answer).sort(), ['disabledReason', 'secret', 'state', 'url'])
  t.match((await request('GET', path)).json, { state: 'active', url: URL_OF_TEST })
})

t.test('DELETE takes it away once', async (t) => {
  const { json } = await create()
  const path = `${ENDPOINTS}/${json.id}`
  t.match(await request('DELETE', path), { status: 204, text: '' })
  for (const method of ['GET', 'DELETE']) t.equal((await request(method, path)).status, 404)
  t.equal((await request('PATCH', path, { body: {} })).status, 404)
  t.equal((await request('GET', `${path}/secret`)).status, 404)
})

t.test('lists the newest first, page by page', async (t) => {
  const listed = await createTenant(pool)
  const path = `/api/tenants/${listed.key}/endpoints`
  const made: string[] = []
  for (const n of [1, 2, 3]) {
    made.unshift((await request('POST', path, { body: { url: `${URL_OF_TEST}/${n}` } })).json.id)
  }
  const first = await request('GET', `${path}?limit=2`)
  const second = await request('GET', `${path}?limit=2&cursor=${first.json.nextCursor}`)
  const ids = [...first.json.data, ...second.json.data].map(({ id }: { id: string }) => id)
  t.strictSame(ids, made)
  t.equal(second.json.nextCursor, null)
  t.notMatch(first.text, 'whsec_')
  t.strictSame(fields(await request('GET', `${path}?cursor=x&state=active`)), ['cursor', 'state'])
})

t.test('secrets: shown, given, rotated with an overlap', async (t) => {
  const given = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const { json } = await create({ secret: given })
  t.equal(json.secret, given)
  const path = `${ENDPOINTS}/${json.id}/secret`
  const rotated = await request('POST', `${path}/rotate`)
  t.equal(rotated.status, 200)
  t.match(rotated.json.expiring, [{ secret: given }])
  t.not(rotated.json.secret, given)
  t.strictSame((await request('GET', path)).json, rotated.json)
  const ended = await request('POST', `${path}/rotate`, {
    body: { overlapSeconds: 0, secret: given },
  })
  t.match(ended.json, { secret: given, expiring: [] })

  const invalid = [
    { overlapSeconds: -1 },
    { overlapSeconds: 604_801 },
    { overlapSeconds: '1' },
    { secret: 'whsec_' },
    { secret: 'whpk_AAAA' },
    { other: 1 },
  ]
  for (const body of invalid) {
    const answer = await request('POST', `${path}/rotate`, { body })
    t.match(answer, { status: 422 }, JSON.stringify(body))
    t.strictSame(fields(answer), Object.keys(body))
  }
  for (let n = 0; n < 10; n++) {
    const body = { overlapSeconds: 604_800 }
    t.equal((await request('POST', `${path}/rotate`, { body })).status, 200)
  }
  t.match(await request('POST', `${path}/rotate`), {
    status: 409,
    json: { code: 'too_many_secrets' },
  })
})

// Issue 14, 16: only whsec_ and base64 was taken.
t.test('secrets of other systems: as they were given, with how they are read', async (t) => {
  const hex = '0123456789abcdef'.repeat(4)
  const given = [
    { asked: { secret: hex }, read: 'text', warning: null },
    { asked: { secret: hex, secretEncoding: 'hex' }, read: 'hex', warning: null },
    { asked: { secret: 'It is 100 % secret' }, read: 'text', warning: /^Weak: 118 bits/ },
    { asked: { secret: `whsec_${hex}` }, read: 'text', warning: /whsec_ included/ },
  ]
  for (const { asked, read, warning } of given) {
    const { status, json } = await create(asked)
    t.match({ status, ...json }, { status: 201, secret: asked.secret, secretEncoding: read })
    t.match(json.secretWarning, warning)
    const shown = await request('GET', `${ENDPOINTS}/${json.id}/secret`)
    t.match(shown.json, { secret: asked.secret, encoding: read, warning, publicKey: null })
    const body = { secret: 'another 8 or more', encoding: 'text' }
    const rotated = await request('POST', `${ENDPOINTS}/${json.id}/secret/rotate`, { body })
    t.match(rotated.json, {
      secret: body.secret,
      encoding: 'text',
      expiring: [{ secret: asked.secret, encoding: read, warning }],
    })
    t.strictSame((await request('GET', `${ENDPOINTS}/${json.id}/secret`)).json, rotated.json)
  }
  t.match((await create({ secretEncoding: 'hex' })).json, {
    secret: /^[0-9a-f]{64}$/,
    secretEncoding: 'hex',
  })
})

t.test('secrets: what is wrong is said with the field, next to what else is wrong', async (t) => {
  const { json } = await create()
  const rotate = (body: object) =>
    request('POST', `${ENDPOINTS}/${json.id}/secret/rotate`, { body })
  const key = `whsk_${Buffer.alloc(32, 1).toString('base64')}`
  const cases: [values: object, wrong: string[]][] = [
    [{ secret: ' with a blank before', url: 'x' }, ['secret', 'url']],
    [{ secret: 'not in hex', secretEncoding: 'hex' }, ['secret']],
    [{ secret: 'long enough', secretEncoding: 'utf8' }, ['secretEncoding']],
    [{ secret: 'long enough', secretKind: 'ed25519' }, ['secretKind']],
    [{ secret: key, secretKind: 'hmac' }, ['secretKind']],
    [{ secret: key.replace('=', ''), secretEncoding: 'hex', url: 'x' }, ['secret', 'url']],
    [{ secret: key, secretEncoding: 'text' }, ['secret']],
    [{ secretKind: 'ed25519', secretEncoding: 'hex' }, ['secretEncoding']],
    [{ secret: 7, secretKind: 'hmac', secretEncoding: 'hex' }, ['secret']],
    [{ secret: '', state: 'x' }, ['secret', 'state']],
  ]
  for (const [{ url, state, ...values }, wrong] of cases as [Record<string, unknown>, string[]][]) {
    const more = Object.fromEntries(Object.entries({ url, state }).filter(([, value]) => value))
    const answer = await create({ ...values, ...more })
    t.match(answer, { status: 422 }, JSON.stringify(values))
    t.strictSame(fields(answer).sort(), wrong, JSON.stringify(values))
    const ofRotation = Object.entries(values).map(([name, value]) => [
      name.replace(/^secret(?=.)/, '').toLowerCase(),
      value,
    ])
    t.match(await rotate(Object.fromEntries(ofRotation)), { status: 422 }, JSON.stringify(values))
  }
  t.match(await create({ secret: key, secretKind: 'ed25519', secretEncoding: 'base64' }), {
    status: 201,
  })
})

t.test('each route: 401, 403, and 404 for what is unknown, foreign or no id', async (t) => {
  const { json } = await create()
  const keys = {
    reader: (await apiKeys.issue({ name: 'r', scopes: ['read'] })).key,
    publisher: (await apiKeys.issue({ name: 'p', scopes: ['publish'] })).key,
    foreign: (
      await apiKeys.issue({ name: 'f', scopes: ['read', 'manage'], tenantId: other.id as TenantId })
    ).key,
  }
  const body = { url: URL_OF_TEST }
  const routes = [
    { method: 'POST', path: '', lacking: keys.reader, body },
    { method: 'GET', path: '', lacking: keys.publisher },
    { method: 'GET', path: '/:id', lacking: keys.publisher },
    { method: 'PATCH', path: '/:id', lacking: keys.reader, body },
    { method: 'DELETE', path: '/:id', lacking: keys.reader },
    { method: 'GET', path: '/:id/secret', lacking: keys.reader },
    { method: 'POST', path: '/:id/secret/rotate', lacking: keys.reader },
  ]
  for (const { method, path, lacking, body } of routes) {
    const name = `${method} ${path}`
    const call = (tenantKey: string, id: string, key?: string | null) =>
      request(method, `/api/tenants/${tenantKey}/endpoints${path.replace(':id', id)}`, {
        ...(body && { body }),
        ...(key !== undefined && { key }),
      })
    t.equal((await call(tenant.key, json.id, null)).status, 401, name)
    t.equal((await call(tenant.key, json.id, lacking)).status, 403, name)
    t.match(
      await call('nobody', json.id),
      { status: 404, json: { code: 'tenant_not_found' } },
      name,
    )
    const foreign = await call(tenant.key, json.id, keys.foreign)
    t.match(foreign, { status: 404, json: { code: 'tenant_not_found' } }, name)
    if (!path) continue
    for (const id of [UNKNOWN_ID, 'x', '%00', json.id.slice(1)]) {
      const answer = await call(tenant.key, id)
      t.match(answer, { status: 404, json: { code: 'endpoint_not_found' } }, `${name} ${id}`)
    }
    t.equal((await call(other.key, json.id, keys.foreign)).status, 404, `${name} of another tenant`)
  }
  t.equal((await request('GET', `${ENDPOINTS}/${json.id}`)).status, 200, 'still there')
})

t.test('405 and 415', async (t) => {
  const put = await request('PUT', ENDPOINTS)
  t.equal(put.status, 405)
  t.strictSame(put.headers.get('allow')?.split(', ').sort(), ['GET', 'POST'])
  const headers = { 'content-type': 'text/plain' }
  t.equal((await request('POST', ENDPOINTS, { body: '{}', headers })).status, 415)
})

const CREDENTIAL = 'Bearer of-a-customer'

t.test(
  'the value of a secret header is never shown again, to any key, and can be given back',
  async (t) => {
    const headers = { Authorization: CREDENTIAL, 'X-Team-Code': CREDENTIAL, 'X-Team': 'ledger' }
    const secretHeaders = ['X-Team-Code']
    const created = await create({ headers, secretHeaders })
    const path = `${ENDPOINTS}/${created.json.id}`
    const { key } = await apiKeys.issue({ name: 'reader', scopes: ['read'] })
    const asked = () => Promise.all([request('GET', path), request('GET', path, { key })])
    const listed = await request('GET', `${ENDPOINTS}?limit=100`)
    for (const { text } of [created, listed, ...(await asked())]) t.notMatch(text, CREDENTIAL)
    const masked = { Authorization: '***', 'X-Team-Code': '***', 'X-Team': 'ledger' }
    t.match(created.json, { headers: masked })
    t.strictSame(created.json.secretHeaders.sort(), ['Authorization', 'X-Team-Code'])

    const stored = async () => {
      const text = 'select headers, secret_headers from postrider.endpoint where id = $1'
      return (await pool.query(text, [created.json.id])).rows[0]
    }
    const before = await stored()
    t.strictSame(before.headers, { 'X-Team': 'ledger' })
    t.notMatch(JSON.stringify(before.secret_headers), CREDENTIAL)
    const {
      json: { headers: shown, secretHeaders: names },
    } = await request('GET', path)
    for (const body of [
      { headers: shown, secretHeaders: names },
      { headers: shown },
      { secretHeaders: names },
      { description: 'x' },
    ]) {
      const answer = await request('PATCH', path, { body })
      t.match(answer, { status: 200, json: { headers: masked } })
      t.strictSame(await stored(), before)
    }

    const replaced = await request('PATCH', path, { body: { headers: { 'x-team-code': 'new' } } })
    t.match(replaced.json, { headers: { 'x-team-code': '***' }, secretHeaders: ['x-team-code'] })
    t.strictSame((await stored()).headers, {})
  },
)

t.test('a masked value for which nothing is stored is refused, and changes nothing', async (t) => {
  const headers = { Authorization: CREDENTIAL }
  t.match(await create({ headers: { 'X-Api-Key': '***' } }), {
    status: 422,
    json: { code: 'request_invalid', errors: [{ field: 'headers.X-Api-Key' }] },
  })
  const { json } = await create({ headers })
  const path = `${ENDPOINTS}/${json.id}`
  const wrong = { headers: { Authorization: '***', 'X-Api-Key': '***' }, secretHeaders: ['X-A'] }
  const refused = await request('PATCH', path, { body: wrong })
  t.strictSame(fields(refused), ['secretHeaders[0]', 'headers.X-Api-Key'])
  t.match((await request('GET', path)).json, { headers: { Authorization: '***' } })
})
