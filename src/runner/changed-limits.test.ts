import t, { type Test } from 'tap'
import type { EndpointId } from '../ids.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { type AnswerWith, startReceiver } from '../testing/servers/receiver.ts'
import { startRedis } from '../testing/servers/redis-server.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'
import { createReplan } from './replan.ts'
import { createSnooze } from './snooze.ts'

const { pool, url } = await createTestDatabase(t)

interface Limits {
  rate_per_second?: number | null
  max_in_flight?: number | null
}

async function limitedEndpoint(t: Test, limits: Limits, answer: AnswerWith = () => 200) {
  const receiver = await startReceiver({ answer })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url, ...limits }, secretBox.encrypt)

  return {
    receiver,
    tenant,
    endpoint,
    async publish(count: number) {
      for (let n = 0; n < count; n += 1) await tenant.publish('invoice.paid', { n })
    },
    publishMany: (count: number) =>
      pool.query(
        `select count(*) from postrider.publish_many((
           select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n))
           from generate_series(1, $2::int) as n))`,
        [tenant.key, count],
      ),
    /** Resolves once limits have put off all that waits, with how many. Without Redis each runner has its own. */
    async putOff(): Promise<number> {
      const waiting = `select count(*)::int as count, 
          bool_and(coalesce(put_off_until > now(), false)) is true as holds
        from postrider.delivery where tenant_id = $1 and state = 'pending'`
      await untilHolds(pool, waiting, [tenant.id])
      return (await pool.query<{ count: number }>(waiting, [tenant.id])).rows[0]?.count ?? 0
    },
    change: (changed: Limits) =>
      pool.query(
        `update postrider.endpoint set ${Object.keys(changed)
          .map((column, n) => `${column} = $${n + 2}`)
          .join(', ')} where id = $1`,
        [endpoint.id, ...Object.values(changed)],
      ),
    /** What waits, the oldest first: seconds from the first that was put off to each. */
    async slots(): Promise<number[]> {
      const { rows } = await pool.query<{ seconds: number }>(
        `select round(extract(epoch from put_off_until - min(put_off_until) over ()))::int as seconds
         from postrider.delivery where tenant_id = $1 and state = 'pending' order by id`,
        [tenant.id],
      )
      return rows.map(({ seconds }) => seconds)
    },
  }
}

const replanned = (runners: Service[], endpoint: { id: string }, deliveries: number) =>
  Promise.any(
    runners.map((runner) =>
      runner.line(
        'endpoint.replanned',
        (line) => line['endpointId'] === endpoint.id && line['deliveries'] === deliveries,
      ),
    ),
  )

interface Shown {
  eventId: string
  nextAttemptAt: string
}

interface Answered {
  data: [Shown]
  deliveries: [Shown]
  ratePerSecond: number | null
}

/** What holds with Redis and without, for several runners. */
async function conformance(t: Test, env: Record<string, string>) {
  const settings = { DATABASE_URL: url, LOG_LEVEL: 'info', ...env }
  const runners = [
    await startService(t, 'runner', settings),
    await startService(t, 'runner', settings),
  ]

  t.test('what waits for a slot is sent when the limit is gone, as is what follows', async (t) => {
    const { receiver, publish, putOff, change } = await limitedEndpoint(t, {
      rate_per_second: 0.02,
    })
    await publish(1)
    await receiver.received(1)
    await publish(5)
    t.ok((await putOff()) >= 4)
    await change({ rate_per_second: null })
    await publish(1)
    await receiver.received(7)
  })

  t.test('a rate that was lowered spreads what waits, the oldest first', async (t) => {
    const { receiver, endpoint, publish, putOff, change, slots } = await limitedEndpoint(t, {
      rate_per_second: 0.01,
    })
    await publish(8)
    const waiting = await putOff()
    await change({ rate_per_second: 0.005 })
    await replanned(runners, endpoint, waiting)
    const waits = await slots()
    // The first of the new rate is due at once.
    await receiver.received(8 - waiting + 1)
    t.strictSame(
      waits.slice(1).map((seconds) => Math.round((seconds - (waits[1] ?? 0)) / 200)),
      Array.from({ length: waits.length - 1 }, (_, n) => n),
    )
  })

  t.test('what waits for a place is sent when more are allowed', async (t) => {
    const gate = Promise.withResolvers<void>()
    const { receiver, publish, putOff, change } = await limitedEndpoint(
      t,
      { max_in_flight: 1 },
      async () => {
        await gate.promise
        return 200
      },
    )
    await publish(4)
    await receiver.received(1)
    await putOff()
    // So long that nobody comes back by itself.
    await pool.query(
      `update graphile_worker._private_jobs set run_at = now() + interval '1 hour'
       where locked_at is null and run_at > now() and key in (select 'd:' || id from postrider.delivery)`,
    )
    await pool.query(
      `update postrider.delivery set put_off_until = now() + interval '1 hour' where put_off_until > now()`,
    )
    await change({ max_in_flight: 10 })
    await receiver.received(4)
    gate.resolve()
  })

  t.test(
    'nobody waits for slots that were reserved before the rate was changed and changed back',
    async (t) => {
      const { receiver, publish, publishMany, putOff, change } = await limitedEndpoint(t, {
        rate_per_second: 0.01,
      })
      // More than one batch of them.
      await publishMany(510)
      await putOff()
      await change({ rate_per_second: null })
      await receiver.received(510)
      await change({ rate_per_second: 0.01 })
      await publish(1)
      await receiver.received(511)
    },
  )

  await t.test('stop', async (t) => {
    t.same(await Promise.all(runners.map((runner) => runner.stop())), [0, 0])
  })
}

