import t from 'tap'
import { SNIPPETS } from '../secrets/verify-snippets.ts'
import { addAttempts } from '../testing/data/attempts.ts'
import { createWorld as createUntried, type World } from '../testing/data/world.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { cookieIn, createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)
const portal = await createTestPortal(pool, { frameOrigins: ['https://app.example.com'] })
const { get, post, request, open, createLink, entered, routes, logged } = portal
const UNKNOWN = '00000000-0000-7000-8000-000000000000'

/** With an attempt of its delivery. */
async function createWorld(): Promise<World> {
  const world = await createUntried(pool, { incident: false })
  await addAttempts(pool, world.ids['deliveries'] ?? '', 1)
  return world
}

/** The path of a route, about something in the world. */
function pathIn({ ids }: Pick<World, 'ids'>, route: string): string {
  return route
    .replace(/^\w+ /, '')
    .replace(':number', '1')
    .replace(
      /([\w-]+)\/:(?:id|name)/,
      (_, collection) => `${collection}/${ids[collection] ?? UNKNOWN}`,
    )
}

/** Of entering and leaving and of files, which need no session, and the stream, which has no end. */
const isOpen = (route: string) => /open|closed|sign-out|assets|stream/.test(route)
const reading = routes.filter((route) => route.startsWith('GET') && !isOpen(route))
const acting = routes.filter((route) => route.startsWith('POST') && !isOpen(route))
const aboutOne = [...reading, ...acting].filter((route) => route.includes('/:id'))

