import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant, type TestTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase, startDebianPostgres } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const FAST_RETRIES = { DATABASE_URL: url, RETRY_SCHEDULE: '0.2,0.2,0.2', LOG_LEVEL: 'info' }

async function bundle(t: Parameters<typeof startService>[0]) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  return { receiver, tenant, endpoint }
}

const publishMany = (tenant: TestTenant, count: number) =>
  pool.query(
    `select count(*) from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', json_build_object('n', n)))
       from generate_series(1, $2::int) as n))`,
    [tenant.key, count],
  )

/** Resolves when no delivery of the tenant is open. */
const settled = (tenant: TestTenant) =>
  untilHolds(
    pool,
    'select count(*) = 0 as holds from postrider.delivery where tenant_id = $1 and finished_at is null',
    [tenant.id],
  )

/** An endpoint begins with so many, however many places the runner has. */
const PLACES_AT_FIRST = 4

const lockedJobs = async () =>
  (
    await pool.query(
      'select count(*)::int as locked from graphile_worker._private_jobs where locked_at is not null',
    )
  ).rows[0].locked

t.test('one runner', async (t) => {
  const runner = await startService(t, 'runner', { ...FAST_RETRIES, RUNNER_PORT: '0' })

  t.test('it answers its probes and shows what it did', async (t) => {
    const { receiver, tenant } = await bundle(t)
    const probed = await runner.line('runner.probed')
    await tenant.publish()
    await receiver.received(1)
    await settled(tenant)
    const get = async (path: string) => {
      const response = await fetch(`${probed['url']}${path}`)
      return { status: response.status, text: await response.text() }
    }
    t.match(await get('/live'), { status: 200 })
    t.match(await get('/ready'), { status: 200, text: /"listening":"yes"/ })
    t.match(
      (await get('/metrics')).text,
      /^postrider_attempts_total\{outcome="delivered",reason="none"\} 1$/m,
    )
  })

  t.test(
    'an event is delivered, signed so that the receiver can verify it, once it is committed',
    async (t) => {
      const { receiver, tenant, endpoint } = await bundle(t)
      const producer = await pool.connect()
      await producer.query('begin')
      await producer.query('select postrider.publish($1, $2, $3)', [tenant.key, 'not.this', '{}'])
      await producer.query('rollback')
      await producer.query('begin')
      await producer.query('select postrider.publish($1, $2, $3)', [
        tenant.key,
        'invoice.paid',
        '{"b": 12345678901234567890.10, "a": 1}',
      ])
      t.equal(receiver.requests.length, 0)
      await producer.query('commit')
      producer.release()

      const [request] = await receiver.received(1)
      t.match(request?.body, /"data":\{"b": 12345678901234567890\.10, "a": 1\}\}$/)
      new Webhook(endpoint.secret).verify(
        request?.body ?? '',
        request?.headers as Record<string, string>,
      )
      await settled(tenant)
      t.equal(receiver.requests.length, 1)
    },
  )

  t.test('during a rotation either secret verifies', async (t) => {
    const { receiver, tenant, endpoint } = await bundle(t)
    const secrets = [endpoint.secret, await tenant.addSecret(endpoint.id, secretBox.encrypt)]
    await tenant.publish()
    const [request] = await receiver.received(1)
    t.equal(request?.headers['webhook-signature']?.toString().split(' ').length, 2)
    for (const secret of secrets) {
      new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>)
    }
  })

  t.test(
    'a receiver that is down gets the same event again, with the same id, until it answers',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      receiver.answerWith((_, n) => ({ status: n < 3 ? 503 : 204 }))
      const eventId = await tenant.publish()
      const requests = await receiver.received(3)
      t.same(new Set(requests.map(({ headers }) => headers['webhook-id'])), new Set([eventId]))
      t.equal(new Set(requests.map(({ body }) => body)).size, 1)
      await settled(tenant)
      const { rows } = await pool.query(
        `select number, outcome, status_code, runner from postrider.attempt where tenant_id = $1 order by number`,
        [tenant.id],
      )
      t.match(rows, [
        { number: 1, outcome: 'rejected', status_code: 503 },
        { number: 2, outcome: 'rejected', status_code: 503 },
        { number: 3, outcome: 'delivered', status_code: 204 },
      ])
    },
  )

  t.test('stops in order', async (t) => t.equal(await runner.stop(), 0))
})

t.test('a delivery ends as failed once the schedule is used up', async (t) => {
  const { receiver, tenant } = await bundle(t)
  receiver.answerWith(() => ({ status: 500 }))
  const runner = await startService(t, 'runner', { ...FAST_RETRIES, RETRY_SCHEDULE: '0,0' })
  await tenant.publish()
  await settled(tenant)
  t.equal(receiver.requests.length, 3)
  const { rows } = await pool.query(
    'select state, attempt_count from postrider.delivery where tenant_id = $1',
    [tenant.id],
  )
  t.same(rows, [{ state: 'failed', attempt_count: 3 }])
  await runner.stop()
})

