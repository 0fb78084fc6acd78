import t, { type Test } from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant, type TestTenant } from '../../testing/data/tenant.ts'
import { type AnswerWith, startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const CONCURRENCY = 10
/** What it works on, and as much that it has fetched. */
const IN_THE_RUNNER = 2 * CONCURRENCY
/** Of each tenant, see sql/functions/queue/job_priority.sql. */
const LINE_SHARE = 1_000
const SECONDS = 1_000

async function tenantWithReceiver(t: Test, answer: AnswerWith = () => 200) {
  const receiver = await startReceiver({ answer })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  return { tenant, receiver }
}

const publishMany = (tenant: TestTenant, count: number) =>
  pool.query(
    `select count(*) from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n)) from generate_series(1, $2::int) n))`,
    [tenant.key, count],
  )

/** A tenant whose every delivery makes it publish two more, until it has published so many: no runner keeps up. */
async function busyTenant(t: Test, options: { first: number; most: number }) {
  let published = options.first
  const { tenant, receiver } = await tenantWithReceiver(t, async () => {
    const more = Math.min(2, options.most - published)
    published += more
    if (more > 0) await publishMany(tenant, more)
    return 200
  })
  await publishMany(tenant, options.first)
  return { tenant, receiver }
}

const startRunner = (t: Test) =>
  startService(t, 'runner', {
    DATABASE_URL: url,
    RUNNER_CONCURRENCY: String(CONCURRENCY),
    RETRY_SCHEDULE: '0.2,3600',
    LOG_LEVEL: 'info',
  })

const settled = (tenant: TestTenant) =>
  untilHolds(
    pool,
    'select count(*) = 0 as holds from postrider.delivery where tenant_id = $1 and finished_at is null',
    [tenant.id],
  )

const after = <Arrived extends { receivedAt: Date }>(requests: Arrived[], time: Date | undefined) =>
  requests.filter(({ receivedAt }) => time && receivedAt >= time)
const before = <Arrived extends { receivedAt: Date }>(
  requests: Arrived[],
  time: Date | undefined,
) => requests.filter(({ receivedAt }) => time && receivedAt < time)

/** Before all that the others have. */
const dueAnHourAgo = (tenant: TestTenant) =>
  pool.query(
    `update graphile_worker._private_jobs set run_at = now() - interval '1 hour'
     where key in (select 'd:' || id from postrider.delivery where tenant_id = $1)`,
    [tenant.id],
  )

/** A tenant whose first request fails, and whose retry is due while everybody else is busy. */
async function tenantWithRetry(t: Test) {
  const { tenant, receiver } = await tenantWithReceiver(t, (_, n) => (n === 1 ? 503 : 200))
  await tenant.publish()
  await dueAnHourAgo(tenant)
  /** When the retry was due, and when it came. */
  const retry = async () => {
    const [, retried] = await receiver.received(2, 60 * SECONDS)
    const { rows } = await pool.query<{ id: string; due: Date }>(
      `select d.id, a.finished_at + interval '0.25 s' as due
       from postrider.delivery d join postrider.attempt a on a.delivery_id = d.id and a.number = 1
       where d.tenant_id = $1`,
      [tenant.id],
    )
    return { id: rows[0]?.id, due: rows[0]?.due, arrived: retried?.receivedAt }
  }
  return { tenant, receiver, retry }
}

t.test(
  'with more due than capacity nobody who became due later is sent before a retry, nor anybody before one that a person asks for',
  async (t) => {
    const others = [
      await busyTenant(t, { first: 200, most: 400 }),
      await busyTenant(t, { first: 200, most: 400 }),
      await busyTenant(t, { first: 200, most: 400 }),
    ]
    const arrivals = () => others.flatMap(({ receiver }) => receiver.requests)
    const waiting = await tenantWithRetry(t)
    const runner = await startRunner(t)
    const { id, due, arrived } = await waiting.retry()
    const overtook = before(arrivals(), arrived).filter(
      ({ body }) => due && new Date(JSON.parse(body).timestamp) > due,
    )
    t.ok(overtook.length <= IN_THE_RUNNER, `${overtook.length} overtook the retry`)

    await untilHolds(pool, 'select claim is null as holds from postrider.delivery where id = $1', [
      id,
    ])
    await pool.query('select postrider.retry_now($1)', [id])
    // Not from before the statement, which takes as long as the busy server needs.
    const askedAt = new Date()
    const [, , asked] = await waiting.receiver.received(3, 60 * SECONDS)
    const ahead = before(after(arrivals(), askedAt), asked?.receivedAt).length
    t.ok(ahead <= 2 * IN_THE_RUNNER, `${ahead} came before the one that a person had asked for`)
    t.ok(arrivals().length < 1_200, 'more was due all the time')

    for (const { tenant } of others) await settled(tenant)
    t.equal(arrivals().length, 1_200, 'nobody waits for ever')
    await runner.stop()
  },
)

t.test(
  'a retry waits for a share of each busy tenant, and the smaller of them not for all of the larger',
  async (t) => {
    const large = await busyTenant(t, { first: 1_600, most: 2_600 })
    const small = await tenantWithReceiver(t)
    await publishMany(small.tenant, 1_050)
    const waiting = await tenantWithRetry(t)
    const runner = await startRunner(t)
    const { due, arrived } = await waiting.retry()
    for (const { receiver } of [large, small]) {
      const meanwhile = before(after(receiver.requests, due), arrived).length
      t.ok(meanwhile <= LINE_SHARE + IN_THE_RUNNER, `${meanwhile} of a busy tenant came first`)
    }
    await small.receiver.received(1_050, 60 * SECONDS)
    const ofLarge = large.receiver.requests.length
    t.ok(ofLarge < 2_600, `${ofLarge} of the large tenant came before the last of the small one`)
    await settled(large.tenant)
    t.equal(large.receiver.requests.length, 2_600, 'nobody waits for ever')
    await runner.stop()
  },
)

/** A tenant whose every delivery makes it ask for two more of its retries, each alone, until it is told to stop. */
async function retryingTenant(t: Test) {
  const ids: string[] = []
  let isAsking = true
  const retryNext = async () => {
    const next = ids.shift()
    if (next === undefined || !isAsking) return
    ids.push(next)
    // One that is being sent is refused.
    await pool.query('select postrider.retry_now($1)', [next]).catch(() => undefined)
  }
  const { tenant, receiver } = await tenantWithReceiver(t, async () => {
    await retryNext()
    await retryNext()
    return 200
  })
  await publishMany(tenant, 300)
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.delivery where tenant_id = $1',
    [tenant.id],
  )
  ids.push(...rows.map(({ id }) => id))
  const stop = () => {
    isAsking = false
  }
  return { tenant, receiver, stop }
}

// Each retry goes first, and this script asked for the next ones before that: nobody else was ever sent anything.
t.test('others are sent while a script asks for more retries than can be sent', async (t) => {
  const script = await retryingTenant(t)
  const other = await tenantWithReceiver(t)
  const runner = await startRunner(t)
  await script.receiver.received(600)
  await publishMany(other.tenant, 5)
  await dueAnHourAgo(other.tenant)
  t.equal((await other.receiver.received(5)).length, 5)
  script.stop()
  await settled(script.tenant)
  await runner.stop()
})
