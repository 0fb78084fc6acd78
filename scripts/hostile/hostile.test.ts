import t from 'tap'
import { startServiceWithPages } from '../../src/testing/wiring/service-with-pages.ts'
import { type Fault, startFaultyProxy } from './faulty-proxy.ts'
import { ATTACKS, runHostile, type Told } from './hostile.ts'
import { NotLoopback, targetOf } from './target.ts'

/** Far above what it takes here; a machine that is busy is no finding. */
const MS_MAX = 600_000

const service = await startServiceWithPages(t, { TRUSTED_PROXIES: '127.0.0.0/8' })
const { adminKey } = service

/** @param until ends it at a finding that is like this */
async function attack(url: string, only: readonly string[], until?: RegExp) {
  const told: Told[] = []
  const enough = new AbortController()
  const tell = (one: Told) => {
    told.push(one)
    if (one.verdict === 'BROKEN' && until?.test(one.tried)) enough.abort()
  }
  const options = { target: await targetOf(url), adminKey, only, tell, msMax: MS_MAX }
  const summary = await runHostile({ ...options, signal: enough.signal })
  return { summary, told }
}

const asAdmin = (headers: Record<string, unknown>) => {
  headers['authorization'] = `Bearer ${adminKey}`
}
const isApi = (path: string) => path.startsWith('/api/')
let underWay = 0

/** Of an attack that is added: it fails the test until it has found something. */
const NO_FAULT = /a fault is planted for it/

/** Of each attack a promise that is broken, and which try has to find it. */
const FAULTS: Record<string, { fault: Fault; found: RegExp }> = {
  'foreign ids': {
    fault: { ask: ({ path, headers }) => void (path.includes('/secret') && asAdmin(headers)) },
    found: /GET .*\/secret of the other tenant/,
  },
  strangers: {
    fault: {
      ask: ({ path, headers }) =>
        void (isApi(path) && !headers['authorization'] && asAdmin(headers)),
    },
    found: /without a key/,
  },
  scopes: {
    fault: { ask: ({ path, headers }) => void (path.endsWith('/pause') && asAdmin(headers)) },
    found: /\/pause with a key that only reads/,
  },
  links: {
    fault: { ask: ({ path, headers }) => void (path.endsWith('-links') && asAdmin(headers)) },
    found: /a link with access manage, made with the scope read/,
  },
  pages: {
    fault: {
      answer: (answer, { path }) => {
        if (path.startsWith('/console')) answer.text = answer.text.replaceAll('&lt;', '<')
      },
    },
    found: /what is markup/,
  },
  forms: {
    fault: {
      ask: ({ headers }) => {
        if (headers['origin']) headers['origin'] = `http://${headers['host']}`
        delete headers['sec-fetch-site']
      },
    },
    found: /from another site/,
  },
  addresses: {
    fault: {
      body: (body) => {
        if (String(body['url']).includes('169.254')) body['url'] = 'https://example.com/'
      },
    },
    found: /169\.254\.169\.254/,
  },
  headers: {
    fault: { body: (body) => void (body['headers'] && Object.assign(body, { headers: {} })) },
    found: /header webhook_id/,
  },
  filters: {
    fault: { body: (body) => void ('filter' in body && Object.assign(body, { filter: null })) },
    found: /like_regex/,
  },
  schemas: {
    fault: {
      answer: (answer, { method }) => {
        if (method === 'PUT' && answer.status === 422) answer.status = 500
      },
    },
    found: /that is fetched from elsewhere/,
  },
  receivers: {
    fault: {
      body: ({ url }) =>
        void (/redirect/.test(String(url)) && fetch(String(url)).catch(() => null)),
    },
    found: /where redirects lead/,
  },
  streams: {
    fault: {
      // As a server does that runs a GET for a HEAD, and never hears that its answer is not read.
      handle: ({ method, url, headers }, response) => {
        if (method !== 'HEAD') return false
        const { authorization = '' } = headers
        void fetch(service.url + url, { headers: { authorization } }).catch(() => null)
        response.end()
        return true
      },
    },
    found: /times HEAD/,
  },
  'heavy reads': {
    fault: {
      answer: (answer) => {
        underWay += 1
        if (underWay % 100 === 0) answer.status = 500
      },
    },
    found: /at once/,
  },
  input: {
    fault: {
      answer: (answer) => {
        if (answer.status === 400) answer.status = 500
      },
    },
    found: /with odd input/,
  },
  bodies: {
    fault: {
      handle: (request, response) => {
        if (request.url !== '/console/sign-in' || request.headers['x-forwarded-for']) return false
        if (Number(request.headers['content-length'] ?? 1e9) < 1e6) return false
        request.resume().once('end', () => response.end())
        return true
      },
    },
    found: /sign-in in chunks/,
  },
  'requests ahead': {
    fault: { handle: ({ url }, response) => url === '/docs' && Boolean(response.end()) },
    found: /docs thousands of times/,
  },
  smuggling: {
    fault: {
      server: { insecureHTTPParser: true, requireHostHeader: false },
      handle: ({ url }, response) => url === '/live' && Boolean(response.end()),
    },
    found: /a length and chunks/,
  },
  'slow clients': {
    fault: { server: { headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 0 } },
    found: /a head that trickles/,
  },
  'wrong keys': {
    fault: {
      answer: (answer) => {
        if (answer.status === 429) answer.status = 401
      },
    },
    found: /one after the other/,
  },
}

