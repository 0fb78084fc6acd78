import t, { type Test } from 'tap'
import { createPool } from '../postgres/pool.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

async function bundle() {
  const pages = await createTestConsole(pool)
  const tenant = await createTenant(pool)
  const cookie = await pages.signedIn()
  const send = (path: string, fields: Record<string, string>) =>
    pages.post(`/console${path}`, fields, { cookie })
  const show = (path: string) => pages.get(`/console${path}`, { cookie })
  /** Makes an endpoint and returns the path of its page. */
  const endpoint = async (fields: Record<string, string> = {}) => {
    const url = 'http://127.0.0.1:9/a'
    const { headers, text } = await send('/endpoints/new', { tenant: tenant.key, url, ...fields })
    const location = headers.get('location')
    if (!location) throw new Error(text)
    return location.replace('/console', '').replace(/\?.*/, '')
  }
  return { ...pages, tenant, send, show, endpoint }
}

t.test(
  'a form that is refused keeps what was typed, and says what is wrong where it is',
  async (t) => {
    const { send, tenant } = await bundle()
    const typed = {
      tenant: tenant.key,
      url: 'ftp://example.test/"typed"',
      description: '  kept <as> it is\n',
      eventTypes: 'invoice.paid\nnot a type!',
      filter: '$.a >',
      headers: 'X-A: 1\nwebhook-id: 2',
      ratePerSecond: 'many',
      retrySchedule: '60, 120',
    }
    const { status, text } = await send('/endpoints/new', typed)
    t.equal(status, 422)
    t.match(text, 'value="ftp://example.test/&quot;typed&quot;"')
    t.match(text, 'value="  kept &lt;as&gt; it is\n"')
    t.match(text, 'not a type!')
    t.match(text, /id="mistake-url">It is neither https nor http/)
    t.match(text, /id="mistake-filter">At character \d+: expected/, 'a whole sentence')
    t.match(text, /id="mistake-headers">“webhook-id” is set by Postrider/)
    t.match(text, /id="mistake-ratePerSecond"/)
    t.match(text, /aria-invalid="true"[^>]*aria-describedby="mistake-url"/)
    t.equal((await send('/tenants', { key: 'no blanks', name: 'Kept' })).status, 422)
    t.match((await send('/tenants', { key: 'no blanks', name: 'Kept' })).text, 'value="Kept"')
    const key = await send('/keys', { name: 'Kept', tenant: 'nobody' })
    t.match(key, { status: 422, text: /value="Kept"/ })
    const type = await send('/event-types', { name: 'a.b', schema: '{"type": ' })
    t.match(type, { status: 422, text: /This is not JSON/ })
  },
)

t.test('an endpoint is made, tried against the last events, and changed', async (t) => {
  const { show, send, endpoint, tenant } = await bundle()
  await tenant.publish('invoice.paid', { amount: 5 })
  await tenant.publish('invoice.paid', { amount: 500 })
  await tenant.publish('order.made', {})
  const path = await endpoint({ eventTypes: 'invoice.*', headers: 'X-A: b: c' })
  t.match((await show(path)).text, 'X-A: b: c')

  const change = { url: 'http://127.0.0.1:9/a', eventTypes: 'invoice.*', filter: '$.amount > 100' }
  const tried = await send(`${path}/edit`, { ...change, intent: 'try' })
  t.match(tried.text, /Of the last 3 events[^.]*, 1 would have been sent/)
  t.match(tried.text, 'the data does not pass its filter')
  t.match(tried.text, 'its event types do not include this one')
  t.notMatch((await show(path)).text, 'amount', 'nothing is saved')
  const wrong = await send(`${path}/edit`, { ...change, filter: '$.amount >>', intent: 'try' })
  t.match(wrong, { status: 422, text: /id="mistake-filter"/ })

  t.equal((await send(`${path}/edit`, change)).status, 303)
  t.match((await show(path)).text, '$.amount &gt; 100')
  t.notMatch((await show(path)).text, 'X-A', 'an empty field takes away')
})

