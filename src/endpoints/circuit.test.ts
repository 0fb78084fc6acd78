import t, { type Test } from 'tap'
import type { DeliveryId } from '../ids.ts'
import { type Claimed, createClaim } from '../runner/claim.ts'
import { createFinish, type Finished } from '../runner/finish.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { createTenant, operatorTenant, type TestTenant } from '../testing/data/tenant.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const DISABLE_AFTER_SECONDS = 5 * 86_400
const QUIET_SECONDS = DISABLE_AFTER_SECONDS / 4
const FAILED = { outcome: 'rejected', statusCode: 503 } as const
const DELIVERED = { outcome: 'delivered', statusCode: 200 } as const
const BLOCKED = { outcome: 'blocked', statusCode: null, reason: 'blocked_name' } as const
const ERASED = { ...BLOCKED, reason: 'erased' } as const
const GONE = { outcome: 'rejected', statusCode: 410 } as const
const REFUSED = { outcome: 'rejected', statusCode: 400 } as const
const OVERTAKEN = { outcome: 'unreachable', statusCode: null, isOvertaken: true } as const
const TIMED_OUT = { outcome: 'unreachable', statusCode: null } as const
/** What is about the event that was sent, of all statuses that a receiver can answer with. */
const REFUSALS = new Set([
  ...[400, 404, 406, 409, 411, 412, 413, 414, 415, 416, 417, 418, 422, 423, 424, 428, 431, 451],
  ...[430, 440, 444, 460, 499, 501],
])
const OF_THE_ENDPOINT = new Set([
  ...[100, 101, 199, 300, 301, 302, 304, 307, 308, 399],
  ...[401, 402, 403, 405, 407, 408, 410, 421, 425, 426, 429],
  ...[500, 502, 503, 504, 505, 507, 508, 511, 520, 524, 598, 599, 600, 999],
])

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
    const finish = createFinish(pool, { disableAfterSeconds: DISABLE_AFTER_SECONDS })

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
      {
        isOvertaken,
        url,
        ...result
      }: Partial<AttemptResult> & Pick<Finished, 'isOvertaken' | 'url'>,
      nextInSeconds: number | null = 60,
    ) => {
      if (!claimed) throw new Error('nothing was claimed')
      const { deliveryId, attemptId } = claimed
      const whole = { ...NOTHING, ...result }
      return finish({ deliveryId, attemptId, nextInSeconds, isOvertaken, url, result: whole })
    }
    /** So many attempts, of one delivery each, all with this result. */
    const attempts = async (count: number, result: Parameters<typeof finishOne>[1]) => {
      const events = await Promise.all(Array.from({ length: count }, () => tenant.publish()))
      const claimed = await Promise.all(events.map(claimOf))
      await Promise.all(claimed.map((one) => finishOne(one, result)))
      return events
    }
    /** One attempt with this result, as of the button "Send a test event". */
    const test = async (result: Partial<AttemptResult>) => {
      const { rows } = await pool.query<{ event_id: string }>(
        `select event_id from postrider.publish_test($1, 'a.b', '1')`,
        [endpoint.id],
      )
      return finishOne(await claimOf(rows[0]?.event_id ?? ''), result, null)
    }
    /** Has everything that the circuit remembers happen so much earlier. */
    const earlier = (seconds: number) =>
      pool.query(
        `update postrider.circuit set failing_since = failing_since - make_interval(secs => $2),
           failed_at = failed_at - make_interval(secs => $2), refusing_since = refusing_since - make_interval(secs => $2)
         where endpoint_id = $1`,
        [endpoint.id, seconds],
      )
    const state = async (): Promise<string> =>
      (await pool.query('select state from postrider.endpoint where id = $1', [endpoint.id]))
        .rows[0].state
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
      test,
      earlier,
      state,
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

  t.test('a success in between begins the count again', async (t) => {
    const { attempts, circuit } = await bundle()
    await attempts(19, FAILED)
    await attempts(1, DELIVERED)
    t.equal(await circuit(), undefined)
    await attempts(19, FAILED)
    t.match(await circuit(), { failures: 19, opened_at: null })
  })

  t.test('timeouts while others are answered count for nothing but their deliveries', async (t) => {
    const { tenant, attempts, circuit, claimOf, finishOne, deliveryOf } = await bundle()
    await attempts(25, OVERTAKEN)
    t.equal(await circuit(), undefined)
    await attempts(19, FAILED)
    await attempts(25, OVERTAKEN)
    t.match(await circuit(), { failures: 19, opened_at: null }, 'they do not end a row either')
    const last = await tenant.publish()
    t.equal(await finishOne(await claimOf(last), OVERTAKEN), 'pending')
    t.match(await deliveryOf(last), { schedule_step: 1 })
    await attempts(1, TIMED_OUT)
    t.ok((await circuit()).opened_at)
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

  t.test('releasing goes on by its own job until nothing is held', async (t) => {
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

  // It disabled the endpoint with the URL that had just been entered instead.
  t.test('410 of the URL before disables nothing, and of the present one it does', async (t) => {
    const { tenant, endpoint, claimOf, finishOne, state } = await bundle()
    const before = 'http://127.0.0.1:1/'
    const now = 'http://127.0.0.1:2/'
    const claimed = await claimOf(await tenant.publish())
    await pool.query('update postrider.endpoint set url = $2 where id = $1', [endpoint.id, now])
    await finishOne(claimed, { ...GONE, url: before }, null)
    t.equal(await state(), 'active')
    await finishOne(await claimOf(await tenant.publish()), { ...GONE, url: now }, null)
    t.equal(await state(), 'disabled')
  })

  t.test('an open circuit is probed at once when the URL is changed', async (t) => {
    const { tenant, endpoint, attempts, circuit, run, deliveryOf } = await bundle()
    const rename = (url: string) =>
      pool.query('update postrider.endpoint set url = $2 where id = $1', [endpoint.id, url])
    await attempts(19, FAILED)
    await rename('http://127.0.0.1:2/')
    t.match(await circuit(), { opened_at: null, probe_at: null }, 'where it is open')
    await attempts(1, FAILED)
    const held = await tenant.publish()
    await rename('http://127.0.0.1:2/')
    t.ok((await circuit()).probe_in > 20, 'where the URL is another')
    await rename('http://127.0.0.1:3/')
    t.equal(await run('probe'), (await deliveryOf(held)).id)
  })

  t.test('an answer that refuses the event says nothing against its endpoint', async (t) => {
    const { rows } = await pool.query<{ status: number; refuses: boolean }>(
      `select status, postrider.refuses_event(status) as refuses from generate_series(100, 999) as status`,
    )
    for (const { status, refuses } of rows) {
      if (REFUSALS.has(status) || OF_THE_ENDPOINT.has(status)) {
        t.equal(refuses, REFUSALS.has(status), `status ${status}`)
      }
    }
    t.same(
      rows.filter(({ refuses }) => refuses).map(({ status }) => Math.floor(status / 100)),
      [...Array(89).fill(4), 5],
      'all of 4xx but eleven, and 501',
    )
    t.match((await pool.query('select postrider.refuses_event(null) as refuses')).rows, [
      { refuses: false },
    ])
  })

  // Twenty bad events in a row opened the circuit of a receiver that took every other (issue 14).
  t.test('refusals open no circuit, however many', async (t) => {
    const { tenant, attempts, circuit, deliveryOf } = await bundle()
    await attempts(45, REFUSED)
    t.match(await circuit(), { opened_at: null, failures: 0, refusals: 45, failing_since: null })
    t.match(await deliveryOf(await tenant.publish()), { state: 'pending', has_job: true })
  })

  t.test('a refusal ends the failures in a row, and a success both', async (t) => {
    const { attempts, circuit } = await bundle()
    await attempts(19, TIMED_OUT)
    await attempts(1, REFUSED)
    t.match(await circuit(), { failures: 0, refusals: 1, opened_at: null })
    await attempts(19, FAILED)
    t.match(await circuit(), { failures: 19, opened_at: null })
    await attempts(1, DELIVERED)
    t.equal(await circuit(), undefined)
  })

  t.test('a refusal among the failures of one batch shows that the receiver lives', async (t) => {
    const { tenant, claimOf, finishOne, circuit, operational } = await bundle()
    const events = await Promise.all(Array.from({ length: 30 }, () => tenant.publish()))
    const claimed = await Promise.all(events.map(claimOf))
    await Promise.all(claimed.map((one, at) => finishOne(one, at === 7 ? REFUSED : FAILED)))
    const { opened_at, refusals } = await circuit()
    t.match({ opened_at, refusals }, { opened_at: null, refusals: 1 })
    t.same(await operational(), [])
  })

  t.test('a probe that is refused closes the circuit and lets the others go', async (t) => {
    const { tenant, attempts, claimOf, finishOne, circuit, dueProbe, run, job, operational } =
      await bundle()
    await attempts(20, FAILED)
    const bad = await tenant.publish()
    await dueProbe()
    await run('probe')
    await finishOne(await claimOf(bad), REFUSED)
    t.match(await circuit(), {
      opened_at: null,
      probe_at: null,
      probe_delivery_id: null,
      failures: 0,
      refusals: 1,
    })
    t.ok(await job('align'))
    t.same(
      (await operational()).map(({ type }) => type),
      ['endpoint.failing', 'endpoint.recovered'],
    )

    await attempts(20, FAILED)
    const again = await circuit()
    t.ok(again.opened_at)
    t.ok(again.probe_in > 50, 'until something succeeds the pauses go on growing')
  })

  // Each probe was the oldest delivery that was held: the very one that had opened the circuit (issue 14).
  t.test('a probe is the delivery that was tried the least, then the oldest', async (t) => {
    const { tenant, attempts, claimOf, finishOne, dueProbe, run, deliveryOf } = await bundle()
    const opened = await attempts(20, FAILED)
    t.equal(await run('align'), 20, 'they are held as well')
    const [first, second] = [await tenant.publish(), await tenant.publish()]
    const probed: string[] = []
    for (let probe = 0; probe < 24; probe++) {
      await dueProbe()
      const { rows } = await pool.query('select event_id from postrider.delivery where id = $1', [
        await run('probe'),
      ])
      probed.push(rows[0].event_id)
      await finishOne(await claimOf(rows[0].event_id), FAILED)
    }
    t.same(probed.slice(0, 2), [first, second], 'those first that nobody has tried')
    t.equal(new Set(probed.slice(0, 22)).size, 22, 'then all others, each once')
    const rest = await Promise.all(opened.map(deliveryOf))
    t.ok(rest.every(({ attempt_count }) => attempt_count <= 3))
  })

  // Of a receiver that fails with some events and takes all others one event arrived a probe: released first, those
  // that had opened the circuit opened it again.
  t.test('what nobody has tried is released first, then the oldest', async (t) => {
    const { tenant, attempts, dueProbe, run, claimOf, finishOne, circuit } = await bundle()
    const failing = await attempts(20, FAILED)
    await pool.query(
      'update postrider.delivery set next_attempt_at = now() where tenant_id = $1 and finished_at is null',
      [tenant.id],
    )
    const others = [await tenant.publish(), await tenant.publish(), await tenant.publish()]
    await run('align')
    await dueProbe()
    await run('probe')
    await finishOne(await claimOf(others.shift() ?? ''), DELIVERED)
    t.equal(await circuit(), undefined)
    t.equal(await run('align'), 22)
    const { rows } = await pool.query<{ event_id: string }>(
      `select d.event_id from postrider.delivery d
       join graphile_worker._private_jobs j on j.key = 'd:' || d.id
       where d.tenant_id = $1 and d.finished_at is null order by j.run_at`,
      [tenant.id],
    )
    const released = rows.map(({ event_id }) => event_id)
    t.strictSame(released.slice(0, 2), others)
    t.strictSame(released.slice(2).sort(), failing.sort())
  })

  t.test('with more held than are looked at, new ones are found anyway', async (t) => {
    const { tenant, endpoint, attempts, dueProbe, run, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    await pool.query(
      `insert into postrider.delivery (
         tenant_id, event_id, endpoint_id, state, held_reason, attempt_count, next_attempt_at)
       select $1, postrider.uuidv7(), $2, 'held', 'circuit', 1, now() from generate_series(1, 1100)`,
      [tenant.id, endpoint.id],
    )
    const { id } = await deliveryOf(await tenant.publish())
    await dueProbe()
    t.equal(await run('probe'), id)
  })

  t.test('refusals alone never disable an endpoint, and the operator is told once', async (t) => {
    const { attempts, earlier, state, operational, endpoint } = await bundle()
    await attempts(19, REFUSED)
    t.same(await operational(), [], 'nineteen may be chance')
    for (let day = 0; day < 8; day++) {
      await attempts(1, REFUSED)
      await earlier(86_400)
    }
    t.equal(await state(), 'active')
    t.match(
      (await operational()).map(({ type, data }) => [type, JSON.parse(data)]),
      [['endpoint.refusing', { endpointId: endpoint.id, refusals: 20, refusingSince: /^20/ }]],
    )
  })

  t.test('an endpoint that refuses some and fails with all others is disabled', async (t) => {
    const { attempts, earlier, state } = await bundle()
    for (let day = 0; day < 5; day++) {
      await attempts(1, FAILED)
      await attempts(1, REFUSED)
      await earlier(86_400)
    }
    t.equal(await state(), 'active')
    await earlier(1)
    await attempts(1, FAILED)
    t.equal(await state(), 'disabled')
  })

  t.test('an endpoint that fails for five days is disabled, and a second before not', async (t) => {
    for (const [seconds, expected] of [
      [-10, 'active'],
      [1, 'disabled'],
    ] as const) {
      const { endpoint, attempts, earlier, state } = await bundle()
      for (let failure = 0; failure < 5; failure++) {
        await attempts(1, FAILED)
        await earlier(86_400)
      }
      await earlier(seconds)
      await attempts(1, FAILED)
      t.equal(await state(), expected)
      const { rows } = await pool.query(
        `select disabled_at > now() - interval '1 minute' as just from postrider.endpoint where id = $1`,
        [endpoint.id],
      )
      t.match(rows, [{ just: expected === 'disabled' ? true : null }])
    }
  })

  // A failed test, thirty quiet days and one 503 disabled an endpoint (issue 14).
  t.test('failures far apart do not disable an endpoint', async (t) => {
    const { attempts, earlier, state, circuit } = await bundle()
    await attempts(19, FAILED)
    await earlier(30 * 86_400)
    await attempts(1, FAILED)
    t.equal(await state(), 'active')
    t.match(await circuit(), { failures: 1, opened_at: null }, 'it is a new count')
  })

  t.test(
    'a quarter of the period without a failure begins it again, a second less not',
    async (t) => {
      for (const [seconds, expected] of [
        [QUIET_SECONDS - 10, 'disabled'],
        [QUIET_SECONDS + 1, 'active'],
      ] as const) {
        const { attempts, earlier, state } = await bundle()
        for (let failure = 0; failure < 5; failure++) {
          await attempts(1, FAILED)
          await earlier(QUIET_SECONDS - 10)
        }
        await earlier(seconds - (QUIET_SECONDS - 10))
        await attempts(1, FAILED)
        t.equal(await state(), expected, `${seconds} s`)
      }
    },
  )

  t.test('two deliveries disable nothing however long they fail, the third does', async (t) => {
    const { tenant, attempts, claimOf, finishOne, earlier, state } = await bundle()
    const events = [await tenant.publish(), await tenant.publish()]
    for (let day = 0; day < 9; day++) {
      for (const event of events) {
        t.equal(await finishOne(await claimOf(event), FAILED, 0), 'pending')
      }
      await earlier(86_400)
    }
    t.equal(await state(), 'active')
    await attempts(1, FAILED)
    t.equal(await state(), 'disabled')
  })

  t.test('a success in between begins the period again', async (t) => {
    const { attempts, earlier, state } = await bundle()
    for (const result of [FAILED, FAILED, FAILED, FAILED, DELIVERED, FAILED, FAILED, FAILED]) {
      await attempts(1, result)
      await earlier(86_400)
    }
    await attempts(1, FAILED)
    t.equal(await state(), 'active')
    await earlier(86_400)
    await attempts(1, FAILED)
    await earlier(86_400)
    await attempts(1, FAILED)
    t.equal(await state(), 'disabled')
  })

  t.test('tests that fail or are refused count for nothing', async (t) => {
    const { test, circuit, state, earlier, attempts } = await bundle()
    for (let sent = 0; sent < 25; sent++) {
      t.equal(await test([FAILED, TIMED_OUT, REFUSED, GONE][sent % 4] ?? FAILED), 'failed')
    }
    t.equal(await circuit(), undefined)
    t.equal(await state(), 'active')
    await attempts(1, FAILED)
    await earlier(6 * 86_400)
    await test(FAILED)
    t.equal(await state(), 'active')
    t.match(await circuit(), { failures: 1 })
  })

  t.test('a test passes an open circuit and leaves its probe where it was', async (t) => {
    const { tenant, attempts, test, circuit, job, run, deliveryOf } = await bundle()
    await attempts(20, FAILED)
    const before = await circuit()
    t.equal(await test(TIMED_OUT), 'failed')
    t.match(await circuit(), {
      opened_at: before.opened_at,
      probe_at: before.probe_at,
      probe_count: 0,
      failures: 20,
    })
    t.same((await job('probe')).run_at, before.probe_at)
    t.equal(await test(REFUSED), 'failed')
    t.match(await circuit(), { opened_at: null, refusals: 0, failures: 0 }, 'its receiver lives')
    t.ok(await job('align'))
    await attempts(20, FAILED)
    const held = await tenant.publish()
    t.equal(await test(DELIVERED), 'delivered')
    t.equal(await circuit(), undefined)
    await run('align')
    t.match(await deliveryOf(held), { state: 'pending', has_job: true })
  })

  t.test('a test that was cut off is a test still', async (t) => {
    const { endpoint, claimOf, finishOne, circuit } = await bundle()
    const { rows } = await pool.query(
      `select event_id from postrider.publish_test($1, 'a.b', '1')`,
      [endpoint.id],
    )
    const event = rows[0].event_id
    t.equal(await finishOne(await claimOf(event), { outcome: 'interrupted' }, 0), 'pending')
    t.equal(await finishOne(await claimOf(event), FAILED, null), 'failed')
    t.equal(await circuit(), undefined)
  })

  // A retry by a person made an ordinary delivery of it: a 410 disabled the endpoint, a 503 began the retry schedule.
  t.test('a test that is sent again is a test still, however that was asked for', async (t) => {
    const { tenant, endpoint, claimOf, finishOne, circuit, state, deliveryOf } = await bundle()
    const { rows } = await pool.query(
      `select event_id, delivery_id from postrider.publish_test($1, 'a.b', '1')`,
      [endpoint.id],
    )
    const { event_id: event, delivery_id: id } = rows[0]
    await finishOne(await claimOf(event), FAILED, null)
    for (const [again, values] of [
      ['select postrider.retry_now($1)', [id]],
      [
        `select postrider.replay_step((postrider.start_bulk($1, 'retry', array[$2::uuid])).id)`,
        [tenant.key, id],
      ],
    ] as const) {
      await pool.query(again, [...values])
      const { schedule_step: step } = await deliveryOf(event)
      t.match(await deliveryOf(event), { state: 'pending', trigger: 'test' }, again)
      t.ok(step >= 1_000_000, 'for one attempt')
      await finishOne(await claimOf(event), GONE, null)
      t.equal(await state(), 'active')
      t.equal(await circuit(), undefined)
    }
    await pool.query(
      `select postrider.replay_step((postrider.start_replay($1, now() - interval '1 hour', states => '{failed}')).id)`,
      [tenant.key],
    )
    t.match(await deliveryOf(event), { state: 'failed' }, 'a replay leaves tests out')
  })

  t.test('a test that is sent again passes an open circuit, and is no probe of it', async (t) => {
    const { endpoint, attempts, claimOf, finishOne, circuit, deliveryOf } = await bundle()
    const { rows } = await pool.query(
      `select event_id, delivery_id from postrider.publish_test($1, 'a.b', '1')`,
      [endpoint.id],
    )
    const { event_id: event, delivery_id: id } = rows[0]
    await finishOne(await claimOf(event), FAILED, null)
    await attempts(20, FAILED)
    const { probe_in: _, ...before } = await circuit()
    await pool.query('select postrider.retry_now($1)', [id])
    t.match(await deliveryOf(event), { state: 'pending', held_reason: null })
    await finishOne(await claimOf(event), FAILED, null)
    const { probe_in: __, ...after } = await circuit()
    t.strictSame(after, before)
  })

  t.test('an example as Svix sends it is tried again, and counts for nothing', async (t) => {
    const { endpoint, attempts, claimOf, finishOne, circuit, deliveryOf } = await bundle()
    const send = async () =>
      (
        await pool.query(`select event_id from postrider.publish_example($1, 'svix.ping', '{}')`, [
          endpoint.id,
        ])
      ).rows[0].event_id
    const event = await send()
    t.equal(await finishOne(await claimOf(event), FAILED), 'pending')
    t.match(await deliveryOf(event), { trigger: 'test', schedule_step: 1 })
    t.equal(await circuit(), undefined)
    await attempts(20, FAILED)
    const during = await send()
    t.equal(await finishOne(await claimOf(during), FAILED), 'pending', 'no circuit holds it')
    t.match(await circuit(), { failures: 20 })
  })

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
