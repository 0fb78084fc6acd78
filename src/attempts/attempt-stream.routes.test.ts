import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { readServerSentEvents, type ServerSentEvent } from '../client/server-sent-events.ts'
import { startHttp } from '../http/start-http.ts'
import type { ApiKeyId, TenantId } from '../ids.ts'
import type { ApiOptions } from '../service/api-app.ts'
import { createWork } from '../testing/data/work.ts'
import { untilAnswer } from '../testing/until.ts'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)

async function bundle(overrides: Partial<ApiOptions> = {}) {
  const api = createTestApi(pool, overrides)
  const { liveAttempts } = api.services
  const work = await createWork(pool)
  const path = `/api/tenants/${work.tenant.key}/stream`
  const attempt = async (status = 200) => {
    const claimed = await work.claim(await work.publish())
    await work.finish(claimed, status)
    return claimed?.attemptId
  }
  /** @param options.query with its question mark */
  const open = async (
    t: Test,
    {
      query = '',
      key = ADMIN_KEY,
      lastEventId,
    }: { query?: string; key?: string; lastEventId?: string } = {},
  ) => {
    const response = await api.app.request(`${path}${query}`, {
      headers: {
        authorization: `Bearer ${key}`,
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
    })
    if (!response.body) throw new Error(`no stream: ${response.status}`)
    const { body, leave } = leavable(response.body)
    t.teardown(leave)
    const events = readServerSentEvents(body)
    return { response, leave, nextEvent: () => nextOf(events), next: () => nextWithData(events) }
  }
  return { ...api, liveAttempts, work, tenantId: work.tenant.id as TenantId, path, attempt, open }
}

/** A body whose reader can go in the middle. */
function leavable(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader()
  async function* body() {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield value
    }
  }
  return { body: body(), leave: () => reader.cancel() }
}

type Events = ReturnType<typeof readServerSentEvents>

async function nextOf(events: Events): Promise<ServerSentEvent> {
  const { value, done } = await events.next()
  if (done) throw new Error('the stream has ended')
  return value
}

/** Passes over what only says where to go on. */
async function nextWithData(events: Events) {
  for (;;) {
    const { data, ...event } = await nextOf(events)
    if (data !== '') return { ...event, json: JSON.parse(data) }
  }
}

t.test('streams attempts in the shapes of the API', async (t) => {
  const { open, attempt, request, work } = await bundle()
  const { response, next } = await open(t)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  t.equal(response.headers.get('x-accel-buffering'), 'no')
  const id = await attempt(500)
  const { event, json, id: cursor } = await next()
  t.equal(event, 'attempt')
  t.match(cursor, new RegExp(`^\\d{13}\\.${id}$`))
  const path = `/api/tenants/${work.tenant.key}/deliveries/${json.delivery.id}`
  const { attempts, ...delivery } = (await request('GET', path)).json
  t.strictSame(json.delivery, delivery)
  t.strictSame([json.attempt], attempts)
  t.match(json.event, { id: delivery.eventId, type: 'invoice.paid', occurredAt: String })
  t.notOk('request' in json)
})

t.test('include=request adds the body, to the byte', async (t) => {
  const { open, work } = await bundle()
  const { next } = await open(t, { query: '?include=request' })
  const { rows } = await pool.query('select postrider.publish($1, $2, $3) as id', [
    work.tenant.key,
    'a',
    '{"n": 12345678901234567890, "n": 1.0}',
  ])
  await work.finish(await work.claim(await work.deliveryOf(rows[0].id)), 200)
  const { json } = await next()
  t.match(json.request.body, /"data":\{"n": 12345678901234567890, "n": 1\.0\}\}$/)
})

t.test('what an event type masks is masked in the body of the request too', async (t) => {
  const { open, work, request, apiKeys, tenantId } = await bundle()
  const type = `masked.of_${work.tenant.key.replaceAll('-', '_')}`
  await request('PUT', `/api/event-types/${type}`, { body: { mask: ['customer.email'] } })
  const issued = await Promise.all([
    apiKeys.issue({ name: 'of the tenant', scopes: ['read'], tenantId }),
    apiKeys.issue({ name: 'reveals', scopes: ['read', 'reveal'] }),
  ])
  const keys = [ADMIN_KEY, ...issued.map(({ key }) => key)]
  const streams = await Promise.all(keys.map((key) => open(t, { query: '?include=request', key })))
  const { rows } = await pool.query('select postrider.publish($1, $2, $3) as id', [
    work.tenant.key,
    type,
    '{"order": 4711, "customer": {"email": "ann@example.com"}}',
  ])
  await work.finish(await work.claim(await work.deliveryOf(rows[0].id)), 200)
  for (const { next } of streams) {
    const { body } = (await next()).json.request
    t.match(JSON.parse(body), { type, data: { order: 4711, customer: { email: '***' } } })
  }
})

