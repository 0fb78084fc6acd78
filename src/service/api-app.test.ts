import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const nothing = () => Promise.reject(new Error('select secret from vault'))

t.test('/live answers without a key', async (t) => {
  const { request } = createTestApi(pool)
  t.match(await request('GET', '/live', { key: null }), { status: 200, json: { status: 'ok' } })
})

t.test('/ready says what is not ready', async (t) => {
  const checks = { database: 'reachable', schema: 'older than the program' }
  const ready = createTestApi(pool, { ready: async () => ({ ready: true, checks: {} }) })
  t.match(await ready.request('GET', '/ready', { key: null }), { status: 200 })
  const behind = createTestApi(pool, { ready: async () => ({ ready: false, checks }) })
  t.match(await behind.request('GET', '/ready'), { status: 503, json: { ready: false, checks } })
  const broken = createTestApi(pool, { ready: nothing })
  const answer = await broken.request('GET', '/ready')
  t.match(answer, { status: 503, json: { ready: false, checks: { database: 'unreachable' } } })
  t.notMatch(answer.text, 'secret')
})

t.test('404 as a problem where there is no route', async (t) => {
  const { request } = createTestApi(pool)
  for (const path of ['/', '/api', '/api/nope', '/api/tenants/a/b/c/d']) {
    const { status, json, headers } = await request('GET', path)
    t.match({ status, json }, { status: 404, json: { code: 'route_not_found', status: 404 } }, path)
    t.equal(headers.get('content-type'), 'application/problem+json')
    t.strictSame(Object.keys(json), ['type', 'title', 'status', 'code', 'detail', 'errors'])
  }
})

t.test('a fault of ours is 500, says nothing, and is logged with the request id', async (t) => {
  const { request, logged } = createTestApi(pool, {
    publisher: { publish: nothing },
  })
  const body = { tenant: 'a', type: 'a', data: 1 }
  const answer = await request('POST', '/api/events', {
    body,
    headers: { 'x-request-id': 'req-1' },
  })
  t.match(answer, { status: 500, json: { code: 'internal_error', errors: [] } })
  t.notMatch(answer.text, 'secret')
  t.equal(answer.headers.get('x-request-id'), 'req-1')
  t.match(logged, [
    {
      err: { message: 'select secret from vault' },
      requestId: 'req-1',
      path: '/api/events',
      client: 'unknown',
    },
  ])
})

t.test('every answer has a request id; one that is odd is replaced', async (t) => {
  const { request } = createTestApi(pool)
  const own = await request('GET', '/live')
  t.match(own.headers.get('x-request-id'), /^[\w-]{36}$/)
  for (const id of ['a b', 'x'.repeat(65), '<script>']) {
    const { headers } = await request('GET', '/live', { headers: { 'x-request-id': id } })
    t.not(headers.get('x-request-id'), id)
  }
})

t.test('503 on every route while the database is away', async (t) => {
  const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  const { apiKeys } = createTestApi(pool)
  const { request } = createTestApi(pool, {
    apiKeys: { ...apiKeys, verify: () => Promise.reject(away) },
  })
  const answer = await request('GET', '/api/tenants')
  t.match(answer, { status: 503, json: { code: 'database_unavailable' } })
  t.equal(answer.headers.get('retry-after'), '1')
})

t.test(
  '503 where a transaction lost, also when it was made again: it has done nothing',
  async (t) => {
    for (const code of ['40001', '40P01']) {
      const lost = Object.assign(new Error('deadlock detected'), { code })
      const { apiKeys } = createTestApi(pool)
      const { request } = createTestApi(pool, {
        apiKeys: { ...apiKeys, verify: () => Promise.reject(lost) },
      })
      const answer = await request('GET', '/api/tenants')
      t.match(answer, { status: 503, json: { code: 'database_unavailable' } })
      t.equal(answer.headers.get('retry-after'), '1')
      t.notMatch(answer.text, 'deadlock')
    }
  },
)

t.test('no cache keeps what the API answers: it may be a secret, and is somebody’s', async (t) => {
  const { request } = createTestApi(pool)
  for (const [method, path, options] of [
    ['GET', '/api/tenants', {}],
    ['GET', '/api/tenants', { key: null }],
    ['POST', '/api/keys', { body: { name: 'a', scopes: ['read'] } }],
    ['GET', '/api/nowhere', {}],
  ] as const) {
    const { headers } = await request(method, path, options)
    t.equal(headers.get('cache-control'), 'no-store', `${method} ${path}`)
  }
  t.equal((await request('GET', '/openapi.json')).headers.get('cache-control'), null)
})