t.test(
  'a line of headers without a colon is refused for that, and stays as it was typed',
  async (t) => {
    const { send, endpoint } = await bundle()
    const path = await endpoint({ eventTypes: 'invoice.*' })
    for (const name of ['headers', 'signatureHeaders']) {
      const { status, text } = await send(`${path}/edit`, { [name]: 'X-A: 1\nnonsense' })
      t.equal(status, 422, name)
      t.match(text, new RegExp(`id="mistake-${name}">It has a line without a colon`))
      t.match(text, 'X-A: 1\nnonsense')
    }
  },
)

t.test('a secret header is masked in every page, and saved again as it was', async (t) => {
  const { show, send, endpoint } = await bundle()
  const headers = 'X-Api-Key: of-a-customer\nX-Team-Code: of-a-customer'
  const path = await endpoint({ eventTypes: 'invoice.*', headers, secretHeaders: 'X-Team-Code' })
  const stored = async () => {
    const text = 'select headers, secret_headers from postrider.endpoint where id = $1'
    return (await pool.query(text, [path.split('/').at(-1)])).rows[0]
  }
  const before = await stored()
  t.strictSame(before.headers, {})
  for (const page of [path, `${path}/edit`]) {
    const { text } = await show(page)
    t.match(text, 'X-Api-Key: ***', page)
    t.match(text, 'X-Team-Code: ***', page)
    t.notMatch(text, 'of-a-customer', page)
  }
  const typed = {
    url: 'http://127.0.0.1:9/b',
    eventTypes: 'invoice.*',
    headers: 'X-Api-Key: ***\nX-Team-Code: ***',
    secretHeaders: 'X-Api-Key, X-Team-Code',
  }
  t.equal((await send(`${path}/edit`, typed)).status, 303)
  t.strictSame(await stored(), before)
  const wrong = await send(`${path}/edit`, { ...typed, headers: 'X-Other-Key: ***' })
  t.match(wrong, { status: 422, text: /id="mistake-headers"/ })
})

/** What a page has in the hidden field that says how a form began. */
const beganWith = (text: string) => {
  const value = /name="beganWith" value="([^"]*)"/.exec(text)?.[1] ?? ''
  return { beganWith: value.replaceAll('&quot;', '"') }
}

// Issue 8: anyone who saved last undid what others had saved since the form was opened.
t.test('an edit changes what was changed in the form, and nothing else', async (t) => {
  const { show, send, endpoint } = await bundle()
  const path = await endpoint({ description: 'first', eventTypes: 'a.b' })
  const opened = beganWith((await show(`${path}/edit`)).text)
  const fields = { url: 'http://127.0.0.1:9/a', description: 'first', eventTypes: 'a.b' }
  t.equal((await send(`${path}/edit`, { ...fields, ...opened, filter: '$.a == 1' })).status, 303)
  t.equal((await send(`${path}/edit`, { ...fields, ...opened, eventTypes: 'c.d' })).status, 303)
  const { text } = await show(path)
  t.match(text, '$.a == 1')
  t.match(text, 'c.d')
  t.equal((await send(`${path}/edit`, { ...fields, ...opened })).status, 303, 'nothing changed')
  t.match((await show(path)).text, 'c.d')
  const odd = { ...fields, beganWith: '[', description: 'second' }
  t.equal((await send(`${path}/edit`, odd)).status, 303)
})

