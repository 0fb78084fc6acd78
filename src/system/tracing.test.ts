import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { type Receiver, startReceiver } from '../testing/servers/receiver.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const PRODUCER_SPAN = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE_ID}-${PRODUCER_SPAN}-01`

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  kind: number
  status: { code?: number; message?: string }
  attributes: { key: string; value: Record<string, unknown> }[]
}

/** All spans that were sent, read as a collector reads them, with the name of their service. */
function spansAt(collector: Receiver): (Span & { service: unknown })[] {
  return collector.requests.flatMap(({ path, body }) => {
    if (path !== '/v1/traces') throw new Error(`a collector has no ${path}`)
    return JSON.parse(body).resourceSpans.flatMap(
      (of: { resource: { attributes: Span['attributes'] }; scopeSpans: { spans: Span[] }[] }) => {
        const name = of.resource.attributes.find(({ key }) => key === 'service.name')
        const service = name?.value['stringValue']
        return of.scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })))
      },
    )
  })
}

const startTraced = (
  t: Parameters<typeof startService>[0],
  command: 'api' | 'runner',
  collector?: Receiver,
) =>
  startService(t, command, {
    DATABASE_URL: url,
    RETRY_SCHEDULE: '0.1',
    OTEL_SERVICE_NAME: `my-${command}`,
    ...(collector && { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }),
  })

/** An API and a runner whose spans go to a collector, if there is one, and a tenant with a receiver. */
async function bundle(t: Parameters<typeof startService>[0], collector?: Receiver) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: `${receiver.url}/secret-path` }, secretBox.encrypt)
  const [api, runner] = await Promise.all([
    startTraced(t, 'api', collector),
    startTraced(t, 'runner', collector),
  ])
  const event = { tenant: tenant.key, type: 'invoice.paid', data: { a: 1 } }
  const publish = (headers: Record<string, string>, path = '/api/events', body: object = event) =>
    publishTo(api, headers, path, body)
  return { receiver, tenant, api, runner, publish }
}

const publishTo = (api: Service, headers: Record<string, string>, path: string, body: object) =>
  fetch(`${api.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer test-admin-key',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  })

const stop = (...services: Service[]) => Promise.all(services.map((service) => service.stop()))

const TRACED = { traceparent: TRACEPARENT, tracestate: 'vendor=1', baggage: 'user=7' }

const NOT_SAMPLED = '1bf7651916cd43dd8448eb211c80319d'

t.test('with a collector', async (t) => {
  const collector = await startReceiver()
  t.teardown(() => collector.close())
  const { receiver, tenant, api, runner, publish } = await bundle(t, collector)
  receiver.answerWith((_, n) => (n === 1 ? 500 : 200))
  t.equal((await publish(TRACED)).status, 202)
  const requests = await receiver.received(2)
  await runner.line('delivery.attempted', (line) => line['outcome'] === 'delivered')

  await publish({ traceparent: `00-${NOT_SAMPLED}-${PRODUCER_SPAN}-00` })
  const [, , unsampled] = await receiver.received(3)
  const event = { tenant: tenant.key, type: 'a.b', data: 1 }
  await publish({}, '/api/events/batch', { events: [event, event] })
  await receiver.received(5)
  await publish({}, '/api/events', { ...event, tenant: 'nobody' })
  const seen = new Set<unknown>()
  for (let n = 0; n < 5; n++) {
    const line = await runner.line('delivery.attempted', (line) => !seen.has(line['attemptId']))
    seen.add(line['attemptId'])
  }
  await stop(api, runner)
  const all = spansAt(collector)

  t.test("spans of two processes continue the producer's trace up to the receiver", async (t) => {
    const spans = all.filter(({ traceId }) => traceId === TRACE_ID)
    const named = (name: string) => spans.filter((span) => span.name === name)
    const [published] = named('publish')
    const [rejected, delivered] = named('attempt')
    const [first, second] = named('request')
    t.match(published, { parentSpanId: PRODUCER_SPAN, service: 'my-api' })
    t.match(rejected, {
      parentSpanId: published?.spanId,
      service: 'my-runner',
      status: { code: 2, message: 'rejected' },
    })
    t.match(delivered, { parentSpanId: published?.spanId, status: {} })
    t.match(first, {
      parentSpanId: rejected?.spanId,
      attributes: [
        { key: 'http.request.method' },
        { key: 'server.address', value: { stringValue: `127.0.0.1:${receiver.port}` } },
        { key: 'http.response.status_code', value: { intValue: 500 } },
      ],
    })
    t.equal(second?.parentSpanId, delivered?.spanId)
    t.strictSame(
      requests.map(({ headers }) => headers['traceparent']),
      [first, second].map((span) => `00-${TRACE_ID}-${span?.spanId}-01`),
      'the receiver goes on below the request',
    )
    for (const { headers } of requests) {
      t.notOk(
        'tracestate' in headers || 'baggage' in headers,
        'what is meant for the producer stays',
      )
    }
    const told = JSON.stringify(all)
    t.notMatch(told, /secret-path|test-admin-key|whsec_/, 'no URL, no key, no secret in a span')
  })

  t.test(
    'a producer that traces nothing begins a trace, and one that samples not is followed',
    async (t) => {
      t.match(unsampled?.headers['traceparent'], new RegExp(`^00-${NOT_SAMPLED}-[0-9a-f]{16}-00$`))
      t.notOk(all.some(({ traceId }) => traceId === NOT_SAMPLED))
      const others = all.filter(({ traceId }) => traceId !== TRACE_ID)
      t.match(
        others.filter(({ parentSpanId }) => !parentSpanId),
        [
          {
            name: 'publish',
            attributes: [{ value: { stringValue: 'batch' } }, { value: { intValue: 2 } }],
          },
          { name: 'publish', status: { code: 2, message: 'tenant_not_found' } },
        ],
      )
      t.equal(others.filter(({ name }) => name === 'request').length, 2)
    },
  )
})

t.test('without a receiver of spans the trace reaches receivers anyway', async (t) => {
  const { receiver, tenant, api, runner, publish } = await bundle(t)
  await publish(TRACED)
  const [overHttp] = await receiver.received(1)
  t.equal(overHttp?.headers['traceparent'], TRACEPARENT)
  t.notOk('tracestate' in (overHttp?.headers ?? {}))
  await pool.query(
    `select set_config('postrider.traceparent', $2, true), postrider.publish($1, 'a.b', '1')`,
    [tenant.key, TRACEPARENT],
  )
  const [, inSql] = await receiver.received(2)
  t.equal(inSql?.headers['traceparent'], TRACEPARENT)
  await tenant.publish()
  const [, , untraced] = await receiver.received(3)
  t.notOk('traceparent' in (untraced?.headers ?? {}))
  await stop(api, runner)
})

t.test('a collector that is away holds nothing up, not even the end', async (t) => {
  const collector = await startReceiver()
  await collector.close()
  const { receiver, api, runner, publish } = await bundle(t, collector)
  t.equal((await publish(TRACED)).status, 202)
  await receiver.received(1)
  t.strictSame(await stop(api, runner), [0, 0])
})

t.test('a collector that refuses spans is told of once', async (t) => {
  const collector = await startReceiver({ answer: () => 400 })
  t.teardown(() => collector.close())
  const api = await startTraced(t, 'api', collector)
  const { key } = await createTenant(pool)
  const publish = () => publishTo(api, TRACED, '/api/events', { tenant: key, type: 'a.b', data: 1 })
  await publish()
  await api.line('traces.lost')
  await publish()
  await stop(api)
  t.equal(api.lines.filter(({ msg }) => msg === 'traces.lost').length, 1)
})