const names = ATTACKS.map(({ name }) => name)
/** Of each kind of attack one: by keys, by what is sent, by how it is sent. `npm run test:hostile` carries out all. */
const QUICK = ['foreign ids', 'addresses', 'smuggling']
const chosen = process.env['ALL_ATTACKS'] ? names : QUICK

/** Most of it is waiting, which it does next to the others. */
const slow = chosen.includes('slow clients') ? findFault('slow clients', 99) : Promise.resolve([])

async function findFault(name: string, n: number) {
  const { fault, found } = FAULTS[name] ?? { fault: {}, found: NO_FAULT }
  const proxy = await startFaultyProxy(service.url, fault, `192.0.2.${n + 1}`)
  const { told } = await attack(proxy.url, [name], found).finally(proxy.stop)
  return told.filter(({ verdict }) => verdict === 'BROKEN').map(({ tried }) => tried)
}

t.test('every attack finds the promise that a service breaks', async (t) => {
  for (const [n, name] of chosen.entries()) {
    const found = name === 'slow clients' ? await slow : await findFault(name, n)
    t.match(found.join('\n'), FAULTS[name]?.found ?? NO_FAULT, name)
  }
  t.strictSame(
    names.filter((name) => !FAULTS[name]),
    [],
    'a fault is planted for each',
  )
})

t.test('a service as it is holds, and nothing is left behind', async (t) => {
  const { summary, told } = await attack(service.url, chosen)
  t.strictSame(summary.findings, [])
  t.equal(summary.ok, true)
  t.equal(summary.held + summary.notTried, told.length)
  t.ok(summary.held > 70 * chosen.length, `${summary.held} tries`)
  t.strictSame(
    chosen.filter((name) => !told.some((one) => one.attack === name)),
    [],
  )
  const { data: keys } = await service.call('GET', '/api/keys')
  t.strictSame(
    keys.filter((key: { revokedAt: string | null }) => key.revokedAt === null),
    [],
  )
  const { data: types } = await service.call('GET', '/api/event-types')
  t.strictSame(types, [])
  const { data: tenants } = await service.call('GET', '/api/tenants')
  const left = tenants.filter(({ key, deleting }: { key: string; deleting: unknown }) => {
    return key.startsWith('hostile') && deleting === null
  })
  t.strictSame(left, [])
})

t.test('nothing but the loopback of this machine is attacked', async (t) => {
  for (const url of [
    'http://10.0.0.1:8080',
    'http://example.com',
    'http://0.0.0.0:8080',
    'http://[::]:8080',
    'http://128.0.0.1',
    'http://126.255.255.255',
    'http://169.254.1.1',
    'http://[::ffff:10.0.0.1]',
    'http://[::2]',
    'http://127.0.0.1.example.com',
    'http://127.0.0.1@example.com',
    'https://127.0.0.1',
    'ftp://127.0.0.1',
    '127.0.0.1:8080',
    '',
  ]) {
    await t.rejects(targetOf(url), NotLoopback, url)
  }
  for (const [url, address, port] of [
    ['http://127.0.0.1:8080', '127.0.0.1', 8080],
    ['http://127.255.255.255', '127.255.255.255', 80],
    ['http://2130706433:1', '127.0.0.1', 1],
    ['http://[::1]:9', '::1', 9],
  ] as const) {
    t.match(await targetOf(url), { address, port }, url)
  }
  t.ok((await targetOf('http://localhost:1')).address)
})