t.test('a link opens every page of its tenant, and leads away from the token', async (t) => {
  const world = await createWorld()
  const { status, headers } = await open(await createLink(world.tenant.key))
  t.equal(status, 303)
  t.equal(headers.get('location'), '/portal')
  t.equal(headers.get('referrer-policy'), 'same-origin')
  t.ok(reading.length > 8)
  for (const route of reading) {
    const { status, text } = await get(pathIn(world, route), { cookie: cookieIn(headers) })
    t.equal(status, 200, route)
    t.notMatch(text, /"\/console/, `${route} does not lead out of the portal`)
  }
})

t.test('a link that may only look shows the same and has nothing that acts', async (t) => {
  const world = await createWorld()
  const cookie = await entered(world.tenant.key, 'read')
  const refused = []
  for (const route of reading) {
    const { status, text } = await get(pathIn(world, route), { cookie })
    if (status === 403) refused.push(route.replace('GET /portal', ''))
    const forms = text.replaceAll('action="/portal/sign-out"', '')
    t.notMatch(forms, /<form[^>]*method="post" action=/, `${route} has no form that acts`)
  }
  t.strictSame(refused.sort(), ['/endpoints/:id/edit', '/endpoints/new'])
})

t.test(
  'what is for operators only is on no page, and in no answer to a key of the tenant',
  async (t) => {
    const world = await createWorld()
    const { tenant, ids } = world
    const words = 'SECRET_ENCRYPTION_KEY does not list the key 1a2b3c4d (runner-of-host-7)'
    await pool.query(
      'update postrider.endpoint set unreadable_since = now(), unreadable_detail = $2 where id = $1',
      [ids['endpoints'], words],
    )
    await pool.query(
      `update postrider.attempt set error_detail = $2, outcome = 'unreachable', reason = 'tls_certificate'
     where delivery_id = $1`,
      [ids['deliveries'], words],
    )
    const cookie = await entered(tenant.key)
    for (const route of reading) {
      t.notMatch((await get(pathIn(world, route), { cookie })).text, /1a2b3c4d|host-7/, route)
    }
    const body = { name: 'reader', tenant: tenant.key, scopes: ['read'] }
    const { json } = await request('POST', '/api/keys', { body })
    const lists = ['endpoints', 'deliveries', 'events', 'replays']
    const paths = ['', ...lists.flatMap((list) => [`/${list}`, `/${list}/${ids[list]}`])]
    for (const path of paths) {
      const answer = await request('GET', `/api/tenants/${tenant.key}${path}`, { key: json.key })
      t.equal(answer.status, 200, path)
      t.notMatch(answer.text, /1a2b3c4d|host-7/, path)
    }
    const { text } = await request(
      'GET',
      `/api/tenants/${tenant.key}/deliveries/${ids['deliveries']}`,
    )
    t.match(text, 'host-7', 'the operator is told')
  },
)

t.test('every route that acts refuses such a link with 403, and does nothing', async (t) => {
  const world = await createWorld()
  const cookie = await entered(world.tenant.key, 'read')
  const before = await pool.query('select count(*) from postrider.audit_log')
  t.ok(acting.length > 8)
  for (const route of acting) {
    const { status } = await post(pathIn(world, route), { url: 'http://a.test' }, { cookie })
    t.equal(status, 403, route)
  }
  t.strictSame((await pool.query('select count(*) from postrider.audit_log')).rows, before.rows)
})

t.test('nothing of another tenant is reached, by any route', async (t) => {
  const [own, victim] = [await createWorld(), await createWorld()]
  const cookie = await entered(own.tenant.key)
  const rows = () => rowsOf(victim.tenant.id)
  const before = await rows()
  t.ok(aboutOne.length > 10)
  for (const route of aboutOne) {
    for (const id of Object.values(victim.ids)) {
      const path = route.replace(/^\w+ /, '').replace(':id', id)
      const { status, text } = route.startsWith('GET')
        ? await get(path, { cookie })
        : await post(path, { url: 'http://a.test' }, { cookie })
      t.equal(status, 404, `${route} of ${id}`)
      t.notMatch(text.replaceAll(id, ''), new RegExp(Object.values(victim.ids).join('|')))
    }
  }
  const values = [victim.tenant.key, victim.tenant.id, ...Object.values(victim.ids)]
  const names = ['tenant', 'endpoint', 'event', 'search', 'before', 'type']
  for (const list of ['endpoints', 'deliveries', 'live']) {
    for (const query of names.flatMap((name) => values.map((value) => `${name}=${value}`))) {
      const { text } = await get(`/portal/${list}?${query}`, { cookie })
      const said = new RegExp(query.replace(/^.*=/, ''), 'g')
      t.notMatch(text.replace(said, ''), new RegExp(values.join('|')), `${list}?${query}`)
    }
  }
  const stream = await get(`/portal/live/stream?tenant=${victim.tenant.key}`, { cookie })
  t.equal(stream.status, 422)
  const posted = await post(
    '/portal/endpoints/new',
    { tenant: victim.tenant.key, url: 'http://127.0.0.1:9/planted' },
    { cookie },
  )
  t.equal(posted.status, 303, 'an endpoint is made in the own tenant, whatever the form says')
  t.strictSame(await rows(), before)
})

t.test('a link opens nothing but the portal, and other sessions do not open it', async (t) => {
  const { tenant } = await createWorld()
  const token = new URL(await createLink(tenant.key)).searchParams.get('token') ?? ''
  t.match(await request('GET', `/api/tenants/${tenant.key}`, { key: token }), { status: 401 })
  const cookie = await entered(tenant.key)
  t.equal((await get('/portal/endpoints', { cookie })).status, 200)
  const stolen = { cookie: cookie.replace('postrider_portal', 'postrider_console') }
  t.equal((await get('/portal/endpoints', stolen)).status, 401)
  for (const token of ['', 'nonsense', 'x'.repeat(10_000), '%00']) {
    t.equal((await open(`http://localhost/portal/open?token=${token}`)).status, 401, token)
  }
})

t.test('without a session every route answers 401, and acts on nothing', async (t) => {
  const world = await createWorld()
  for (const route of [...reading, ...acting]) {
    const path = pathIn(world, route)
    const { status } = route.startsWith('GET')
      ? await get(path, { cookie: null })
      : await post(path, {}, { cookie: null })
    t.equal(status, 401, route)
  }
  const part = await get('/portal/endpoints', { cookie: null, headers: { 'hx-request': 'true' } })
  t.equal(
    part.headers.get('hx-refresh'),
    'true',
    'a part that is fetched again loads the page again',
  )
})

/** What ends a link, and with it every session that it has opened. */
const ENDS: Record<string, (tenant: World['tenant']) => Promise<unknown>> = {
  'when its minutes are over': ({ id }) =>
    pool.query(`update postrider.portal_link set expires_at = now() where tenant_id = $1`, [id]),
  'when the links of the tenant are taken back': ({ key }) =>
    request('DELETE', `/api/tenants/${key}/portal-links`),
  'when the tenant is suspended, also after it is resumed': async ({ key }) => {
    await request('POST', `/api/tenants/${key}/suspend`)
    await request('POST', `/api/tenants/${key}/resume`)
  },
  'when the tenant is deleted': ({ key }) => request('DELETE', `/api/tenants/${key}`),
}
for (const [name, end] of Object.entries(ENDS)) {
  t.test(`a link and its sessions end ${name}`, async (t) => {
    const { tenant } = await createWorld()
    const url = await createLink(tenant.key)
    const cookie = cookieIn((await open(url)).headers)
    t.equal((await get('/portal/endpoints', { cookie })).status, 200)
    await end(tenant)
    t.equal((await get('/portal/endpoints', { cookie })).status, 401)
    t.equal((await open(url)).status, 401)
  })
}

t.test('signing out ends one session, and the link opens another', async (t) => {
  const { tenant } = await createWorld()
  const url = await createLink(tenant.key)
  const cookie = cookieIn((await open(url)).headers)
  const { headers } = await post('/portal/sign-out', {}, { cookie })
  t.equal(headers.get('location'), '/portal/closed')
  t.equal((await get('/portal/endpoints', { cookie })).status, 401)
  t.equal((await open(url)).status, 303)
})

t.test('a link that is opened again and again has a thousand sessions, the newest', async (t) => {
  const { tenant } = await createWorld()
  const url = await createLink(tenant.key)
  const oldest = cookieIn((await open(url)).headers)
  const ofLink = `key_hash = (select token_hash from postrider.portal_link where tenant_id = $1)`
  const fill = (count: number) =>
    pool.query(
      `insert into postrider.session (area, token_hash, key_hash, expires_at)
       select 'portal', sha256(gen_random_uuid()::text::bytea), s.key_hash, s.expires_at
       from generate_series(1, $2) cross join (
         select * from postrider.session where ${ofLink} limit 1) as s`,
      [tenant.id, count],
    )
  await fill(998)
  await open(url)
  t.equal((await get('/portal/endpoints', { cookie: oldest })).status, 200)
  const newest = cookieIn((await open(url)).headers)
  t.equal((await get('/portal/endpoints', { cookie: oldest })).status, 401)
  t.equal((await get('/portal/endpoints', { cookie: newest })).status, 200)
  const { rowCount } = await pool.query(`select from postrider.session where ${ofLink}`, [
    tenant.id,
  ])
  t.equal(rowCount, 1_000)
})

t.test('forms of other sites are refused, also where the cookie goes along', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  const path = `/portal/endpoints/${ids['endpoints']}/delete`
  for (const headers of [
    { origin: 'https://app.example.com' }, // which may frame it, and no more
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'same-site' },
  ]) {
    t.equal((await post(path, {}, { cookie, headers })).status, 403, JSON.stringify(headers))
  }
  const behindProxy = { origin: 'https://hooks.example.com', 'sec-fetch-site': 'same-origin' }
  t.equal((await post(path, {}, { cookie, headers: behindProxy })).status, 303)
})

