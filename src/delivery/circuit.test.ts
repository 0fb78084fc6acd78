import t, { type Test } from 'tap'
import type { AttemptResult } from '../attempts/outcome.ts'
import type { DeliveryId } from '../ids.ts'
import { createTestDatabase, startDebianPostgres, type TestDatabase } from '../testing/database.ts'
import { createTenant, operatorTenant, type TestTenant } from '../testing/tenant.ts'
import { type Claimed, createClaim } from './claim.ts'
import { createFinish } from './finish.ts'

t.test('on Postgres 18', async (t) => conformance(t, await createTestDatabase(t)))
t.test('on Postgres 15', async (t) => {
  const database = await startDebianPostgres(t, 15)
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  return conformance(t, database)
})

const FAILED = { outcome: 'rejected', statusCode: 503 } as const
const DELIVERED = { outcome: 'delivered', statusCode: 200 } as const
const BLOCKED = { outcome: 'blocked', statusCode: null, reason: 'blocked_name' } as const
const ERASED = { ...BLOCKED, reason: 'erased' } as const
const GONE = { outcome: 'rejected', statusCode: 410 } as const

function conformance(t: Test, { pool }: TestDatabase) {
  /** What has failed is held for its next attempt, and is as good a probe as any. */
  const cancelFailed = (tenantId: string) =>
    pool.query(
      `select postrider.cancel(id) from postrider.delivery
       where tenant_id = $1 and finished_at is null and attempt_count > 0`,
      [tenantId],
    )
  const cancelBut = (eventId: string, tenantId: string) =>
    pool.query(
      `select postrider.cancel(id) from postrider.delivery
       where tenant_id = $1 and finished_at is null and event_id <> $2`,
      [tenantId, eventId],
    )

  async function bundle(of?: TestTenant) {
    const tenant = of ?? (await createTenant(pool))
    const endpoint = await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
    const runner = `runner-of-${endpoint.id}`
    await pool.query('select postrider.register_runner($1, $2, $3)', [runner, 'host', 1])
    const claim = createClaim(pool, runner)
    const finish = createFinish(pool, { disableAfterSeconds: 5 * 86_400 })

    const deliveryOf = async (eventId: string) =>
      (
        await pool.query(
          `select d.*, j.key is not null as has_job from postrider.delivery d
           left join graphile_worker._private_jobs j on j.key = 'd:' || d.id where d.event_id = $1`,
          [eventId],
        )
      ).rows[0]
    const claimOf = async (eventId: string) => {
      const delivery = await deliveryOf(eventId)
      return claim({ deliveryId: delivery.id as DeliveryId, dueAttempt: delivery.due_attempt })
    }
    const finishOne = (
      claimed: Claimed | null,
      result: Partial<AttemptResult>,
      nextInSeconds: number | null = 60,
    ) => {
      if (!claimed) throw new Error('nothing was claimed')
      const { deliveryId, attemptId } = claimed
      return finish({ deliveryId, attemptId, nextInSeconds, result: { ...NOTHING, ...result } })
    }
    /** So many attempts, of one delivery each, all with this result. */
    const attempts = async (count: number, result: Partial<AttemptResult>) => {
      const events = await Promise.all(Array.from({ length: count }, () => tenant.publish()))
      const claimed = await Promise.all(events.map(claimOf))
      await Promise.all(claimed.map((one) => finishOne(one, result)))
      return events
    }
    const circuit = async () =>
      (
        await pool.query(
          `select *, extract(epoch from probe_at - now())::float8 as probe_in
           from postrider.circuit where endpoint_id = $1`,
          [endpoint.id],
        )
      ).rows[0]
    const dueProbe = () =>
      pool.query('update postrider.circuit set probe_at = now() where endpoint_id = $1', [
        endpoint.id,
      ])
    const job = async (task: string) =>
      (
        await pool.query('select run_at from graphile_worker._private_jobs where key = $1', [
          `${task}:${endpoint.id}`,
        ])
      ).rows[0]
    const run = async (sql: 'probe' | 'align') =>
      (await pool.query(`select postrider.${sql}($1) as result`, [endpoint.id])).rows[0].result
    const operational = async () =>
      (
        await pool.query<{ type: string; data: string }>(
          `select e.type, e.data::text from postrider.event e join postrider.tenant t on t.id = e.tenant_id
           where t.key = 'postrider:operator' and e.data ->> 'endpointId' = $1 order by e.id`,
          [endpoint.id],
        )
      ).rows
    return {
      tenant,
      endpoint,
      deliveryOf,
      claimOf,
      finishOne,
      attempts,
      circuit,
      dueProbe,
      job,
      run,
      operational,
    }
  }

  t.test(
    'nineteen failures in a row leave the circuit closed, the twentieth opens it',
    async (t) => {
      const { tenant, attempts, circuit, deliveryOf, job } = await bundle()
      await attempts(19, FAILED)
      t.match(await circuit(), { failures: 19, opened_at: null, probe_at: null })
      t.match(await deliveryOf(await tenant.publish()), { state: 'pending', has_job: true })

      await attempts(1, FAILED)
      const open = await circuit()
      t.ok(open.opened_at)
      t.ok(open.probe_in > 20 && open.probe_in < 34, 'the first probe is due in about 30 s')
      t.same((await job('probe')).run_at, open.probe_at)
      t.match(await deliveryOf(await tenant.publish()), { state: 'held', has_job: false })
    },
  )

  t.test('a success in between begins the count anew', async (t) => {
    const { attempts, circuit } = await bundle()
    await attempts(19, FAILED)
    await attempts(1, DELIVERED)
    t.equal(await circuit(), undefined)
    await attempts(19, FAILED)
    t.match(await circuit(), { failures: 19, opened_at: null })
  })

  t.test('an open circuit holds what comes due, and what fails while it is open', async (t) => {
    const { tenant, claimOf, finishOne, attempts, deliveryOf } = await bundle()
    const [waiting, flying] = [await tenant.publish(), await tenant.publish()]
    const claimed = await claimOf(flying)
    await attempts(20, FAILED)
    t.equal(await claimOf(waiting), null)
    t.match(await deliveryOf(waiting), { state: 'held', attempt_count: 0 })
    t.equal(await finishOne(claimed, FAILED), 'held')
  })

  t.test('a probe lets exactly one through, and its failure doubles the pause', async (t) => {
    const { tenant, dueProbe, claimOf, finishOne, attempts, circuit, run, deliveryOf } =
      await bundle()
    await attempts(20, FAILED)
    const first = await tenant.publish()
    const second = await tenant.publish()
    t.equal(await run('probe'), null, 'not before it is due')

    await dueProbe()
    const probed = await run('probe')
    t.equal(probed, (await deliveryOf(first)).id)
    t.match(await deliveryOf(first), { state: 'pending', has_job: true })
    t.match(await deliveryOf(second), { state: 'held' })

    t.equal(await finishOne(await claimOf(first), FAILED), 'held')
    const { probe_in, probe_count, probe_delivery_id } = await circuit()
    t.match({ probe_count, probe_delivery_id }, { probe_count: 1, probe_delivery_id: null })
    t.ok(probe_in > 50 && probe_in < 67, 'the next probe is due in about 60 s')
  })

  t.test('the pause between probes never exceeds half an hour', async (t) => {
    const { rows } = await pool.query(
      `select extract(epoch from postrider.probe_pause(n))::float8 as seconds from unnest(array[5, 6, 7, 1000]) n`,
    )
    const [five, six, seven, thousand] = rows.map((row) => row.seconds)
    t.ok(five >= 864 && five <= 1056)
    for (const seconds of [six, seven, thousand]) t.ok(seconds >= 1620 && seconds <= 1980)
  })

  t.test(
    'a probe that succeeds closes the circuit and releases what was held, spread over time',
    async (t) => {
      const { tenant, dueProbe, claimOf, finishOne, attempts, circuit, run, job, deliveryOf } =
        await bundle()
      await attempts(20, FAILED)
      const events = await Promise.all(Array.from({ length: 5 }, () => tenant.publish()))
      await dueProbe()
      const probedId = await run('probe')
      const { rows } = await pool.query('select event_id from postrider.delivery where id = $1', [
        probedId,
      ])
      const held = events.filter((event) => event !== rows[0].event_id)
      t.equal(await finishOne(await claimOf(rows[0].event_id), DELIVERED), 'delivered')
      t.equal(await circuit(), undefined)
      t.ok(await job('align'))

      t.equal(await run('align'), held.length)
      const released = await Promise.all(held.map(deliveryOf))
      t.ok(released.every(({ state, has_job }) => state === 'pending' && has_job))
      t.equal(
        new Set(released.map(({ next_attempt_at }) => next_attempt_at.getTime())).size,
        held.length,
      )
    },
  )

  t.test('releasing goes on by a job of its own until nothing is held', async (t) => {
    const { tenant, endpoint, attempts } = await bundle()
    await attempts(20, FAILED)
    await Promise.all(Array.from({ length: 5 }, () => tenant.publish()))
    await pool.query('delete from postrider.circuit where endpoint_id = $1', [endpoint.id])
    const moved = async () => {
      await pool.query(`select graphile_worker.remove_job('align:' || $1::text)`, [endpoint.id])
      const { rows } = await pool.query('select postrider.align($1, 3) as moved', [endpoint.id])
      const jobs = await pool.query('select from graphile_worker._private_jobs where key = $1', [
        `align:${endpoint.id}`,
      ])
      return [rows[0].moved, jobs.rowCount]
    }
    t.same(await moved(), [3, 1])
    t.same(await moved(), [2, 0])
  })

  t.test('a circuit without anything to probe with closes by one failure less', async (t) => {
    const { attempts, endpoint, circuit, run, tenant, deliveryOf, dueProbe } = await bundle()
    await attempts(20, FAILED)
    await pool.query(
      `update postrider.delivery set state = 'cancelled', finished_at = now() where endpoint_id = $1`,
      [endpoint.id],
    )
    await dueProbe()
    t.equal(await run('probe'), null)
    t.match(await circuit(), { opened_at: null, failures: 19 })
    t.match(await deliveryOf(await tenant.publish()), { state: 'pending' })
    await attempts(1, FAILED)
    t.ok((await circuit()).opened_at)
  })

  // The probe took the oldest delivery that was held, and sent a scheduled event before its time (issue 6).
  t.test('an event that is scheduled for later is no probe until its time has come', async (t) => {
    const { tenant, attempts, dueProbe, circuit, run, job, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    const { rows } = await pool.query(
      `select postrider.publish($1, 'a.b', '1', deliver_at => now() + interval '1 hour') as id`,
      [tenant.key],
    )
    const later = rows[0].id
    await cancelBut(later, tenant.id)
    await dueProbe()
    t.equal(await run('probe'), null)
    t.match(await circuit(), { opened_at: null, failures: 19 }, 'there was nothing to probe with')
    t.ok(await job('align'))
    await run('align')
    const released = await deliveryOf(later)
    t.match(released, { state: 'pending', has_job: true, attempt_count: 0 })
    t.ok(released.next_attempt_at.getTime() - Date.now() > 50 * 60_000, 'it keeps its time')

    await attempts(1, FAILED)
    await run('align')
    await pool.query(`update postrider.delivery set next_attempt_at = now() where event_id = $1`, [
      later,
    ])
    await cancelBut(later, tenant.id)
    await dueProbe()
    t.equal(await run('probe'), released.id, 'now it is')
  })

  t.test('one that is due goes before an older one that is not', async (t) => {
    const { tenant, attempts, dueProbe, run, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    await pool.query(
      `select postrider.publish($1, 'a.b', '1', deliver_at => now() + interval '1 hour')`,
      [tenant.key],
    )
    const due = await tenant.publish()
    const { id } = await deliveryOf(due)
    await cancelFailed(tenant.id)
    await dueProbe()
    t.equal(await run('probe'), id)
  })

  // Such a probe is pending for ten minutes up to a day, and no other was planned: the circuit stayed open.
  t.test('a probe that turns out to be poison is replaced by another', async (t) => {
    const { tenant, attempts, dueProbe, circuit, run, job, claimOf, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    await cancelFailed(tenant.id)
    const [poison, other] = [await tenant.publish(), await tenant.publish()]
    await dueProbe()
    t.equal(await run('probe'), (await deliveryOf(poison)).id)
    for (let cut = 0; cut < 3; cut++) t.ok(await claimOf(poison))
    t.equal(await claimOf(poison), null)
    t.match(await deliveryOf(poison), { state: 'pending', abandoned_count: 3 })
    const { probe_delivery_id, probe_in } = await circuit()
    t.ok(probe_delivery_id === null && probe_in <= 0)
    t.ok(await job('probe'))
    t.equal(await run('probe'), (await deliveryOf(other)).id)
  })

  // The chaos program found it: held with everything else, such a probe was never sent, and no other planned.
  t.test('a probe that meets a pause is planned again', async (t) => {
    const { tenant, endpoint, attempts, dueProbe, circuit, run, job, claimOf, deliveryOf } =
      await bundle()
    await attempts(20, FAILED)
    await cancelFailed(tenant.id)
    const event = await tenant.publish()
    await dueProbe()
    await run('probe')
    await pool.query('select postrider.pause_endpoint($1)', [endpoint.id])
    t.equal(await claimOf(event), null)
    t.match(await deliveryOf(event), { state: 'held' })
    t.ok(await job('probe'))

    t.equal(await run('probe'), null, 'nothing is let through while it is paused')
    const { probe_in } = await circuit()
    t.ok(probe_in > 50 && probe_in <= 60, 'it looks again in a minute')
    await pool.query('select postrider.resume_endpoint($1)', [endpoint.id])
    await dueProbe()
    t.equal(await run('probe'), (await deliveryOf(event)).id)
    t.ok(await claimOf(event))
  })

  t.test('a probe that is cancelled is replaced by another', async (t) => {
    const { tenant, attempts, dueProbe, run, job, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    await cancelFailed(tenant.id)
    const [cancelled, other] = [await tenant.publish(), await tenant.publish()]
    await dueProbe()
    await run('probe')
    await pool.query('select postrider.cancel($1)', [(await deliveryOf(cancelled)).id])
    t.ok(await job('probe'))
    t.equal(await run('probe'), (await deliveryOf(other)).id)
  })

  // Erasing the data of 20 events that were pending opened the circuit of a healthy endpoint (issue 6).
  t.test('attempts that found no data to send say nothing about their endpoint', async (t) => {
    const { tenant, claimOf, finishOne, circuit, operational } = await bundle()
    const events = await Promise.all(Array.from({ length: 20 }, () => tenant.publish()))
    const claimed = await Promise.all(events.map(claimOf))
    const verdicts = await Promise.all(claimed.map((one) => finishOne(one, ERASED, null)))
    t.same(new Set(verdicts), new Set(['failed']))
    t.equal(await circuit(), undefined)
    t.same(await operational(), [], 'nor is anybody told')
  })

  t.test('attempts whose address is blocked open the circuit', async (t) => {
    const { attempts, circuit } = await bundle()
    await attempts(20, BLOCKED)
    t.ok((await circuit()).opened_at)
  })

  t.test('410 disables the endpoint at once and holds the rest', async (t) => {
    const { tenant, endpoint, claimOf, finishOne, run, deliveryOf, operational } = await bundle()
    const [gone, rest] = [await tenant.publish(), await tenant.publish()]
    t.equal(await finishOne(await claimOf(gone), GONE, null), 'failed')
    const { rows } = await pool.query(
      'select state, disabled_reason from postrider.endpoint where id = $1',
      [endpoint.id],
    )
    t.match(rows, [{ state: 'disabled', disabled_reason: /410 Gone/ }])
    t.equal(await run('align'), 1)
    t.match(await deliveryOf(rest), { state: 'held', has_job: false })
    t.equal(await deliveryOf(await tenant.publish()), undefined, 'new events do not match it')
    t.match(
      (await operational()).map(({ type, data }) => [type, JSON.parse(data)]),
      [
        ['endpoint.disabled', { reason: /410 Gone/, url: 'http://127.0.0.1:1/' }],
        ['delivery.exhausted', { tenant: tenant.key, statusCode: 410 }],
      ],
    )
  })

  t.test(
    'an endpoint without a success for five days is disabled, one second less is not',
    async (t) => {
      const { endpoint, attempts } = await bundle()
      const failingFor = (interval: string) =>
        pool.query(
          'update postrider.circuit set failing_since = now() - $2::interval where endpoint_id = $1',
          [endpoint.id, interval],
        )
      const state = async () =>
        (await pool.query('select state from postrider.endpoint where id = $1', [endpoint.id]))
          .rows[0].state
      await attempts(1, FAILED)
      await failingFor('4 days 23:59:50')
      await attempts(1, FAILED)
      t.equal(await state(), 'active')
      await failingFor('5 days 00:00:01')
      await attempts(1, FAILED)
      t.equal(await state(), 'disabled')
    },
  )

  t.test('the operator is told once of failing and once of recovery', async (t) => {
    const { tenant, claimOf, finishOne, attempts, run, operational, dueProbe } = await bundle()
    await attempts(21, FAILED)
    await tenant.publish()
    await dueProbe()
    const probed = await run('probe')
    const { rows } = await pool.query('select event_id from postrider.delivery where id = $1', [
      probed,
    ])
    await finishOne(await claimOf(rows[0].event_id), DELIVERED)
    t.same(
      (await operational()).map(({ type }) => type),
      ['endpoint.failing', 'endpoint.recovered'],
    )
  })

  t.test("the operator's own endpoints cause no operational events", async (t) => {
    const { attempts, circuit, operational } = await bundle(await operatorTenant(pool))
    await attempts(20, FAILED)
    t.ok((await circuit()).opened_at)
    t.same(await operational(), [])
  })

  t.test(
    'a delivery that was abandoned three times in a row is postponed and marked',
    async (t) => {
      const { tenant, claimOf, finishOne, deliveryOf } = await bundle()
      const event = await tenant.publish()
      t.match(await claimOf(event), { abandonedCount: 0 })
      t.match(await claimOf(event), { abandonedCount: 1 })
      t.match(await claimOf(event), { abandonedCount: 2 })
      t.equal(await claimOf(event), null)
      const postponed = await deliveryOf(event)
      t.match(postponed, {
        state: 'pending',
        abandoned_count: 3,
        claim: null,
        attempt_count: 3,
        has_job: true,
      })
      t.ok(postponed.next_attempt_at.getTime() - Date.now() > 9 * 60_000)
      const { rows } = await pool.query(
        'select outcome from postrider.attempt where delivery_id = $1',
        [postponed.id],
      )
      t.same(
        rows.map(({ outcome }) => outcome),
        ['abandoned', 'abandoned', 'abandoned'],
      )

      t.equal(await finishOne(await claimOf(event), FAILED), 'pending')
      t.match(
        await deliveryOf(event),
        { abandoned_count: 0 },
        'an attempt that ends takes the mark away',
      )
    },
  )

  t.end()
}

const NOTHING: AttemptResult = {
  outcome: 'rejected',
  statusCode: null,
  reason: null,
  error: null,
  durationMs: 1,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
  requestHeaders: {},
  responseHeaders: null,
  responseBody: null,
  retryAfterSeconds: null,
}