t.test('with a limit in each process', (t) => conformance(t, {}))

if (isLong)
  t.test('with limits in Redis', async (t) => {
    const server = await startRedis(t)
    if (!server) return
    await conformance(t, { REDIS_URL: server.url })
  })

if (isLong)
  t.test(
    'the API says when a delivery that is put off will be tried, and changes that',
    async (t) => {
      const [api, runner] = await Promise.all([
        startService(t, 'api', { DATABASE_URL: url }),
        startService(t, 'runner', { DATABASE_URL: url }),
      ])
      const { tenant, endpoint, receiver, publish, putOff } = await limitedEndpoint(t, {
        rate_per_second: 0.001,
      })
      const request = async (path: string, init: RequestInit = {}) => {
        const answer = await fetch(`${api.url}/api/tenants/${tenant.key}${path}`, {
          ...init,
          headers: { authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
        })
        return (await answer.json()) as Answered
      }
      await publish(2)
      await receiver.received(1)
      t.equal(await putOff(), 1)
      const { data } = await request('/deliveries?state=pending')
      const inSeconds = (Date.parse(data[0].nextAttemptAt) - Date.now()) / 1000
      t.ok(inSeconds > 900 && inSeconds <= 1_000, `in ${inSeconds} s`)
      const { deliveries } = await request(`/events/${data[0].eventId}`)
      t.equal(deliveries[0].nextAttemptAt, data[0].nextAttemptAt)

      const body = JSON.stringify({ ratePerSecond: null })
      t.equal(
        (await request(`/endpoints/${endpoint.id}`, { method: 'PATCH', body })).ratePerSecond,
        null,
      )
      await receiver.received(2)
      await Promise.all([api.stop(), runner.stop()])
    },
  )

t.test('whatever makes a new job for a delivery ends that it is put off', async (t) => {
  const { rows } = await pool.query<{ name: string; source: string }>(
    `select p.proname as name, p.prosrc as source from pg_proc p
     where p.pronamespace = 'postrider'::regnamespace and p.prosrc ~ 'set [^;]*due_attempt = d.due_attempt \\+ 1'`,
  )
  t.ok(rows.length >= 6)
  for (const { name, source } of rows) t.match(source, /put_off_until = /, name)
})

t.test('what a runner claims while it is planned again stays with its claim', async (t) => {
  const work = await createWork(pool)
  const { eventId, ...delivery } = await work.publish()
  await work.snooze(delivery)
  const before = await work.deliveryOf(eventId)
  const endpointId = work.endpoint.id as EndpointId
  const limits = { ratePerSecond: 10, rateVersion: 0, maxInFlight: null, timeoutSeconds: null }
  const replan = createReplan({
    pool,
    limitsOf: () => ({ ...limits, tenantId: null }),
    snooze: createSnooze(pool, work.runner, () => undefined),
    rateLimiter: {
      async reserve() {
        await work.claim(before)
        return { waitMs: 0, reservation: null }
      },
    },
  })
  t.equal(await replan(endpointId, false), 1)
  const { due_attempt, job } = before
  t.match(await work.deliveryOf(eventId), { state: 'delivering', due_attempt, job })
})