t.test('the cookie goes into frames of other sites over https only, partitioned', async (t) => {
  const { tenant } = await createWorld()
  const over = async (headers: Record<string, string>) =>
    (await open(await createLink(tenant.key), headers)).headers.get('set-cookie') ?? ''
  t.match(await over({}), /HttpOnly.*SameSite=Lax/)
  t.notMatch(await over({}), /SameSite=None|Partitioned/)
  const secure = await over({ 'x-forwarded-proto': 'https' })
  for (const part of ['HttpOnly', 'Secure', 'SameSite=None', 'Partitioned', 'Path=/;']) {
    t.match(secure, part)
  }
  const unframed = await createTestPortal(pool)
  const { headers } = await unframed.open(await unframed.createLink(tenant.key), {
    'x-forwarded-proto': 'https',
  })
  t.match(headers.get('set-cookie'), /Secure.*SameSite=Lax/, 'where nobody may frame it')
})

t.test('only allowed origins may frame it, and nobody unless said so', async (t) => {
  const { tenant } = await createWorld()
  const policyOf = async ({ get, entered }: typeof portal) => {
    const { headers } = await get('/portal/endpoints', { cookie: await entered(tenant.key) })
    return headers.get('content-security-policy')
  }
  t.match(await policyOf(portal), /frame-ancestors https:\/\/app\.example\.com$/)
  t.match(await policyOf(await createTestPortal(pool)), /frame-ancestors 'none'$/)
})

