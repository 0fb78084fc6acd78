import t, { type Test } from 'tap'
import { createMetrics } from '../../metrics.ts'
import { connectRedis } from '../../redis/redis.ts'
import { startRunner } from '../../runner/runner.ts'
import { parseCidrs } from '../../sending/egress.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { captureLog } from '../../testing/log-lines.ts'
import { startPostgresProxy } from '../../testing/servers/postgres-proxy.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'

const { pool, url } = await createTestDatabase(t)

/** Longer than any test. */
const LONG_MS = 600_000
/** The first try is over later than this. */
const NO_TIME_MS = -1

/** A runner that has sent an event whose answer is still to come, and that may lose its database. */
async function bundle(t: Test, { outageMsMax }: { outageMsMax: number }) {
  const answer = Promise.withResolvers<number>()
  const receiver = await startReceiver({ answer: (_, n) => (n === 1 ? answer.promise : 200) })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url })
  const proxy = await startPostgresProxy(t, url)
  const { log, line } = captureLog()
  const redis = await connectRedis({ url: undefined, log })
  const runner = await startRunner({
    connectionString: proxy.url,
    concurrency: 5,
    allow: parseCidrs('127.0.0.0/8'),
    retrySchedule: [60],
    timeoutMs: LONG_MS,
    shutdownMs: 5_000,
    disableAfterSeconds: 86_400,
    outageMsMax,
    retentionDays: 30,
    decryptSecret: (secret) => secret,
    linkOf: ({ eventId }) => `https://example.com/${eventId}`,
    metrics: createMetrics({ version: '0.0.0-test' }),
    tracing: null,
    redis,
    log,
  })
  t.teardown(() => runner.stop())
  const eventId = await tenant.publish()
  await receiver.received(1)

  const outcomes = async () => {
    const { rows } = await pool.query<{ outcome: string }>(
      'select outcome from postrider.attempt where tenant_id = $1 order by number',
      [tenant.id],
    )
    return rows.map(({ outcome }) => outcome)
  }
  const atRest = () =>
    untilHolds(
      pool,
      `select not exists (select from postrider.delivery where tenant_id = $1 and finished_at is null)
         and not exists (select from graphile_worker.jobs where task_identifier = 'deliver') as holds`,
      [tenant.id],
    )
  return { answer, receiver, proxy, runner, eventId, line, outcomes, atRest }
}

t.test('what a receiver has answered is kept while the database is away', async (t) => {
  const { answer, receiver, proxy, runner, line, outcomes, atRest } = await bundle(t, {
    outageMsMax: LONG_MS,
  })
  proxy.cut()
  answer.resolve(200)
  await line('database.retried', ({ step }) => step === 'finish')
  proxy.mend()
  await atRest()
  t.same(await outcomes(), ['delivered'])
  t.equal(receiver.requests.length, 1)
  await runner.stop()
  await runner.ended
})

t.test('after an outage that was too long for that, it is sent again and explained', async (t) => {
  const { answer, receiver, proxy, runner, eventId, line, outcomes, atRest } = await bundle(t, {
    outageMsMax: NO_TIME_MS,
  })
  proxy.cut()
  answer.resolve(200)
  // The outcome is gone; from now on the runner tries to give the job back, for as long as it takes.
  await line('runner.worker_said', ({ detail }) => /^Failed task/.test(String(detail)))
  proxy.mend()
  const [first, again] = await receiver.received(2, 60_000)
  await atRest()
  t.same(
    [first, again].map((request) => request?.headers['webhook-id']),
    [eventId, eventId],
  )
  t.same(await outcomes(), ['abandoned', 'delivered'])
  t.equal(receiver.requests.length, 2)
  await runner.stop()
  await runner.ended
})