t.test('a field that another person has changed too is asked about, and kept', async (t) => {
  const { show, send, endpoint } = await bundle()
  const path = await endpoint({ description: 'first' })
  const opened = beganWith((await show(`${path}/edit`)).text)
  const fields = { url: 'http://127.0.0.1:9/a', description: 'first', eventTypes: '*' }
  const others = { ...fields, ...opened, description: 'of others', maxInFlight: '7' }
  t.equal((await send(`${path}/edit`, others)).status, 303)
  const own = { ...fields, ...opened, description: 'my own' }
  const asked = await send(`${path}/edit`, own)
  t.equal(asked.status, 409)
  t.match(asked.text, 'value="my own"')
  t.match(asked.text, /id="mistake-description">Another person has changed it[^<]*of others/)
  t.match(asked.text, 'value="7"', 'what only the other has changed')
  const again = { ...fields, ...beganWith(asked.text), description: 'my own', maxInFlight: '7' }
  t.equal((await send(`${path}/edit`, again)).status, 303)
  t.match((await show(path)).text, 'my own')
  const same = { ...fields, ...opened, description: 'my own', maxInFlight: '7' }
  t.equal((await send(`${path}/edit`, same)).status, 303, 'the same change is no clash')
})

t.test('two people who deprecate a type at the same time both get what they wanted', async (t) => {
  const { show, send } = await bundle()
  await send('/event-types', { name: 'old.type' })
  const isDeprecated = async () =>
    /Restore event type/.test((await show('/event-types/old.type')).text)
  for (const [operation, wanted] of [
    ['deprecate', true],
    ['deprecate', true],
    ['restore', false],
    ['restore', false],
  ] as const) {
    t.match(
      (await show('/event-types/old.type')).text,
      /event-types\/old.type\/(deprecate|restore)"/,
    )
    t.equal((await send(`/event-types/old.type/${operation}`, {})).status, 303)
    t.equal(await isDeprecated(), wanted, operation)
  }
})

t.test('what a form names and nobody finds is said in the form', async (t) => {
  const { send, tenant } = await bundle()
  const nobody = '00000000-0000-7000-8000-000000000000'
  const form = { tenant: tenant.key, mode: 'missed', since: '2026-01-01T00:00', ratePerSecond: '7' }
  for (const intent of ['preview', 'start']) {
    const { status, text } = await send('/replays', { ...form, endpointId: nobody, intent })
    t.equal(status, 422)
    t.match(text, /id="mistake-endpointId"/)
    t.match(text, 'value="7"')
  }
  const unknown = await send('/replays', { ...form, tenant: 'nobody', endpointId: nobody })
  t.match(unknown, { status: 422, text: /id="mistake-tenant">Tenant not found/ })
  const long = 'x'.repeat(300)
  const renamed = await send(`/tenants/${tenant.key}/name`, { name: long })
  t.match(renamed, { status: 422, text: /<dialog[^>]* open/ })
  t.match(renamed.text, `value="${long}"`)
  t.match(renamed.text, /id="mistake-name"/)
})

t.test('a form that finds no database can be sent again, with what was typed', async (t) => {
  const { url } = await createTestDatabase(t)
  const proxy = await startPostgresProxy(t, url)
  const proxied = createPool({
    connectionString: proxy.url,
    max: 4,
    applicationName: 'forms',
    onError: () => undefined,
  })
  t.teardown(() => proxied.end())
  const { post, signedIn } = await createTestConsole(proxied)
  const cookie = await signedIn()
  proxy.cut()
  const typed = { key: 'acme', name: 'Acme "Corporation"' }
  const { status, text } = await post('/console/tenants', typed, { cookie })
  t.equal(status, 503)
  t.match(text, /<form method="post" action="\/console\/tenants"/)
  t.match(text, 'name="name" value="Acme &quot;Corporation&quot;"')
  const signIn = await post('/console/sign-in', { key: 'pr_secret' }, { cookie: null })
  t.equal(signIn.status, 503)
  t.notMatch(signIn.text, 'pr_secret')
  proxy.mend()
  t.equal((await post('/console/tenants', typed, { cookie })).status, 303)
})