t.test('what is done stands in the audit log under the link', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  await post(`/portal/endpoints/${ids['endpoints']}/pause`, {}, { cookie })
  const { rows } = await pool.query(
    `select action, who, detail from postrider.audit_log
     where tenant_id = $1 and action in ('create_portal_link', 'pause_endpoint') order by id`,
    [tenant.id],
  )
  const [made, paused] = rows
  t.match(made, { action: 'create_portal_link', who: 'admin key' })
  t.match(paused, { action: 'pause_endpoint', who: `portal link ${made.detail.link}` })
  await request('DELETE', `/api/tenants/${tenant.key}/portal-links`)
  const { rows: later } = await pool.query(
    `select who from postrider.audit_log where tenant_id = $1 and action = 'revoke_portal_links'`,
    [tenant.id],
  )
  t.strictSame(later, [{ who: 'admin key' }])
})

t.test('a form that is refused comes back as it was typed', async (t) => {
  const { tenant } = await createWorld()
  const cookie = await entered(tenant.key)
  const fields = { url: 'ftp://wrong', description: 'as typed', eventTypes: 'invoice.*' }
  const { status, text } = await post('/portal/endpoints/new', fields, { cookie })
  t.equal(status, 422)
  for (const value of Object.values(fields)) t.match(text, value)
  t.match(text, /aria-invalid="true"/)
})