t.test('answers=false leaves the answers out, also while another stream has them', async (t) => {
  const { open, attempt } = await bundle()
  const [whole, brief] = [await open(t), await open(t, { query: '?answers=false' })]
  const id = await attempt(500)
  t.match((await whole.next()).json.attempt, { id, responseHeaders: {}, responseBody: '' })
  t.match((await brief.next()).json.attempt, { id, responseHeaders: null, responseBody: null })
})

t.test('a filter shows what it names, an unknown one is refused', async (t) => {
  const { open, attempt, request, path, work } = await bundle()
  const { next } = await open(t, { query: `?statusClass=5&endpointId=${work.endpoint.id}` })
  await attempt(200)
  const failed = await attempt(500)
  t.equal((await next()).json.attempt.id, failed)
  const { next: refused } = await open(t, { query: '?reason=status_4xx' })
  await attempt(500)
  const wrong = await attempt(404)
  const { json } = await refused()
  t.match(json.attempt, { id: wrong, reason: 'status_4xx' })
  for (const query of [
    'state=failed',
    'reason=timeout',
    'outcome=started',
    'statusClass=9',
    'type=**',
    'include=all',
  ]) {
    t.equal((await request('GET', `${path}?${query}`)).status, 422, query)
  }
  const unknown = '00000000-0000-7000-8000-000000000000'
  t.equal((await request('GET', `${path}?endpointId=${unknown}`)).status, 404)
})

t.test('a client that comes back is told what it missed', async (t) => {
  const { open, attempt } = await bundle()
  const first = await open(t)
  await attempt()
  const { id: lastEventId } = await first.next()
  await first.leave()
  const missed = await attempt()
  const { next } = await open(t, { lastEventId })
  const told = await next()
  t.equal(told.event, 'attempt')
  t.equal(told.json.attempt.id, missed)
})

t.test('a client that was away for too long is told of the gap', async (t) => {
  const { open } = await bundle()
  const { next } = await open(t, { lastEventId: String(Date.now() - 3_600_000) })
  t.equal((await next()).event, 'gap')
})

t.test('a stream says where to go on when it begins, and with each heartbeat', async (t) => {
  const { open, attempt } = await bundle({ streamTimes: { heartbeatMs: 50 } })
  const { nextEvent, leave } = await open(t)
  const ids = [(await nextEvent()).id, (await nextEvent()).id]
  t.ok(Number(ids[0]) < Number(ids[1]), String(ids))
  await leave()
  const missed = await attempt()
  for (const lastEventId of ids) {
    const again = await open(t, { lastEventId })
    t.equal((await again.next()).json.attempt.id, missed)
  }
})

t.test('a key that is revoked, or expires, ends its stream', async (t) => {
  const { open, apiKeys, tenantId } = await bundle({ streamTimes: { keyCheckMs: 20 } })
  const values = { name: 'reads', scopes: ['read' as const], tenantId }
  const revoked = await apiKeys.issue(values)
  const expiring = await apiKeys.issue(values)
  const good = await apiKeys.issue(values)
  const [first, second, third] = await Promise.all(
    [revoked, expiring, good].map(({ key }) => open(t, { key })),
  )
  await apiKeys.revoke(revoked.apiKey.id as ApiKeyId, 'test')
  t.match(await first?.next(), { event: 'end', json: { reason: 'key_over' } })
  await pool.query('update postrider.api_key set expires_at = now() where id = $1', [
    expiring.apiKey.id,
  ])
  t.match(await second?.next(), { event: 'end', json: { reason: 'key_over' } })
  await third?.leave()
})

t.test('a tenant with too many streams is told when to come back', async (t) => {
  const { open, request, path } = await bundle()
  const streams = await Promise.all(Array.from({ length: 20 }, () => open(t)))
  const { status, json, headers } = await request('GET', path)
  t.match({ status, code: json.code }, { status: 429, code: 'too_many_streams' })
  t.match(headers.get('retry-after'), /^\d+$/)
  await streams[0]?.leave()
  t.equal((await request('GET', path)).status, 200)
})

