import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { Postrider, PostriderError, type PostriderOptions } from './client.ts'

const { pool } = await createTestDatabase(t)

/** A client of the real API, without a port. */
async function bundle() {
  const { app } = createTestApi(pool)
  const { key: tenant } = await createTenant(pool)
  const fetch = async (url: string, init: RequestInit) => app.request(url, init)
  const postrider = new Postrider({ url: 'http://api.test/', apiKey: ADMIN_KEY, fetch })
  return { postrider, tenant, path: { tenant } }
}

type Step = (request: IncomingMessage, response: ServerResponse) => void

/** A server that answers each request with the next step, and the last one again and again. */
async function script(t: Test, steps: Step[], options: Partial<PostriderOptions> = {}) {
  const requests: { key: string | undefined; body: string }[] = []
  const server = createServer(async (request, response) => {
    const key = request.headers['idempotency-key']
    requests.push({ key: key as string | undefined, body: await text(request) })
    steps[Math.min(requests.length, steps.length) - 1]?.(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const postrider = new Postrider({ url: `http://127.0.0.1:${port}`, apiKey: 'a', ...options })
  return { postrider, requests }
}

const json =
  (status: number, body: object, headers: Record<string, string> = {}): Step =>
  (_, response) =>
    response.writeHead(status, headers).end(JSON.stringify(body))
const problem = (status: number, code: string, headers = {}) =>
  json(status, { code, detail: 'refused', errors: [] }, headers)
const published = json(202, { id: 'a', deliveries: 1, duplicate: false })
const cutOff: Step = (request) => request.socket.destroy()
const silence: Step = () => undefined
const event = { tenant: 'acme', type: 'a', data: 1 }

t.test('publishes, creates and reads with the types of the document', async (t) => {
  const { postrider, tenant, path } = await bundle()
  const endpoint = await postrider.request('POST /api/tenants/{tenant}/endpoints', {
    path,
    body: { url: 'http://127.0.0.1/a', eventTypes: ['a'] },
  })
  t.match(endpoint.secret, /^whsec_/)
  const { id, deliveries } = await postrider.publish({ ...event, tenant })
  t.equal(deliveries, 1)
  const stored = await postrider.request('GET /api/tenants/{tenant}/events/{id}', {
    path: { tenant, id },
  })
  t.match(stored, { type: 'a', data: 1, deliveries: [{ endpointId: endpoint.id }] })
  t.match(stored.idempotencyKey, /^[0-9a-f]{32}$/)
  const gone = await postrider.request('DELETE /api/tenants/{tenant}/endpoints/{id}', {
    path: { tenant, id: endpoint.id },
  })
  t.equal(gone, undefined)
})

t.test('publishes with a key of the caller, and in batches', async (t) => {
  const { postrider, tenant } = await bundle()
  const options = { idempotencyKey: 'order 1' }
  const first = await postrider.publish({ ...event, tenant }, options)
  const repeat = await postrider.publish({ ...event, tenant }, options)
  t.strictSame(repeat, { ...first, duplicate: true })
  const both = [
    { ...event, tenant, idempotencyKey: 'order 1' },
    { ...event, tenant },
  ]
  t.match(await postrider.publishBatch(both), [
    { id: first.id, duplicate: true },
    { duplicate: false },
  ])
})

t.test('lists every item, page after page, or from a cursor on', async (t) => {
  const { postrider, tenant, path } = await bundle()
  const ids: string[] = []
  for (let n = 0; n < 5; n += 1) ids.unshift((await postrider.publish({ ...event, tenant })).id)
  const name = 'GET /api/tenants/{tenant}/events'
  const listed = async (query: { limit: number; cursor?: string }) => {
    const found: string[] = []
    for await (const { id } of postrider.list(name, { path, query })) found.push(id)
    return found
  }
  for (const limit of [1, 2, 5, 6]) t.strictSame(await listed({ limit }), ids, `${limit} a page`)
  const { nextCursor } = await postrider.request(name, { path, query: { limit: 2 } })
  t.strictSame(await listed({ limit: 2, cursor: nextCursor ?? '' }), ids.slice(2))
})

t.test('a refusal is an error with code, status, fields and request id', async (t) => {
  const { postrider, tenant, path } = await bundle()
  const error = await postrider.publish({ tenant, type: 'a b', data: null }).catch((e) => e)
  t.ok(error instanceof PostriderError)
  t.match(error, {
    name: 'PostriderError',
    code: 'request_invalid',
    status: 422,
    errors: [{ field: 'type' }, { field: 'data' }],
    message: /^request_invalid: .*type is not a dotted name/,
    requestId: /^[\w-]{36}$/,
  })
  const id = '0198c1f5-7e4a-7000-8000-000000000001'
  const unknown = postrider.request('GET /api/tenants/{tenant}/events/{id}', {
    path: { ...path, id },
  })
  await t.rejects(unknown, { code: 'event_not_found', status: 404 })
})

t.test('what would be another path is refused, anything else is encoded', async (t) => {
  const { postrider } = await bundle()
  for (const tenant of ['', '.', '..']) {
    await t.rejects(postrider.request('GET /api/tenants/{tenant}', { path: { tenant } }), TypeError)
  }
  const odd = postrider.request('GET /api/tenants/{tenant}', { path: { tenant: 'a/b?c#d' } })
  await t.rejects(odd, { code: 'tenant_not_found' })
})

t.test('an event whose answer was lost is sent again with the same key', async (t) => {
  const { postrider, requests } = await script(t, [cutOff, published])
  t.match(await postrider.publish(event), { id: 'a' })
  t.equal(requests.length, 2)
  t.match(requests[0]?.key, /^[0-9a-f]{32}$/)
  t.strictSame(requests[0], requests[1])
  const batch = await script(t, [cutOff, json(202, { data: [] })])
  await batch.postrider.publishBatch([event])
  t.match(batch.requests[0]?.body, /"idempotencyKey":"[0-9a-f]{32}"/)
  t.strictSame(batch.requests[0], batch.requests[1])
})

t.test('waits as long as told, and gives up after the tries it has', async (t) => {
  const busy = problem(409, 'idempotency_key_busy')
  const away = problem(503, 'database_unavailable', { 'retry-after': '0' })
  const patient = await script(t, [away, busy, published])
  t.match(await patient.postrider.publish(event), { id: 'a' })
  t.equal(patient.requests.length, 3)
  const hopeless = await script(t, [away], { tries: 3 })
  await t.rejects(hopeless.postrider.publish(event), { code: 'database_unavailable', status: 503 })
  t.equal(hopeless.requests.length, 3)
  const later = await script(t, [problem(503, 'database_unavailable', { 'retry-after': '3600' })])
  await t.rejects(later.postrider.publish(event), { code: 'database_unavailable' })
  t.equal(later.requests.length, 1)
})

t.test('what may have happened is not sent again; what was over the limit is', async (t) => {
  const create = ({ postrider }: { postrider: Postrider }) =>
    postrider.request('POST /api/tenants/{tenant}/endpoints', {
      path: { tenant: 'acme' },
      body: { url: 'https://example.com' },
    })
  for (const [step, code] of [
    [cutOff, 'unreachable'],
    [problem(500, 'internal_error'), 'internal_error'],
  ] as const) {
    const once = await script(t, [step])
    await t.rejects(create(once), { code })
    t.equal(once.requests.length, 1)
  }
  const limited = await script(t, [problem(429, 'rate_limited'), json(201, { id: 'e' })])
  t.match(await create(limited), { id: 'e' })
})

t.test('no response in time, a redirect and a page of a proxy are separate errors', async (t) => {
  const path = { tenant: 'acme' }
  const read = ({ postrider }: { postrider: Postrider }) =>
    postrider.request('GET /api/tenants/{tenant}', { path })
  const slow = await script(t, [silence], { timeoutMs: 1_000, tries: 2 })
  await t.rejects(read(slow), { code: 'timeout', status: null })
  t.equal(slow.requests.length, 2)
  const elsewhere = await script(t, [json(301, {}, { location: '/b' })], { tries: 1 })
  await t.rejects(read(elsewhere), { code: 'unreachable' })
  t.equal(elsewhere.requests.length, 1)
  for (const status of [200, 502]) {
    const html: Step = (_, response) => response.writeHead(status).end('<h1>Bad gateway</h1>')
    const proxy = await script(t, [html], { tries: 1 })
    await t.rejects(read(proxy), { code: 'unexpected_answer', status, message: /Bad gateway/ })
  }
})

t.test('gives up when it is told to, before, while it waits, and while it asks', async (t) => {
  const gone = AbortSignal.abort(new Error('no longer needed'))
  const early = await script(t, [published])
  await t.rejects(early.postrider.publish(event, { signal: gone }), { message: 'no longer needed' })
  t.equal(early.requests.length, 0)
  for (const step of [silence, problem(503, 'database_unavailable', { 'retry-after': '20' })]) {
    const controller = new AbortController()
    const then: Step = (request, response) => {
      step(request, response)
      response.once('close', () => controller.abort(new Error('no longer needed')))
      if (step === silence) controller.abort(new Error('no longer needed'))
    }
    const { postrider, requests } = await script(t, [then])
    const publishing = postrider.publish(event, { signal: controller.signal })
    await t.rejects(publishing, { message: 'no longer needed' })
    t.equal(requests.length, 1)
  }
})

t.test('uses nothing that browsers do not have', async (t) => {
  const files = readdirSync(import.meta.dirname).filter((file) => !file.endsWith('.test.ts'))
  for (const file of files) {
    const source = readFileSync(`${import.meta.dirname}/${file}`, 'utf8')
    const imports = [...source.matchAll(/from '([^']+)'/g)].map(([, name]) => name)
    t.strictSame(
      imports.filter((name) => !name?.startsWith('./') && name !== 'postrider/client'),
      [],
    )
    t.notOk(/\b(process|Buffer|require|global|setImmediate)\b[.(]/.test(source), file)
  }
})
