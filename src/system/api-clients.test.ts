/** Where requests come from, and what becomes of those who show wrong keys: over a real port, as behind a proxy. */
import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startEverything } from '../testing/wiring/everything.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)
/** This machine stands for the proxy in front. */
const PROXIED = { TRUSTED_PROXIES: '127.0.0.1, ::1' }

type Service = Awaited<ReturnType<typeof startEverything>>

const signIn = ({ url }: Service, key: string, client: string) =>
  fetch(`${url}/console/sign-in`, {
    ...{ method: 'POST', redirect: 'manual' },
    headers: { origin: url, 'x-forwarded-for': client },
    body: new URLSearchParams({ key }),
  })

const list = ({ url }: Service, key: string, client: string) =>
  fetch(`${url}/api/tenants`, {
    headers: { authorization: `Bearer ${key}`, 'x-forwarded-for': client },
  })

t.test('behind one proxy, wrong keys of one client shut out nobody else', async (t) => {
  const service = await startEverything(t, databaseUrl, PROXIED)
  const { key } = await service.api.services.apiKeys.issue({ name: 'never seen', scopes: ['read'] })
  for (let n = 1; n <= 10; n++) t.equal((await signIn(service, `${n}`, '203.0.113.1')).status, 422)
  t.equal((await signIn(service, key, '203.0.113.1')).status, 429)
  t.equal((await signIn(service, key, '203.0.113.1, 127.0.0.1')).status, 429, 'two proxies')
  t.equal((await signIn(service, key, '203.0.113.2, 203.0.113.1')).status, 429, 'nor by lying')
  t.equal((await signIn(service, key, '203.0.113.2')).status, 303, 'a key that is new here')
  t.equal((await signIn(service, service.adminKey, '203.0.113.1')).status, 303, 'the admin key')
  t.equal((await signIn(service, key, '203.0.113.1')).status, 303, 'one that was right')
})

t.test('without a proxy that is trusted, no client can pretend to be another', async (t) => {
  const service = await startEverything(t, databaseUrl)
  const { key } = await service.api.services.apiKeys.issue({ name: 'never seen', scopes: ['read'] })
  for (let n = 1; n <= 10; n++) {
    t.equal((await signIn(service, `${n}`, `203.0.113.${n}`)).status, 422)
  }
  t.equal((await signIn(service, key, '203.0.113.77')).status, 429)
  t.equal((await signIn(service, service.adminKey, '203.0.113.77')).status, 303)
})

t.test('wrong keys of the API, of links and of sessions are counted together', async (t) => {
  const service = await startEverything(t, databaseUrl, PROXIED)
  const { key } = await service.api.services.apiKeys.issue({
    name: 'never seen',
    scopes: ['admin'],
  })
  const client = '203.0.113.1'
  const headers = { 'x-forwarded-for': client }
  const ask = (path: string, cookie = '') =>
    fetch(service.url + path, { headers: { ...headers, cookie }, redirect: 'manual' })
  for (let n = 1; n <= 20; n++) {
    t.equal((await list(service, `wrong ${n}`.replace(' ', '-'), client)).status, 401)
    t.equal((await ask(`/portal/open?token=${n}`)).status, 401)
    t.equal((await ask('/console', `postrider_console=${n}`)).status, 303)
  }
  const refused = await list(service, key, client)
  t.equal(refused.status, 429)
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  t.match(await refused.json(), { code: 'too_many_wrong_keys', status: 429 })
  for (const answer of [
    await ask('/portal/open?token=new'),
    await ask('/portal/endpoints', 'postrider_portal=new'),
    await ask('/console', 'postrider_console=new'),
    await ask('/console/live/stream', 'postrider_console=new'),
  ]) {
    t.equal(answer.status, 429)
    t.ok(Number(answer.headers.get('retry-after')) > 0)
    t.match(await answer.text(), 'Too many wrong keys')
  }
  t.equal((await ask('/console/sign-in')).status, 200, 'what needs no key is there')
  t.equal((await list(service, service.adminKey, client)).status, 200)
  t.equal((await list(service, key, '203.0.113.2')).status, 200)
  t.equal((await list(service, key, client)).status, 200, 'it has been right meanwhile')
})

t.test('the address of a client stands in the audit log', async (t) => {
  const service = await startEverything(t, databaseUrl, PROXIED)
  const { headers } = await signIn(service, service.adminKey, '203.0.113.40, 127.0.0.1')
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
  await fetch(`${service.url}/console/sign-out`, {
    ...{ method: 'POST', redirect: 'manual', body: new URLSearchParams() },
    headers: { origin: service.url, cookie, 'x-forwarded-for': '203.0.113.41' },
  })
  const { rows } = await pool.query(
    `select action, detail->>'client' as client from postrider.audit_log order by id desc limit 2`,
  )
  t.strictSame(rows, [
    { action: 'sign_out', client: '203.0.113.41' },
    { action: 'sign_in', client: '203.0.113.40' },
  ])
})

t.test('in production no link is made without PUBLIC_URL, and none leads elsewhere', async (t) => {
  const { key: tenant } = await createTenant(pool)
  const ask = async (env: Record<string, string>, headers: Record<string, string> = {}) => {
    const { url, adminKey } = await startEverything(t, databaseUrl, env)
    const response = await fetch(`${url}/api/tenants/${tenant}/portal-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminKey}`, 'x-forwarded-host': 'evil.test', ...headers },
    })
    return { url, status: response.status, json: (await response.json()) as never }
  }
  const production = await ask({ NODE_ENV: 'production' })
  t.match(production, {
    status: 409,
    json: { code: 'public_url_missing', detail: /Set PUBLIC_URL/ },
  })
  const PUBLIC_URL = 'https://hooks.example.com'
  const known = await ask({ NODE_ENV: 'production', PUBLIC_URL })
  t.match(known, { status: 201, json: { url: /^https:\/\/hooks\.example\.com\/portal\/open\?/ } })
  const { url, ...tried } = await ask({})
  t.equal(tried.status, 201)
  t.ok((tried.json as { url: string }).url.startsWith(`${url}/portal/open?`), 'as it was asked')
  const proxied = await ask(PROXIED, { 'x-forwarded-proto': 'https' })
  t.match(proxied.json, { url: /^https:/ })
  const foreign = await ask({ TRUSTED_PROXIES: '192.0.2.1' }, { 'x-forwarded-proto': 'https' })
  t.match(foreign.json, { url: /^http:/ })
  const { rows } = await pool.query(`select count(*)::int from postrider.portal_link`)
  t.strictSame(rows, [{ count: 4 }], 'what is refused leaves nothing behind')
})
