import { Hono } from 'hono'
import t from 'tap'
import type { Endpoints, FoundEndpoint } from '../endpoints/endpoints.ts'
import { TenantNotFound } from '../not-found.ts'
import type { EndpointSecrets } from '../secrets/endpoint-secrets.ts'
import { generateSecret, sign } from '../sending/signature.ts'
import { fromStoredForm } from '../sending/signing-secret.ts'
import type { Tenant } from '../tenants/tenants.ts'
import { BODY_CHARACTERS_MAX, REQUESTS_MAX, type ReceivedRequest } from './received-requests.ts'
import { addSandboxRoutes } from './sandbox.routes.ts'

const BODY = '{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00Z","data":{}}'

/** A sandbox with one tenant, `acme`, and endpoints at these URLs, each with the secrets next to it. */
function bundle(endpoints: Record<string, string[]> = {}, eventBytesMax = 1_000_000) {
  const urls = Object.keys(endpoints)
  const app = new Hono()
  const services = {
    tenants: {
      find: async (key: string) => {
        if (key !== 'acme') throw new TenantNotFound()
        return { id: 'acme', key } as unknown as Tenant
      },
    },
    endpoints: {
      list: async () => urls.map((url) => ({ id: url, url }) as unknown as FoundEndpoint),
    } satisfies Pick<Endpoints, 'list'>,
    secrets: {
      list: async (_tenantId, id) =>
        (endpoints[id] ?? []).map((secret) => ({
          ...fromStoredForm(secret),
          createdAt: new Date(),
          expiresAt: null,
        })),
    } satisfies Pick<EndpointSecrets, 'list'>,
  }
  const config = { eventBytesMax, host: 'devbox', publicUrl: 'https://dev.example.com/a' }
  addSandboxRoutes(app, services, config)
  return {
    app,
    deliver: (headers: Record<string, string>, body = BODY, tenant = 'acme') =>
      app.request(`/sandbox/in/${tenant}`, { method: 'POST', headers, body }),
    list: async () => {
      const response = await app.request('/sandbox/requests.json')
      return ((await response.json()) as { data: ReceivedRequest[] }).data
    },
    page: async () => (await app.request('/sandbox')).text(),
  }
}

function signed(secret: string, body = BODY, timestampSeconds = Math.floor(Date.now() / 1000)) {
  const id = 'an-event'
  return {
    'webhook-id': id,
    'webhook-timestamp': `${timestampSeconds}`,
    'webhook-signature': sign({ id, timestampSeconds, body, secrets: [secret] }),
  }
}

t.test('a request that an endpoint of the tenant signed is shown as verified', async (t) => {
  const secret = generateSecret()
  const { deliver, list, page } = bundle({ 'http://127.0.0.1:8080/sandbox/in/acme': [secret] })
  t.equal((await deliver(signed(secret))).status, 200)
  t.match(await list(), [
    { number: 1, tenant: 'acme', body: BODY, signature: { verified: true, reason: null } },
  ])
  t.match(await page(), 'The signature verified')
})

t.test('any live secret verifies, as during a rotation', async (t) => {
  const [old, current] = [generateSecret(), generateSecret()]
  const { deliver, list } = bundle({ 'http://127.0.0.1:8080/sandbox/in/acme': [current, old] })
  await deliver(signed(old))
  await deliver(signed(current))
  t.strictSame(
    (await list()).map(({ signature }) => signature.verified),
    [true, true],
  )
})

t.test('what does not verify is shown with its reason', async (t) => {
  const secret = generateSecret()
  const url = 'http://127.0.0.1:8080/sandbox/in/acme'
  const reasonOf = async (
    headers: Record<string, string>,
    {
      body = BODY,
      tenant = 'acme',
      endpoints = { [url]: [secret] },
    }: { body?: string; tenant?: string; endpoints?: Record<string, string[]> } = {},
  ) => {
    const { deliver, list } = bundle(endpoints)
    t.equal((await deliver(headers, body, tenant)).status, 200)
    return (await list())[0]?.signature.reason
  }
  t.match(await reasonOf({}), 'headers of Standard Webhooks are missing')
  t.match(await reasonOf(signed(generateSecret())), 'no signature matches')
  t.match(await reasonOf(signed(secret), { body: `${BODY} ` }), 'no signature matches')
  t.match(await reasonOf(signed(secret, BODY, 1_600_000_000)), 'too old')
  t.match(await reasonOf(signed(secret), { tenant: 'nobody' }), 'no endpoint that leads here')
  const elsewhere = { 'https://example.com/hooks': [secret] }
  t.match(await reasonOf(signed(secret), { endpoints: elsewhere }), 'no endpoint that leads here')
})

