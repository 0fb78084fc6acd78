import t from 'tap'
import { createMetrics } from './metrics.ts'

const render = async (metrics: ReturnType<typeof createMetrics>) => (await metrics.render()).text

t.test('counts what happened, in the format of Prometheus', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  metrics.eventsAccepted('event', [{ duplicate: false }], 0.004)
  metrics.eventsAccepted('batch', [{ duplicate: false }, { duplicate: true }], 0.3)
  metrics.requestAnswered({ method: 'POST', route: '/api/events', status: 202 })
  metrics.attemptEnded({
    outcome: 'rejected',
    reason: 'status_5xx',
    verdict: 'pending',
    number: 1,
    seconds: 0.2,
    ageSeconds: 0.3,
  })
  metrics.attemptEnded({
    outcome: 'delivered',
    reason: null,
    verdict: 'delivered',
    number: 2,
    seconds: 0.1,
    ageSeconds: 61,
  })
  metrics.batchEnded({ outcome: 'delivered', events: 40 })
  metrics.jobSnoozed()
  const text = await render(metrics)
  for (const line of [
    /^postrider_build_info\{version="1\.2\.3",node="[\d.]+"\} 1$/m,
    /^postrider_events_accepted_total\{duplicate="false"\} 2$/m,
    /^postrider_events_accepted_total\{duplicate="true"\} 1$/m,
    /^postrider_publish_seconds_bucket\{le="0\.005",request="event"\} 1$/m,
    /^postrider_publish_seconds_count\{request="batch"\} 1$/m,
    /^postrider_http_requests_total\{method="POST",route="\/api\/events",status="202"\} 1$/m,
    /^postrider_attempts_total\{outcome="rejected",reason="status_5xx"\} 1$/m,
    /^postrider_attempts_total\{outcome="delivered",reason="none"\} 1$/m,
    /^postrider_deliveries_settled_total\{state="pending"\} 1$/m,
    /^postrider_retries_total 1$/m,
    /^postrider_snoozes_total 1$/m,
    /^postrider_batch_events_bucket\{le="20",outcome="delivered"\} 0$/m,
    /^postrider_batch_events_bucket\{le="50",outcome="delivered"\} 1$/m,
    /^postrider_batch_events_sum\{outcome="delivered"\} 40$/m,
    /^postrider_delivery_age_seconds_count 1$/m,
    /^nodejs_eventloop_lag_seconds /m,
  ]) {
    t.match(text, line)
  }
})

t.test('reads pools and Redis when it is scraped', async (t) => {
  const metrics = createMetrics({ version: '1' })
  const pool = { totalCount: 3, idleCount: 1, waitingCount: 2 }
  const redis = { state: 'ok' as 'ok' | 'degraded' }
  metrics.watchPool('api', pool)
  metrics.watchRedis(redis)
  t.match(await render(metrics), /^postrider_pool_connections\{pool="api",state="waiting"\} 2$/m)
  t.match(await render(metrics), /^postrider_redis_degraded 0$/m)
  pool.waitingCount = 0
  redis.state = 'degraded'
  t.match(await render(metrics), /^postrider_pool_connections\{pool="api",state="waiting"\} 0$/m)
  t.match(await render(metrics), /^postrider_redis_degraded 1$/m)
})

t.test('two sets do not share their counts', async (t) => {
  const [one, other] = [createMetrics({ version: '1' }), createMetrics({ version: '1' })]
  one.jobSnoozed()
  t.match(await render(other), /^postrider_snoozes_total 0$/m)
})
