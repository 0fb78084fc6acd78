import t from 'tap'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
const ATTEMPTS_MAX = 3

const bundle = (options: { signInsMax?: number } = {}) => createTestConsole(pool, options)

t.test(
  'a page without a session leads to the sign-in, and back to where one was going',
  async (t) => {
    const { get, signIn } = await bundle()
    const refused = await get('/console?a=1', { cookie: null })
    t.equal(refused.status, 303)
    const to = refused.headers.get('location') ?? ''
    t.equal(to, '/console/sign-in?to=%2Fconsole%3Fa%3D1')
    t.match((await get(to, { cookie: null })).text, 'value="/console?a=1"')
    const signedIn = await signIn({ to: '/console?a=1' })
    t.equal(signedIn.status, 303)
    t.equal(signedIn.headers.get('location'), '/console?a=1')
  },
)

t.test('nobody is sent elsewhere after signing in', async (t) => {
  for (const to of [
    'https://evil.test/',
    '//evil.test',
    '/console\\..\\',
    '/consoles',
    '/api',
    '',
  ]) {
    const { signIn } = await bundle()
    t.equal((await signIn({ to })).headers.get('location'), '/console', to)
  }
})

t.test('the cookie is for this area, out of reach of scripts, and secure over https', async (t) => {
  const { signIn, get, post } = await bundle()
  const cookie = (await signIn()).headers.get('set-cookie') ?? ''
  t.match(
    cookie,
    /^postrider_console=[\w-]{43}; Path=\/console; Expires=.*; HttpOnly; SameSite=Lax$/,
  )
  const headers = { 'x-forwarded-proto': 'https' }
  const secure = (await signIn({}, { headers })).headers.get('set-cookie') ?? ''
  t.match(secure, /^__Host-postrider_console=[^;]*; Path=\/; .*HttpOnly; Secure; SameSite=Lax$/)
  const [named = ''] = secure.split(';')
  t.equal((await get('/console', { cookie: named, headers })).status, 200)
  const planted = named.replace('__Host-', '')
  t.equal((await get('/console', { cookie: planted, headers })).status, 303, 'from a neighbour')
  t.equal((await post('/console/sign-out', {}, { cookie: named, headers })).status, 303)
  t.equal((await get('/console', { cookie: named, headers })).status, 303)
})

t.test('which keys may sign in', async (t) => {
  const { apiKeys, signIn, tenantId } = await bundle()
  const issue = async (values: object) =>
    (await apiKeys.issue({ name: 'a', scopes: ['read'], ...values })).key
  const cases: [key: string, says: RegExp | null][] = [
    [await issue({}), null],
    [await issue({ scopes: ['admin'] }), null],
    [` ${await issue({})} \n`, null],
    [await issue({ scopes: ['publish', 'manage'] }), /lacks the scope “read”/],
    [await issue({ tenantId: await tenantId() }), /bound to one tenant/],
    ['nonsense', /unknown, expired or revoked/],
    ['a'.repeat(300), /unknown, expired or revoked/],
  ]
  for (const [key, says] of cases) {
    const { status, text } = await (await createTestConsole(pool)).signIn({ key })
    t.equal(status, says ? 422 : 303, key)
    if (says) t.match(text, says)
    t.notMatch(text, key.trim(), 'and no key stands in a page')
  }
  t.equal((await signIn()).status, 303)
})

t.test('wrong keys are limited, and right ones are not counted', async (t) => {
  const { signIn, apiKeys } = await bundle({ signInsMax: ATTEMPTS_MAX })
  const { key: known } = await apiKeys.issue({ name: 'a', scopes: ['read'] })
  const { key: unseen } = await apiKeys.issue({ name: 'b', scopes: ['read'] })
  for (let n = 1; n <= ATTEMPTS_MAX + 1; n++) t.equal((await signIn({ key: known })).status, 303)
  for (let n = 1; n <= ATTEMPTS_MAX; n++) t.equal((await signIn({ key: 'wrong' })).status, 422)
  for (const key of ['wrong', 'another', unseen]) {
    const { status, headers, text } = await signIn({ key })
    t.equal(status, 429, 'a right key too that nobody has seen yet')
    t.ok(Number(headers.get('retry-after')) > 0)
    t.match(text, 'Too many wrong keys from your address. Try again in')
  }
  t.equal((await signIn({ key: known })).status, 303, 'who was in before is not shut out')
})