t.test('the last requests are kept, newest first, and no more', async (t) => {
  const { deliver, list } = bundle()
  for (let n = 1; n <= REQUESTS_MAX + 1; n++) await deliver({}, `${n}`)
  const requests = await list()
  t.equal(requests.length, REQUESTS_MAX)
  t.match(requests[0], { number: REQUESTS_MAX + 1, body: `${REQUESTS_MAX + 1}` })
  t.match(requests.at(-1), { number: 2 })
})

t.test('a long body is verified whole and shown cut off', async (t) => {
  const secret = generateSecret()
  const { deliver, list } = bundle({ 'http://127.0.0.1:8080/sandbox/in/acme': [secret] })
  const body = 'x'.repeat(BODY_CHARACTERS_MAX + 1)
  await deliver(signed(secret, body), body)
  const [request] = await list()
  t.equal(request?.body.length, BODY_CHARACTERS_MAX)
  t.match(request, { bodyBytes: BODY_CHARACTERS_MAX + 1, signature: { verified: true } })
})

// The page of an attacker, whose host name now resolves to 127.0.0.1 (DNS rebinding), can read what it fetches.
t.test('what arrived is shown under an address, localhost and own names only', async (t) => {
  const { app, deliver } = bundle()
  await deliver({}, 'for nobody else')
  const own = ['127.0.0.1:8080', '[::1]:8080', '192.168.1.7', 'localhost:8080', 'LOCALHOST']
  const others = ['evil.test', 'evil.test:8080', 'localhost.evil.test', '127.0.0.1.evil.test']
  for (const path of ['/sandbox', '/sandbox/requests.json']) {
    for (const host of [
      ...own,
      'a.localhost',
      'devbox:8080',
      'dev.example.com',
      'Dev.Example.com.',
    ]) {
      const answer = await app.request(`http://${host}${path}`)
      t.equal(answer.status, 200, host)
      t.match(await answer.text(), 'for nobody else')
    }
    for (const host of [...others, 'example.com']) {
      const answer = await app.request(`http://${host}${path}`)
      t.equal(answer.status, 403, host)
      t.notMatch(await answer.text(), 'for nobody else')
    }
  }
  t.equal((await app.request('http://any.test/sandbox/in/acme', { method: 'POST' })).status, 200)
})

t.test('a body above the largest event is refused', async (t) => {
  const { deliver, list } = bundle({}, 1_000)
  t.equal((await deliver({ 'content-length': '5097' }, 'x'.repeat(5_097))).status, 413)
  t.equal((await deliver({ 'content-length': '5096' }, 'x'.repeat(5_096))).status, 200)
  t.equal((await list()).length, 1)
})

t.test('the page escapes all that arrived, and its policy lets nothing run', async (t) => {
  const { app, deliver, page } = bundle()
  const attack = '</pre><script>alert(1)</script><img src=x onerror=alert(1)>'
  await deliver({ 'x-attack': attack }, attack)
  const html = await page()
  t.notMatch(html, '<script')
  t.notMatch(html, '<img')
  t.match(html, '&lt;script&gt;')
  const policy = (await app.request('/sandbox')).headers.get('content-security-policy')
  t.match(policy, /default-src 'none'; style-src 'sha256-/)
  t.notMatch(policy, 'unsafe')
  t.notMatch(html, /(src|href)="(https?:)?\/\//, 'and it loads nothing')
})

t.test('the page shows what cannot be seen by its number', async (t) => {
  const { deliver, page } = bundle()
  await deliver({}, '{"a":"pay\u202elap"}')
  t.match(await page(), 'pay\\u202elap')
  t.notMatch(await page(), '\u202e')
})

t.test('no page reloads while somebody reads it, empty or not', async (t) => {
  const { deliver, page } = bundle()
  t.match(await page(), 'reload this page')
  t.notMatch(await page(), 'http-equiv="refresh"')
  await deliver({})
  t.notMatch(await page(), 'http-equiv="refresh"')
})