if (isLong)
  t.test(
    'three runners deliver 600 events of which a tenth fails at first, none twice at once',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      const seen = new Map<string, { now: number; most: number; count: number }>()
      receiver.answerWith(async ({ headers }) => {
        const id = String(headers['webhook-id'])
        const one = seen.get(id) ?? { now: 0, most: 0, count: 0 }
        seen.set(id, one)
        one.count += 1
        one.now += 1
        one.most = Math.max(one.most, one.now)
        await new Promise(setImmediate)
        one.now -= 1
        return {
          status: one.count === 1 && Number.parseInt(id.slice(-1), 16) % 10 === 0 ? 500 : 200,
        }
      })
      const runners = await Promise.all(
        Array.from({ length: 3 }, () =>
          startService(t, 'runner', { ...FAST_RETRIES, LOG_LEVEL: 'info' }),
        ),
      )
      for (let i = 0; i < 4; i++) await publishMany(tenant, 150)
      await settled(tenant)

      const { rows } = await pool.query(
        `select count(distinct d.id)::int as deliveries, count(distinct d.id) filter (where d.state = 'delivered')::int as delivered,
       count(a.id)::int as attempts, count(distinct a.runner)::int as runners
     from postrider.delivery d join postrider.attempt a on a.delivery_id = d.id where d.tenant_id = $1`,
        [tenant.id],
      )
      t.match(rows, [{ deliveries: 600, delivered: 600, attempts: receiver.requests.length }])
      t.ok(rows[0].runners > 1, 'two may be quick enough to leave the third nothing')
      t.ok(receiver.requests.length > 630, 'a tenth was tried again')
      t.equal(Math.max(...[...seen.values()].map(({ most }) => most)), 1)
      t.same(await Promise.all(runners.map((runner) => runner.stop())), [0, 0, 0])
      t.equal(await lockedJobs(), 0)
    },
  )

t.test('a busy runner that is told to stop hands everything back', async (t) => {
  const { receiver, tenant } = await bundle(t)
  const gate = Promise.withResolvers<void>()
  receiver.answerWith(async () => {
    await gate.promise
    return { status: 200 }
  })
  const runner = await startService(t, 'runner', FAST_RETRIES)
  await publishMany(tenant, 300)
  await receiver.received(PLACES_AT_FIRST)
  const stopped = runner.stop()
  gate.resolve()
  t.equal(await stopped, 0)
  t.equal(await lockedJobs(), 0)
  const { rows } = await pool.query(
    `select count(*) filter (where d.state = 'delivering')::int as cut, count(*) filter (where a.outcome = 'started')::int as started
     from postrider.delivery d left join postrider.attempt a on a.delivery_id = d.id where d.tenant_id = $1`,
    [tenant.id],
  )
  t.same(rows, [{ cut: 0, started: 0 }])

  const next = await startService(t, 'runner', FAST_RETRIES)
  await settled(tenant)
  t.equal(receiver.requests.length, 300, 'nothing was lost and nothing sent twice')
  await next.stop()
})

if (isLong)
  t.test(
    'an attempt that outlasts the shutdown is written as interrupted and made again',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      receiver.answerWith((_, n) => (n === 1 ? new Promise(() => undefined) : { status: 200 }))
      const runner = await startService(t, 'runner', {
        ...FAST_RETRIES,
        DELIVERY_TIMEOUT_SECONDS: '60',
        SHUTDOWN_SECONDS: '1',
      })
      const eventId = await tenant.publish()
      await receiver.received(1)
      t.equal(await runner.stop(), 0)
      t.equal(await lockedJobs(), 0)
      const next = await startService(t, 'runner', FAST_RETRIES)
      const [, again] = await receiver.received(2)
      t.equal(again?.headers['webhook-id'], eventId)
      await settled(tenant)
      const { rows } = await pool.query(
        'select outcome from postrider.attempt where tenant_id = $1 order by number',
        [tenant.id],
      )
      t.same(rows, [{ outcome: 'interrupted' }, { outcome: 'delivered' }])
      await next.stop()
    },
  )