t.test('a session ends by signing out, by hand, in time, and with its key', async (t) => {
  const { apiKeys, sessions, get, post, signedIn, now } = await bundle()
  const isIn = async (cookie: string) => (await get('/console', { cookie })).status === 200

  const first = await signedIn()
  const other = await signedIn()
  t.ok(await isIn(first))
  t.equal((await post('/console/sign-out', {}, { cookie: first })).status, 303)
  t.notOk(await isIn(first))
  t.ok(await isIn(other), 'another browser stays')

  const [listed] = await sessions.list()
  if (listed) await sessions.end(listed.id)
  t.notOk(await isIn(other))

  const { key, apiKey } = await apiKeys.issue({ name: 'b', scopes: ['read'] })
  const third = await signedIn(key)
  await pool.query(`update postrider.session set expires_at = now() + interval '1 minute'`)
  t.ok(await isIn(third))
  await pool.query('update postrider.session set expires_at = now()')
  t.notOk(await isIn(third))

  const fourth = await signedIn(key)
  t.equal((await sessions.list())[0]?.keyName, 'b')
  // In another process, so that it is the five seconds that end it.
  await pool.query('update postrider.api_key set revoked_at = now() where id = $1', [apiKey.id])
  now.ms += 5_001
  t.notOk(await isIn(fourth))
  t.strictSame(await sessions.list(), [], 'those that are over are not shown')
})

t.test('a session of the portal opens nothing here', async (t) => {
  const { sessions, get, adminKeyHash } = await bundle()
  const { token } = await sessions.begin('portal', adminKeyHash, 60)
  t.equal((await get('/console', { cookie: `postrider_console=${token}` })).status, 303)
})

t.test('a form of another site is refused', async (t) => {
  const { post, signedIn } = await bundle()
  const cookie = await signedIn()
  const from = (headers: Record<string, string>) =>
    post('/console/sign-out', {}, { cookie, headers })
  t.equal((await from({ origin: 'https://evil.test' })).status, 403)
  t.equal((await from({ origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' })).status, 403)
  t.equal((await from({ origin: 'null' })).status, 403)
  t.equal((await from({ origin: 'http://localhost' })).status, 303)
})

t.test('every answer says what its page may do', async (t) => {
  const { get, signedIn } = await bundle()
  const cookie = await signedIn()
  for (const path of [
    '/console',
    '/console/sign-in',
    '/console/nowhere',
    '/console/tenants/assets/x',
    '/console/event-types/a/assets/b',
  ]) {
    const policy = (await get(path, { cookie })).headers.get('content-security-policy') ?? ''
    t.match(policy, "default-src 'none'", path)
    t.notMatch(policy, 'unsafe')
    t.match(policy, "frame-ancestors 'none'")
  }
  t.equal((await get('/console/nowhere', { cookie })).status, 404)
})

t.test(
  'files are ours, and are kept for ever under an address that changes with them',
  async (t) => {
    const { get } = await bundle()
    const { text } = await get('/console/sign-in', { cookie: null })
    const urls = [...text.matchAll(/(?:src|href)="([^"]*\/assets\/[^"]*)"/g)].map(
      ([, url = '']) => url,
    )
    t.ok(urls.length >= 4)
    for (const url of new Set(urls)) {
      const { status, headers } = await get(url, { cookie: null })
      t.equal(status, 200, url)
      t.match(headers.get('cache-control'), 'immutable')
    }
    t.notMatch(text, /(?:src|href|action)="(?:https?:)?\/\//, 'nothing is loaded from elsewhere')
    t.equal((await get('/console/assets/000000000000/htmx.js', { cookie: null })).status, 404)
  },
)