t.test('the colour is served as a style sheet, and the logo as it is', async (t) => {
  const logo = { bytes: Buffer.from('GIF89a…'), type: 'image/gif' }
  const branded = await createTestPortal(pool, { accent: '#ffe600', logo })
  const { tenant } = await createWorld()
  const cookie = await branded.entered(tenant.key)
  const { text } = await branded.get('/portal/endpoints', { cookie })
  t.notMatch(text, /style=|<style/, 'nothing stands in the page')
  const [css, image] = [/href="([^"]*theme\.css)"/, /<img class="logo" src="([^"]*)"/].map(
    (pattern) => pattern.exec(text)?.[1] ?? '',
  )
  const sheet = await branded.get(css ?? '', { cookie: null })
  t.match(sheet.headers.get('content-type'), 'text/css')
  t.match(sheet.text, /^:root\{--accent:light-dark\(#[0-9a-f]{6},#[0-9a-f]{6}\);/)
  const file = await branded.get(image ?? '', { cookie: null })
  t.equal(file.headers.get('content-type'), 'image/gif')
  t.equal(file.headers.get('x-content-type-options'), 'nosniff')
})

t.test('the secret comes with code to verify it, in every language', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  const { text } = await post(`/portal/endpoints/${ids['endpoints']}/secret`, {}, { cookie })
  t.equal(text.match(/<details name="verify">/g)?.length, SNIPPETS.length)
  for (const { name } of SNIPPETS) t.match(text, `<summary>${name}</summary>`)
})

t.test('what an endpoint did not get is sent to it again, by a link that manages', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  const path = `/portal/endpoints/${ids['endpoints']}`
  for (const mode of ['redeliver', 'missed']) {
    const { status, headers } = await post(`${path}/recover`, { mode, hours: '6' }, { cookie })
    t.equal(status, 303)
    const page = await get(headers.get('location') ?? '', { cookie })
    t.match(page, { status: 200, text: /id="recovery"/ })
    const { rows } = await pool.query(
      `select mode, endpoint_id, round(extract(epoch from created_at - since) / 3600)::int as hours
       from postrider.replay where tenant_id = $1 order by id desc limit 1`,
      [tenant.id],
    )
    t.strictSame(rows, [{ mode, endpoint_id: ids['endpoints'], hours: 6 }])
  }
  t.match((await get(path, { cookie })).text, 'Recover deliveries')
  const count = () =>
    pool.query('select count(*) from postrider.replay where tenant_id = $1', [tenant.id])
  const before = (await count()).rows
  for (const unknown of [
    { mode: 'redeliver', hours: '7' },
    { mode: 'all', hours: '6' },
    { mode: 'missed', hours: '' },
    { mode: 'missed', hours: '6.0' },
    { hours: '6' },
    {},
  ] as Record<string, string>[]) {
    const refused = await post(`${path}/recover`, unknown, { cookie })
    t.match(refused, { status: 422, text: /from the lists/ }, JSON.stringify(unknown))
  }
  t.strictSame((await count()).rows, before, 'nothing was started')
  const reader = await entered(tenant.key, 'read')
  t.notMatch((await get(path, { cookie: reader })).text, 'Recover deliveries')
})

t.test(
  'a test event that failed is not sent again with what an endpoint did not get',
  async (t) => {
    const { tenant, ids } = await createWorld()
    const cookie = await entered(tenant.key)
    const path = `/portal/endpoints/${ids['endpoints']}`
    const recovered = async () => {
      await post(`${path}/recover`, { mode: 'redeliver', hours: '6' }, { cookie })
      const { rows } = await pool.query<{ total: number }>(
        'select total from postrider.replay where tenant_id = $1 order by id desc limit 1',
        [tenant.id],
      )
      return rows[0]?.total
    }
    await pool.query(
      `update postrider.delivery set state = 'failed', finished_at = now(), next_attempt_at = null, trigger = 'test'
     where id = $1`,
      [ids['deliveries']],
    )
    t.equal(await recovered(), 0)
    await pool.query(`update postrider.delivery set trigger = 'schedule' where id = $1`, [
      ids['deliveries'],
    ])
    t.equal(await recovered(), 1)
  },
)

/** What came of the one attempt of the world. */
const setAttempt = (
  ids: World['ids'],
  { outcome, statusCode, reason = null, error = null }: Record<string, string | number | null>,
) =>
  pool.query(
    `update postrider.attempt set outcome = $2, status_code = $3, reason = $4, error = $5
     where delivery_id = $1`,
    [ids['deliveries'], outcome, statusCode, reason, error],
  )

t.test('the overview says of each endpoint how it fares, and what to do about it', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  const home = async (as = cookie) => (await get('/portal', { cookie: as })).text
  await setAttempt(ids, { outcome: 'delivered', statusCode: 200 })
  t.match(await home(), /No endpoint is failing\..*Working.*HTTP 200/s)
  await setAttempt(ids, {
    ...{ outcome: 'rejected', reason: 'status_4xx', statusCode: 401 },
    error: 'the receiver returned 401 Unauthorized',
  })
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since)
     values ($1, $2, 1, '2026-01-31T12:30:00Z')`,
    [ids['endpoints'], tenant.id],
  )
  const text = await home()
  t.match(text, 'Your endpoint is failing.')
  t.match(text, /Failing<\/span> since <time datetime="2026-01-31T12:30/)
  t.match(text, `href="/portal/deliveries/${ids['deliveries']}">The receiver returned 401`)
  t.match(text, 'A wrong secret is the usual cause.')
  t.match(text, 'Then recover what it has missed')
  t.notMatch(await home(await entered(tenant.key, 'read')), 'Then recover')

  const page = `/portal/endpoints/${ids['endpoints']}`
  const pageOf = async (as = cookie) => (await get(page, { cookie: as })).text
  const reason = /failing since <time.*The receiver returned 401.*A wrong secret is the usual/s
  t.match(await pageOf(), reason, 'its page says so too')
  const failsSince = (failing: string | null, refusing: string | null) =>
    pool.query(
      'update postrider.circuit set failing_since = $2, refusing_since = $3 where endpoint_id = $1',
      [ids['endpoints'], failing, refusing],
    )
  await failsSince(null, '2026-01-31T12:30:00Z')
  t.match(await pageOf(), reason, 'also of one that refuses all it is sent')
  await failsSince('2026-01-31T12:30:00Z', null)
  await pool.query(
    `update postrider.circuit set opened_at = now(), failures = 20 where endpoint_id = $1`,
    [ids['endpoints']],
  )
  await pool.query(
    `update postrider.delivery set state = 'held', held_reason = 'circuit', finished_at = null, next_attempt_at = null
     where id = $1`,
    [ids['deliveries']],
  )
  await pool.query(
    `insert into postrider.delivery
     select (jsonb_populate_record(d, jsonb_build_object('id', postrider.uuidv7(), 'event_id', postrider.uuidv7(),
       'state', 'held', 'held_reason', 'order'))).*
     from postrider.delivery d where d.id = $1`,
    [ids['deliveries']],
  )
  const release = 'Send a test event. If it succeeds, the delivery on hold is sent.'
  for (const text of [await home(), await pageOf()]) {
    t.match(text, release)
    t.match(text, `action="${page}/test"`)
  }
  t.notMatch(await home(), 'Then recover', 'which does nothing for what is on hold')
  const readOnly = await entered(tenant.key, 'read')
  for (const text of [await home(readOnly), await pageOf(readOnly)]) {
    t.notMatch(text, 'Send a test event')
  }
  const { json } = await request('POST', `/api/tenants/${tenant.key}/endpoints`, {
    body: { url: 'https://example.com/unused' },
  })
  t.match(await home(), /Not used yet.*Nothing was sent yet.*Send a test event/s)
  for (const [state, advice] of [
    ['paused', 'Resume it to send what is on hold'],
    ['disabled', 'Enable it once the receiver is back'],
  ] as const) {
    await pool.query('update postrider.endpoint set state = $2 where id = $1', [json.id, state])
    t.match(await home(), advice)
  }
  t.match(await home(), 'Failing: 2 of 2 endpoints.')
})

t.test(
  'the page of an event says where it went, why not elsewhere, and what comes next',
  async (t) => {
    const { tenant, ids } = await createWorld()
    const cookie = await entered(tenant.key)
    const body = { url: 'https://example.com/other', eventTypes: ['other.*'], description: 'Other' }
    await request('POST', `/api/tenants/${tenant.key}/endpoints`, { body })
    const path = `/portal/events/${ids['events']}`
    await setAttempt(ids, { outcome: 'rejected', reason: 'status_5xx', statusCode: 503 })
    await pool.query(
      `update postrider.delivery set state = 'pending', finished_at = null, attempt_count = 1,
       next_attempt_at = '2099-01-31T12:30:00Z' where id = $1`,
      [ids['deliveries']],
    )
    const { text } = await get(path, { cookie })
    t.match(text, 'Endpoints: in progress for 1, not sent to 1.')
    t.match(text, /HTTP 503.*attempt 1.*Next attempt <time datetime="2099-01-31T12:30/s)
    t.match(text, /Other.*Not sent.*It was created after the event/s)
    t.match(text, `href="/portal/deliveries/${ids['deliveries']}"`)
    t.match((await get('/portal/events', { cookie })).text, `href="${path}"`)
    t.match(
      (await get(`/portal/deliveries/${ids['deliveries']}`, { cookie })).text,
      `href="${path}"`,
    )
  },
)

t.test('event types are chosen from the tree when an endpoint is edited as well', async (t) => {
  const { tenant, ids } = await createWorld()
  const cookie = await entered(tenant.key)
  for (const name of ['tree.a', 'tree.b', 'tree.c.d']) {
    await request('PUT', `/api/event-types/${name}`, { body: {} })
  }
  const api = `/api/tenants/${tenant.key}/endpoints/${ids['endpoints']}`
  const eventTypes = ['tree.b', 'unknown.*', 'tree.a']
  await request('PATCH', api, { body: { eventTypes } })
  const path = `/portal/endpoints/${ids['endpoints']}/edit`
  const { text } = await get(path, { cookie })
  const boxes = [...text.matchAll(/name="type:([^"]+)" value="yes"( checked)?/g)]
  const isChosen = Object.fromEntries(boxes.map(([, name, checked]) => [name, Boolean(checked)]))
  t.match(isChosen, { 'tree.*': false, 'tree.a': true, 'tree.b': true, 'tree.c.d': false })
  t.match(text, /<textarea[^>]*name="eventTypes"[^>]*>\nunknown\.\*</)
  t.match(text, 'href="/portal/event-types/tree.a"', 'with schema and example')
  const beganWith =
    /name="beganWith" value="([^"]*)"/.exec(text)?.[1]?.replaceAll('&quot;', '"') ?? ''
  const fields = {
    url: 'http://127.0.0.1:9/a',
    eventTypes: 'unknown.*',
    ordering: 'none',
    beganWith,
  }
  const as = (boxes: string[]) => Object.fromEntries(boxes.map((name) => [`type:${name}`, 'yes']))
  const typesNow = async () => (await request('GET', api)).json.eventTypes
  const same = { ...fields, ...as(['tree.a', 'tree.b']), description: 'edited' }
  t.match(await post(path, same, { cookie }), { status: 303 })
  t.strictSame(await typesNow(), eventTypes, 'the order of the tree is no change')
  const other = { ...fields, ...as(['tree.*']), description: 'edited' }
  t.match(await post(path, other, { cookie }), { status: 303 })
  t.strictSame(await typesNow(), ['unknown.*', 'tree.*'])
  const wrong = { ...fields, ...as(['tree.a']), url: 'ftp://wrong', beganWith: '' }
  const refused = await post(path, wrong, { cookie })
  t.match(refused, { status: 422, text: /name="type:tree.a" value="yes" checked/ })
})

/** One pixel. */
const PIXEL = 'R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs='

t.test('a link brings its name, colour, logo, theme and way back, under the policy', async (t) => {
  const { tenant } = await createWorld()
  const look = {
    ...{ name: 'Acme hooks', accent: '#FFE600', theme: 'dark', locale: 'de' },
    ...{ backUrl: 'https://app.acme.test/a?b=1', logo: `data:image/gif;base64,${PIXEL}` },
  }
  const cookie = cookieIn((await open(await createLink(tenant.key, look))).headers)
  const { text, headers } = await get('/portal/endpoints', { cookie })
  t.match(text, /<html lang="de" data-theme="dark"/)
  t.match(text, /<title>Endpunkte · Acme hooks<\/title>/)
  t.match(text, 'href="https://app.acme.test/a?b=1"')
  t.match(text, /Dieser Link endet <span data-countdown="20/)
  t.notMatch(text, /style=|<style|data:image/, 'nothing of it stands in the page')
  t.match(headers.get('content-security-policy'), /img-src 'self'; /)
  const [css = '', image = ''] = [/href="([^"]*c-ffe600\.css)"/, /class="logo" src="([^"]*)"/].map(
    (pattern) => pattern.exec(text)?.[1],
  )
  t.match(await get(css, { cookie: null }), { status: 200, text: /^:root\{--accent:light-dark\(#/ })
  const logo = await get(image, { cookie })
  t.equal(logo.headers.get('content-type'), 'image/gif')
  t.equal(logo.headers.get('cache-control'), 'private, max-age=86400')
  t.equal((await get(image, { cookie: null })).status, 404)
  t.equal((await get(image, { cookie: await entered(tenant.key) })).status, 404, 'of another link')
  t.equal((await get('/portal/assets/look/c-red;}.css', { cookie: null })).status, 404)
  const chosen = `${cookie}; postrider_display=roomy`
  t.notMatch((await get('/portal/endpoints', { cookie: chosen })).text, 'data-theme="dark"')
})

t.test('a logo of another host is all that a page may load from there', async (t) => {
  const { tenant } = await createWorld()
  const logo = 'https://cdn.acme.test:8443/logo.svg?v=2'
  const cookie = cookieIn((await open(await createLink(tenant.key, { logo }))).headers)
  const { text, headers } = await get('/portal/endpoints', { cookie })
  t.match(text, /<img class="logo" src="https:\/\/cdn\.acme\.test:8443\/logo\.svg\?v=2"/)
  const policy = headers.get('content-security-policy')
  t.match(policy, "; img-src 'self' https://cdn.acme.test:8443;")
  t.equal(policy?.match(/acme/g)?.length, 1)
  const other = await get('/portal/endpoints', { cookie: await entered(tenant.key) })
  t.match(other.headers.get('content-security-policy'), "; img-src 'self';")
})

t.test('a page reads session and link once, whatever the link brings', async (t) => {
  const recorded = recordQueries(pool)
  const listened = await createTestPortal(recorded.pool)
  const { tenant } = await createWorld()
  const url = await createLink(tenant.key, { name: 'Acme', accent: '#123456' })
  const cookie = cookieIn((await listened.open(url)).headers)
  recorded.sent.length = 0
  t.match(await listened.get('/portal/endpoints', { cookie }), { status: 200, text: /Acme/ })
  const reads = (table: string) => recorded.sent.filter(({ text }) => text.includes(table)).length
  t.equal(reads('"portal_link"'), 1)
  t.equal(reads('"session"'), 1)
})

t.test(
  'without a locale a link speaks the language of the browser, English if unknown',
  async (t) => {
    const { tenant } = await createWorld()
    const cookie = await entered(tenant.key)
    const languageWith = async (accept: string) => {
      const { text } = await get('/portal/endpoints', {
        cookie,
        headers: { 'accept-language': accept },
      })
      return /<html lang="(\w+)"/.exec(text)?.[1]
    }
    t.equal(await languageWith('de-AT,de;q=0.9,en;q=0.8'), 'de')
    t.equal(await languageWith('en-GB,de;q=0.5'), 'en')
    t.equal(await languageWith('fr-FR, de;q=0.5'), 'de')
    t.equal(await languageWith('de;q=0.1, en;q=0.9'), 'en')
    t.equal(await languageWith('de;q=0, fr'), 'en')
    t.equal(await languageWith('den, xx'), 'en')
    t.equal(await languageWith('DE-de'), 'de')
    t.equal(await languageWith('xx'), 'en')
    const closed = await get('/portal/closed', {
      cookie: null,
      headers: { 'accept-language': 'de' },
    })
    t.match(closed, { status: 401, text: /Diese Seite ist geschlossen/ })
  },
)

t.test('nothing of all this was logged as a fault of ours', async (t) => {
  t.strictSame(logged, [])
})

/** Every row that is the tenant's. */
async function rowsOf(id: string) {
  const tables = ['endpoint', 'endpoint_secret', 'event', 'delivery', 'attempt', 'replay']
  const found = await Promise.all(
    tables.map((table) =>
      pool.query(
        `select json_agg(r order by r::text) from postrider.${table} r where tenant_id = $1`,
        [id],
      ),
    ),
  )
  return found.map(({ rows }) => rows)
}

t.test('a link ends with the key that made it, by revocation and by expiry', async (t) => {
  const { tenant } = await createWorld()
  const path = `/api/tenants/${tenant.key}/portal-links`
  const linkOf = async (key: string) => (await request('POST', path, { key })).json
  const keyWith = async (values: object) => {
    const body = { name: 'maker', scopes: ['read', 'manage'], ...values }
    return (await request('POST', '/api/keys', { body })).json
  }
  const [revoked, kept] = [await keyWith({}), await keyWith({})]
  const cookies = []
  for (const { key } of [revoked, kept]) {
    cookies.push(cookieIn((await portal.open((await linkOf(key)).url)).headers))
  }
  const url = (await linkOf(revoked.key)).url
  await request('DELETE', `/api/keys/${revoked.id}`)
  const [ended, goesOn] = cookies
  t.not((await portal.get('/portal/endpoints', { cookie: ended ?? '' })).status, 200)
  t.equal((await portal.get('/portal/endpoints', { cookie: goesOn ?? '' })).status, 200)
  t.equal(cookieIn((await portal.open(url)).headers), '', 'nor does the link open anything')

  const expiresAt = new Date(Date.now() + 10 * 60_000).toISOString()
  const expiring = await keyWith({ expiresAt })
  const link = await linkOf(expiring.key)
  t.equal(link.expiresAt, expiresAt, 'although a link lasts an hour by itself')
  const cookie = cookieIn((await portal.open(link.url)).headers)
  await pool.query(`update postrider.api_key set expires_at = now() where id = $1`, [expiring.id])
  t.not((await portal.get('/portal/endpoints', { cookie })).status, 200)
})