t.test('what is done to an endpoint, and that it stands in the audit log', async (t) => {
  const { show, send, endpoint, tenant } = await bundle()
  const path = await endpoint()
  const isSaid = async (action: string, fields: Record<string, string> = {}) => {
    const { status, headers } = await send(`${path}/${action}`, fields)
    t.equal(status, 303, action)
    return (await show((headers.get('location') ?? '').replace('/console', ''))).text
  }
  t.match(await isSaid('pause'), 'Endpoint paused')
  t.match(await isSaid('resume'), 'Endpoint resumed')
  const secret = /whsec_[^"<]+/.exec((await send(`${path}/secret`, {})).text)?.[0]
  t.match(await isSaid('rotate'), 'Secret rotated')
  const after = (await send(`${path}/secret`, {})).text
  t.match(after, 'also signs until')
  t.ok(secret && after.includes(secret), 'the old one too')
  t.notMatch((await show(path)).text, 'whsec_', 'and it is shown when asked for only')
  await pool.query(
    `update postrider.endpoint set state = 'disabled', disabled_reason = 'gone' where id = $1`,
    [path.split('/').at(-1)],
  )
  t.match((await show(path)).text, 'Disabled because')
  const enabled = await isSaid('enable', { held: 'cancel' })
  t.match(enabled, 'Endpoint enabled')
  t.notMatch(enabled, 'while it was disabled')
  await pool.query(`select postrider.disable_endpoint($1, 'gone')`, [path.split('/').at(-1)])
  const link = /href="([^"]*mode=missed[^"]*)"/.exec(await isSaid('enable'))?.[1] ?? ''
  const form = (await show(link.replace('/console', '').replaceAll('&amp;', '&'))).text
  t.match(form, /<option value="missed" selected/)
  for (const value of [tenant.key, path.split('/').at(-1), /value="20\d\d-\d\d-\d\dT\d\d:\d\d"/])
    t.match(form, value)
  t.match(await isSaid('delete'), tenant.key)
  t.equal((await show(path)).status, 404)
  const { text } = await show(`/audit?tenant=${tenant.key}`)
  for (const action of ['pause_endpoint', 'resume_endpoint', 'enable_endpoint'])
    t.match(text, action)
})

// Issue 14, 16: a receiver that had a secret already could not go on with it.
t.test('a given secret comes with the endpoint, or by a rotation', async (t) => {
  const { show, send, endpoint, tenant } = await bundle()
  const own = 'It is 100 % "secret", of elsewhere'
  const path = await endpoint({ secret: own, secretEncoding: 'text' })
  const shown = async () => (await send(`${path}/secret`, {})).text
  t.match(await shown(), 'It is 100 % &quot;secret&quot;, of elsewhere')
  t.match(await shown(), 'The key is the text as shown')

  const refused = await send(`${path}/rotate`, { secret: ' with blanks ', encoding: '' })
  t.match(refused, { status: 422, text: /id="mistake-secret">It begins or ends with a blank/ })
  t.match(refused.text, 'value=" with blanks "')
  t.match(refused.text, /<dialog[^>]* open/)
  const weak = await send(`${path}/rotate`, { secret: '0'.repeat(20), encoding: 'hex' })
  t.match(weak.headers.get('location'), 'rotatedWithWarning')
  t.match(await shown(), /Weak: \d+ bits at most/)

  const fields = { tenant: tenant.key, url: 'http://127.0.0.1:9/a', secret: 'xyz' }
  const wrong = await send('/endpoints/new', { ...fields, secretEncoding: 'hex' })
  t.match(wrong, { status: 422, text: /id="mistake-secret">It signs with 3 bytes/ })
  t.match(wrong.text, '<option value="hex" selected')
  t.equal((await show(`${path}?said=constructor`)).status, 200)
})

// Showing and rotating it were an internal error, and rotating is what people are to do then.
t.test('the page of an endpoint says that no key opens its secret, and rotates it', async (t) => {
  const { send, show, endpoint } = await bundle()
  const path = await endpoint()
  await pool.query(
    `update postrider.endpoint_secret set encrypted = overlay(encrypted placing 'AAAAAAAA' from 30 for 8)
     where endpoint_id = $1`,
    [path.split('/').at(-1)],
  )
  const refused = await send(`${path}/secret`, {})
  t.match(refused.text, /notice bad[^>]*>\s*No key of this service opens the secret/)
  t.match(refused.text, `action="/console${path}/rotate"`, 'next to the way out')
  const rotated = await send(`${path}/rotate`, { secret: '', encoding: '' })
  t.match(rotated, { status: 303 })
  const location = (rotated.headers.get('location') ?? '').replace('/console', '')
  t.match((await show(location)).text, 'Secret rotated. The old one no longer signs.')
  t.match((await send(`${path}/secret`, {})).text, /whsec_/)
})

t.test('the result of a test event has an address, and a failure looks like one', async (t) => {
  const { show, send, endpoint } = await bundle()
  const path = await endpoint()
  await send(`${path}/pause`, {})
  const refused = await send(`${path}/test`, {})
  t.match(refused.text, /notice bad/, 'a paused endpoint takes none')
  for (const action of ['test', 'secret', 'rotate', 'pause']) {
    const { status, headers } = await show(`${path}/${action}`)
    t.match([status, headers.get('location')], [303, `/console${path}`], `GET ${action}`)
  }
  t.equal((await show('/nowhere/at/all')).status, 404)
})

t.test('a replay is counted first, then started, watched and cancelled', async (t) => {
  const { show, send, endpoint, tenant } = await bundle()
  await endpoint()
  await tenant.publish()
  await pool.query(
    `update postrider.delivery set state = 'failed', finished_at = now() where tenant_id = $1`,
    [tenant.id],
  )
  const form = {
    tenant: tenant.key,
    mode: 'redeliver',
    endpointId: '',
    since: '2026-01-01T00:00',
    'states.failed': 'yes',
    ratePerSecond: '50',
  }
  const asked = await show(`/replays?tenant=${tenant.key}`)
  t.notMatch(asked.text, 'value="start"', 'nothing starts before it was counted')
  t.match(asked.text, /data-utc[^>]*value="\d{4}-\d\d-\d\dT\d\d:\d\d"[^>]*name="since"/)
  const counted = await send('/replays', { ...form, intent: 'preview' })
  t.match(counted.text, /1 delivery matches\.\s+Nothing has been started\./)
  t.match(counted.text, /value="start"[^>]*>\s*Replay 1 delivery\s*</)
  t.match(counted.text, 'name="states.failed" value="yes"', 'what was counted is started')
  const them = new URLSearchParams({
    ...{ tenant: tenant.key, since: '2026-01-01T00:00', state: 'failed' },
  })
  t.match(counted.text, `/console/deliveries?${them}`.replaceAll('&', '&amp;'))
  t.notMatch(counted.text, 'on hold')
  for (const eventTypes of ['*', '* a.b']) {
    const ofAll = await send('/replays', { ...form, eventTypes, intent: 'preview' })
    t.match(ofAll.text, `/console/deliveries?${them}"`.replaceAll('&', '&amp;'), eventTypes)
  }
  await tenant.publish()
  await pool.query(
    `update postrider.delivery set state = 'held', held_reason = 'paused'
     where tenant_id = $1 and finished_at is null`,
    [tenant.id],
  )
  const { rows } = await pool.query('select id from postrider.endpoint where tenant_id = $1', [
    tenant.id,
  ])
  const ofOne = await send('/replays', { ...form, endpointId: rows[0].id, intent: 'preview' })
  t.match(ofOne.text, /1 delivery of this endpoint is on hold/)
  t.match((await show('/replays')).text, 'No replays yet')
  t.match(await send('/replays', { ...form, since: '', intent: 'start' }), { status: 422 })
  for (const intent of ['preview', 'start']) {
    const future = await send('/replays', { ...form, since: '2099-01-01T00:00', intent })
    t.match(future, { status: 422, text: /id="mistake-since">It is not in the past/ })
  }
  const missed = await send('/replays', { ...form, mode: 'missed', intent: 'preview' })
  t.match(missed.text, 'It is required for mode missed')

  t.equal((await send('/replays', { ...form, intent: 'start' })).status, 303)
  const { text } = await show(`/replays?tenant=${tenant.key}`)
  t.match(text, /<progress[^>]*value="0"[^>]*max="1"/)
  const cancel = /action="\/console(\/replays\/[^"]+\/cancel)"/.exec(text)?.[1] ?? ''
  t.equal((await send(cancel, {})).status, 303)
  t.match((await show('/replays')).text, 'cancelled')
})

