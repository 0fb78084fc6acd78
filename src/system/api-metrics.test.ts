import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

/** A real API and a real runner on one database, a tenant with an endpoint for invoices. */
async function bundle(t: Parameters<typeof startService>[0]) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint(
    { url: receiver.url, event_types: ['invoice.*'] },
    secretBox.encrypt,
  )
  const env = { DATABASE_URL: url, RETRY_SCHEDULE: '0.1' }
  const api = await startService(t, 'api', env)
  const runner = await startService(t, 'runner', env)
  const probes = String((await runner.line('runner.probed'))['url'])
  const publish = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const response = await fetch(`${api.url}${path}`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer test-admin-key',
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(body),
    })
    return { status: response.status, json: (await response.json()) as { id: string } }
  }
  return { receiver, tenant, endpoint, api, runner, probes, publish }
}

const scrape = async (base: string) => {
  const response = await fetch(`${base}/metrics`)
  return await response.text()
}

/** The value of one series, written as in the exposition; NaN when there is none. */
function shownIn(text: string, series: string): number {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `))
  return Number(line?.slice(series.length + 1) ?? Number.NaN)
}

/** Resolves when the runner has logged so many attempts that led to this. */
async function attempted(runner: Service, verdict: string, count: number) {
  const seen = new Set<unknown>()
  while (seen.size < count) {
    const line = await runner.line(
      'delivery.attempted',
      (line) => line['verdict'] === verdict && !seen.has(line['attemptId']),
    )
    seen.add(line['attemptId'])
  }
}

t.test('what happens in two processes is in the metrics of the one that did it', async (t) => {
  const { receiver, tenant, endpoint, api, runner, probes, publish } = await bundle(t)
  const event = { tenant: tenant.key, type: 'invoice.paid', data: { n: 1 } }
  receiver.answerWith((_, n) => (n === 1 ? 500 : 200))
  const key = { 'idempotency-key': 'once' }
  t.equal((await publish('/api/events', event, key)).status, 202)
  t.match(await publish('/api/events', event, key), { status: 202, json: { duplicate: true } })
  await attempted(runner, 'pending', 1)
  await attempted(runner, 'delivered', 1)
  await publish('/api/events/batch', { events: [event, event, event] })
  await attempted(runner, 'delivered', 4)
  receiver.answerWith(() => 500)
  const last = await publish('/api/events', event)
  await attempted(runner, 'failed', 1)
  t.equal((await publish('/api/events', { ...event, data: null })).status, 422)

  const ofApi = await scrape(api.url)
  for (const [series, value] of [
    ['postrider_events_accepted_total{duplicate="false"}', 5],
    ['postrider_events_accepted_total{duplicate="true"}', 1],
    ['postrider_publish_seconds_count{request="event"}', 3],
    ['postrider_publish_seconds_count{request="batch"}', 1],
    ['postrider_http_requests_total{method="POST",route="/api/events",status="202"}', 3],
    ['postrider_http_requests_total{method="POST",route="/api/events",status="422"}', 1],
  ] as const) {
    t.equal(shownIn(ofApi, series), value, series)
  }
  t.ok(shownIn(ofApi, 'postrider_pool_connections{pool="publish",state="total"}') > 0)

  const ofRunner = await scrape(probes)
  for (const [series, value] of [
    ['postrider_attempts_total{outcome="delivered",reason="none"}', 4],
    ['postrider_attempts_total{outcome="rejected",reason="status_5xx"}', 3],
    ['postrider_attempt_seconds_count{outcome="delivered"}', 4],
    ['postrider_attempt_seconds_count{outcome="rejected"}', 3],
    ['postrider_deliveries_settled_total{state="delivered"}', 4],
    ['postrider_deliveries_settled_total{state="pending"}', 2],
    ['postrider_deliveries_settled_total{state="failed"}', 1],
    ['postrider_delivery_age_seconds_count', 4],
    ['postrider_retries_total', 2],
  ] as const) {
    t.equal(shownIn(ofRunner, series), value, series)
  }
  t.ok(shownIn(ofRunner, 'postrider_pool_connections{pool="runner",state="total"}') > 0)
  t.ok(shownIn(ofRunner, 'postrider_pool_connections{pool="worker",state="total"}') > 0)

  for (const text of [ofApi, ofRunner]) {
    t.equal(shownIn(text, 'postrider_database_up'), 1)
    t.equal(shownIn(text, 'postrider_jobs{task="deliver",state="ready"}'), 0)
    t.equal(shownIn(text, 'postrider_oldest_due_seconds{task="deliver"}'), 0)
    t.equal(shownIn(text, 'postrider_runners{state="live"}'), 1)
    t.equal(shownIn(text, 'postrider_circuits{state="counting"}'), 1)
    t.equal(shownIn(text, 'postrider_redis_degraded'), 0)
    t.ok(shownIn(text, 'nodejs_eventloop_lag_p99_seconds') >= 0)
    t.match(text, /^postrider_build_info\{version="[^"]+",node="[\d.]+"\} 1$/m)
    for (const unbounded of [tenant.key, tenant.id, endpoint.id, last.json.id, receiver.url]) {
      t.notMatch(text, unbounded, 'labels are words of ours')
    }
  }
})

t.test('the metrics of an API have a separate port where one is set', async (t) => {
  const api = await startService(t, 'api', { DATABASE_URL: url, METRICS_PORT: '0' })
  const own = String((await api.line('metrics.served'))['url'])
  t.not(own, api.url)
  t.match(await scrape(own), /^postrider_database_up 1$/m)
  t.equal((await fetch(`${own}/ready`)).status, 200)
  t.equal((await fetch(`${own}/live`)).status, 200)
  t.equal((await fetch(`${own}/api/tenants`)).status, 404, 'and nothing else is there')
  t.equal((await fetch(`${own}/console/sign-in`)).status, 404)
  for (const method of ['GET', 'HEAD', 'POST']) {
    const { status } = await fetch(`${api.url}/metrics`, { method })
    t.equal(status, 404, `${method} where everybody comes`)
  }
  t.notMatch(await (await fetch(`${api.url}/openapi.json`)).text(), '/metrics')
  t.equal((await fetch(`${api.url}/ready`)).status, 200)
  t.equal(await api.stop(), 0)
  await t.rejects(fetch(`${own}/live`))
})

t.test('a port of metrics that is taken is named', async (t) => {
  const other = await startService(t, 'api', { DATABASE_URL: url })
  const METRICS_PORT = new URL(other.url).port
  const started = startService(t, 'api', { DATABASE_URL: url, METRICS_PORT })
  await t.rejects(started, { message: /ended with 78 .*METRICS_PORT \d+ is in use/s })
})