t.test('a process that stops ends its streams, and begins none', async (t) => {
  const { open, request, path, liveAttempts } = await bundle()
  const { next } = await open(t)
  liveAttempts.stop()
  t.match(await next(), { event: 'end', json: { reason: 'stopped' } })
  const { status, json, headers } = await request('GET', path)
  t.match({ status, code: json.code }, { status: 503, code: 'no_stream_free' })
  t.match(headers.get('retry-after'), /^\d+$/)
})

t.test(
  'a reader that takes nothing of what is written is over, long before its queue is full',
  async (t) => {
    const { app, path, attempt, liveAttempts } = await bundle({ streamTimes: { takenMsMax: 50 } })
    // A body that nobody pulls, as of a socket that is full.
    const { body } = await app.request(path, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })
    t.teardown(() => body?.cancel())
    t.equal(liveAttempts.readers, 1)
    for (let n = 1; n <= 5; n++) await attempt()
    await noneIsLeft(liveAttempts)
    t.equal(liveAttempts.readers, 0)
  },
)

t.test('so is one that does not take its heartbeats', async (t) => {
  const { app, path, liveAttempts } = await bundle({
    streamTimes: { takenMsMax: 50, heartbeatMs: 10 },
  })
  const { body } = await app.request(path, { headers: { authorization: `Bearer ${ADMIN_KEY}` } })
  t.teardown(() => body?.cancel())
  await noneIsLeft(liveAttempts)
  t.equal(liveAttempts.readers, 0)
})

t.test('a reader that lasts is told to connect again, and misses nothing', async (t) => {
  const { open, attempt, liveAttempts } = await bundle({ streamTimes: { ageMsMax: 300 } })
  const first = await open(t)
  const { id: lastEventId } = await first.nextEvent()
  t.match(await first.next(), { event: 'end', json: { reason: 'max_age' } })
  await noneIsLeft(liveAttempts)
  const missed = await attempt()
  t.equal((await (await open(t, { lastEventId })).next()).json.attempt.id, missed)
})

async function noneIsLeft(liveAttempts: { readers: number }): Promise<void> {
  await untilAnswer(
    async () => liveAttempts.readers,
    (readers) => readers === 0,
  )
}

t.test('a client that reads nothing is disconnected', async (t) => {
  const { app, path, work, tenantId } = await bundle()
  const served = Promise.withResolvers<ServerResponse>()
  const fetch = (request: Request, env?: object) => {
    served.resolve((env as { outgoing: ServerResponse }).outgoing)
    return app.fetch(request, env)
  }
  const http = await startHttp({ app: { fetch }, host: '127.0.0.1', port: 0 })
  t.teardown(http.stop)
  const socket = connect(http.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${ADMIN_KEY}\r\n\r\n`)
  await once(socket, 'readable')
  const closed = once(await served.promise, 'close')
  const { id } = await work.publish()
  // 2,000 answers of 16 KiB: more than the sockets and the queue take.
  await pool.query(
    `insert into postrider.attempt
       (tenant_id, delivery_id, endpoint_id, number, trigger, outcome, response_body, runner, finished_at)
     select $1, $2, $3, n, 'schedule', 'rejected', repeat('x', 16384), 'r', now()
     from generate_series(1, 2000) as n`,
    [tenantId, id, work.endpoint.id],
  )
  await closed
  t.pass('the connection is closed')
})

t.test(
  'what only operators see is in the stream of an operator, and not of a tenant',
  async (t) => {
    const { open, attempt, apiKeys, tenantId } = await bundle()
    const ofTenant = await apiKeys.issue({ name: 'acme', scopes: ['read'], tenantId })
    const [operator, tenant] = [await open(t), await open(t, { key: ofTenant.key })]
    await pool.query(`
    create function public.detail() returns trigger language plpgsql as
      $$ begin new.error_detail := 'tried 10.1.2.3'; return new; end $$;
    create trigger detail before update on postrider.attempt for each row execute function public.detail()`)
    t.teardown(() => pool.query('drop trigger detail on postrider.attempt'))
    await attempt(500)
    t.match((await operator.next()).json.attempt, { errorDetail: 'tried 10.1.2.3' })
    t.match((await tenant.next()).json.attempt, { errorDetail: null })
  },
)