t.test('a key is shown once, and takes its sessions along when it is revoked', async (t) => {
  const { show, send, signedIn, get } = await bundle()
  const made = await send('/keys', { name: 'Ann', 'scopes.read': 'yes' })
  t.equal(made.status, 200)
  const key = /pr_[\w-]+/.exec(made.text)?.[0] ?? ''
  t.notMatch((await show('/keys')).text, key)
  t.match(await send('/keys', { name: 'Bob' }), { status: 422, text: /value="Bob"/ })
  const ending = { name: 'Cy', 'scopes.read': 'yes', expiresAt: '2099-01-31T12:00' }
  t.match(await send('/keys', ending), { status: 200, text: /pr_[\w-]+/ }, 'as browsers write it')
  t.match((await show('/keys')).text, '2099-01-31')
  const past = await send('/keys', { ...ending, expiresAt: '2020-01-31T12:00:30' })
  t.match(past, { status: 422, text: /id="mistake-expiresAt">It is not in the future/ })

  const ann = await signedIn(key)
  t.equal((await get('/console', { cookie: ann })).status, 200)
  const revoke = /action="\/console(\/keys\/[^"]+\/revoke)"/.exec((await show('/keys')).text)?.[1]
  t.equal((await send(revoke ?? '', {})).status, 303)
  t.match((await show('/keys')).text, 'Revoked')
})