t.test('a killed runner loses nothing: its work starts again on another', async (t) => {
  const { receiver, tenant } = await bundle(t)
  // Nobody is answered before: after a second without an answer a runner sends one more, and how many it has sent by
  // the time that the other one has started depends on the machine.
  const killed = Promise.withResolvers<void>()
  receiver.answerWith(async () => {
    await killed.promise
    return { status: 200 }
  })
  const env = { ...FAST_RETRIES, DELIVERY_TIMEOUT_SECONDS: '60' }
  const victim = await startService(t, 'runner', env)
  await publishMany(tenant, 10)
  await receiver.received(PLACES_AT_FIRST)
  const heir = await startService(t, 'runner', env)
  t.equal(await victim.stop('SIGKILL'), 'SIGKILL')
  killed.resolve()
  await settled(tenant)
  const { rows } = await pool.query(
    `select outcome, runner, count(*)::int from postrider.attempt where tenant_id = $1 group by 1, 2 order by 1`,
    [tenant.id],
  )
  t.match(rows, [{ outcome: 'abandoned' }, { outcome: 'delivered', count: 10 }])
  t.equal(rows.length, 2)
  t.ok(rows[0].count >= PLACES_AT_FIRST, `${rows[0].count} were cut off`)
  t.not(rows[0].runner, rows[1].runner)
  await heir.stop()
})

/** Not since the first attempt: on a busy machine that is late, and the others are not. */
const SECONDS_SINCE_PUBLISHED = `extract(epoch from max(started_at) - (
    select min(e.created_at) from postrider.event e where e.tenant_id = $1
  ))::float8 as seconds`

if (isLong)
  t.test(
    'an endpoint gets no more a second than it asked for, and no attempt is spent on waiting',
    async (t) => {
      const { receiver, tenant, endpoint } = await bundle(t)
      await pool.query('update postrider.endpoint set rate_per_second = 10 where id = $1', [
        endpoint.id,
      ])
      const runners = await Promise.all([
        startService(t, 'runner', FAST_RETRIES),
        startService(t, 'runner', FAST_RETRIES),
      ])
      await publishMany(tenant, 30)
      await settled(tenant)
      const { rows } = await pool.query(
        `select count(*)::int as attempts, max(number) as most, ${SECONDS_SINCE_PUBLISHED}
     from postrider.attempt where tenant_id = $1`,
        [tenant.id],
      )
      t.match(rows, [{ attempts: 30, most: 1 }])
      t.equal(receiver.requests.length, 30)
      // Without Redis each of the two keeps the limit by itself, so together they are twice as fast at most.
      t.ok(rows[0].seconds > 1, `30 at 10 a second over two runners took ${rows[0].seconds} s`)
      await Promise.all(runners.map((runner) => runner.stop()))
    },
  )

if (isLong)
  t.test('with Redis the rate holds over all runners together', async (t) => {
    const redis = await startRedis(t)
    if (!redis) return
    const { tenant, endpoint } = await bundle(t)
    await pool.query('update postrider.endpoint set rate_per_second = 10 where id = $1', [
      endpoint.id,
    ])
    const env = { ...FAST_RETRIES, REDIS_URL: redis.url }
    const runners = await Promise.all([
      startService(t, 'runner', env),
      startService(t, 'runner', env),
    ])
    await publishMany(tenant, 30)
    await settled(tenant)
    const { rows } = await pool.query(
      `select count(*)::int as attempts, ${SECONDS_SINCE_PUBLISHED} from postrider.attempt where tenant_id = $1`,
      [tenant.id],
    )
    t.equal(rows[0].attempts, 30)
    // A Redis that is not heard within its 50 ms, as on a busy machine, is as good as none.
    const isAlone = runners.some(({ lines }) => lines.some(({ msg }) => msg === 'redis.degraded'))
    t.ok(rows[0].seconds > (isAlone ? 1 : 2.8), `30 at 10 a second took ${rows[0].seconds} s`)
    await Promise.all(runners.map((runner) => runner.stop()))
  })

t.test(
  'a runner whose key opens no secret does not start, and says which variable is wrong',
  async (t) => {
    await bundle(t)
    const wrong = { ...FAST_RETRIES, SECRET_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') }
    await t.rejects(startService(t, 'runner', wrong), { message: /78 .*SECRET_ENCRYPTION_KEY/s })
  },
)

if (isLong)
  t.test('on Postgres 15 as well', async (t) => {
    const old = await startDebianPostgres(t, 15)
    if (!old) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
    const receiver = await startReceiver({ answer: (_, n) => (n === 1 ? 503 : 200) })
    t.teardown(() => receiver.close())
    const tenant = await createTenant(old.pool)
    await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
    const runner = await startService(t, 'runner', { ...FAST_RETRIES, DATABASE_URL: old.url })
    await tenant.publish()
    const [first, second] = await receiver.received(2)
    t.equal(second?.headers['webhook-id'], first?.headers['webhook-id'])
    t.equal(await runner.stop(), 0)
  })