t.test('settings are shown without what is secret', async (t) => {
  const { show } = await bundle()
  const { text } = await show('/settings')
  t.match(text, '8081')
  t.match(text, '(set)')
  t.notMatch(text, 'a:b@c')
  t.notMatch(text, '`', 'code is shown as code')
})

t.test('only forms are taken, in the console and in the portal', async (t) => {
  const { request, routes, cookie } = await withEveryForm(t)
  const body = 'name=a&key=b'
  for (const [area, path] of routes) {
    const send = (headers: Record<string, string>, sent: string | null = body) =>
      request(path, {
        method: 'POST',
        headers: { origin: 'http://localhost', cookie: cookie[area], ...headers },
        body: sent,
      })
    for (const type of [
      'application/json',
      'application/xml',
      'application/x-www-form-urlencoded-not',
      'application/octet-stream',
      'multipart/mixed; boundary=a',
    ]) {
      const { status } = await send({ 'content-type': type })
      t.equal(status, 415, `${path} ${type}`)
      const foreign = await send({ 'content-type': type, origin: 'https://evil.test' })
      t.ok([403, 415].includes(foreign.status), `${path} ${type} of another site`)
    }
    t.equal((await send({ 'content-type': 'text/plain' })).status, 415, path)
    t.equal((await send({ 'content-type': '' })).status, 415, path)
    const packed = { 'content-type': FORM, 'content-encoding': 'gzip' }
    t.equal((await send(packed)).status, 415, `${path} compressed`)
    const foreign = { 'content-type': FORM, origin: 'https://evil.test' }
    t.equal((await send(foreign)).status, 403, `${path} of another site`)
    for (const type of [FORM, `${FORM.toUpperCase()}; charset=utf-8`]) {
      const { status } = await send({ 'content-type': type })
      t.notOk([403, 413, 415, 500].includes(status), `${path} ${type}: ${status}`)
    }
  }
})

t.test('a form is bounded, in bytes and in fields, wherever it is sent', async (t) => {
  const { post, signIn, cookie } = await withEveryForm(t)
  const send = (fields: Record<string, string>) =>
    post('/console/tenants', { key: 'kept', ...fields }, { cookie: cookie.console })
  const bytesOf = (fields: Record<string, string>) => `${new URLSearchParams(fields)}`.length
  const rest = bytesOf({ key: 'kept', name: '' })
  for (const [bytes, status] of [
    [524_288, 422],
    [524_289, 413],
  ] as const) {
    t.equal((await send({ name: 'x'.repeat(bytes - rest) })).status, status, `${bytes} bytes`)
  }
  for (const [count, status] of [
    [1_000, 303],
    [1_001, 413],
  ] as const) {
    const more = Array.from({ length: count - 1 }, (_, n) => [`field${n}`, ''] as const)
    t.equal((await send(Object.fromEntries(more))).status, status, `${count} fields`)
  }
  t.equal((await signIn({ to: 'x'.repeat(16_000) })).status, 303)
  t.equal((await signIn({ to: 'x'.repeat(16_384) })).status, 413, 'of a stranger less')
})

t.test('a form in parts is taken, bounded as well, and refused where it is broken', async (t) => {
  const { request, cookie } = await withEveryForm(t)
  const send = (body: string, type = `multipart/form-data; boundary=${BOUNDARY}`) =>
    request('/console/tenants', {
      method: 'POST',
      headers: { origin: 'http://localhost', cookie: cookie.console, 'content-type': type },
      body,
    })
  const part = (name: string, value: string) =>
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  t.equal((await send(`${part('key', 'in-parts')}--${BOUNDARY}--\r\n`)).status, 303)
  for (const [count, status] of [
    [1_000, 303],
    [1_001, 413],
  ] as const) {
    const more = Array.from({ length: count - 1 }, (_, n) => part(`field${n}`, '')).join('')
    const whole = `${part('key', 'in-parts')}${more}--${BOUNDARY}--\r\n`
    t.equal((await send(whole)).status, status, `${count} parts`)
  }
  for (const [body, type] of [
    [part('key', 'cut-off'), undefined],
    ['nonsense', undefined],
    [`${part('key', 'other')}--${BOUNDARY}--\r\n`, `multipart/form-data; boundary=${BOUNDARY}b`],
    [`${part('key', 'none')}--${BOUNDARY}--\r\n`, 'multipart/form-data'],
  ] as const) {
    t.equal((await send(body, type)).status, 400, `${type} ${body.slice(0, 20)}`)
  }
})

/** Shorter ones are taken for none. */
const BOUNDARY = 'a'.repeat(30)
const FORM = 'application/x-www-form-urlencoded'

/** The console and the portal with somebody signed in to each, and every path that takes a form. */
async function withEveryForm(t: Test) {
  const pages = await createTestConsole(pool)
  const portal = await createTestPortal(pool)
  const tenant = await createTenant(pool)
  const cookie = { console: await pages.signedIn(), portal: await portal.entered(tenant.key) }
  const pathsOf = (area: keyof typeof cookie, routes: string[]) =>
    routes
      .filter((route) => route.startsWith('POST '))
      // Signing out comes last, since nobody is signed in after it.
      .sort((one, other) => Number(/sign-out/.test(one)) - Number(/sign-out/.test(other)))
      .map((route) => [area, route.slice(5).replace(/:\w+(\{[^}]*\})?/g, 'x')] as const)
  const routes = [...pathsOf('console', pages.routes), ...pathsOf('portal', portal.routes)]
  t.ok(routes.length > 30, `${routes.length} forms`)
  const apps = { console: pages.app, portal: portal.app }
  const request = (path: string, init: RequestInit) =>
    apps[path.startsWith('/portal') ? 'portal' : 'console'].request(path, init)
  return { ...pages, routes, request, cookie }
}
