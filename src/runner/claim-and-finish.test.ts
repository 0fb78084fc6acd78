import t, { type Test } from 'tap'
import type { DeliveryId } from '../ids.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { ATTEMPT_REASONS, type AttemptReason } from '../sending/reason.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { type Claimed, createClaim } from './claim.ts'
import { createFinish } from './finish.ts'

/** What these tests are about holds on every version of Postgres that we support. */
onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  const URL = 'http://127.0.0.1:1/'

  async function bundle() {
    const tenant = await createTenant(pool)
    const endpoint = await tenant.addEndpoint({ url: URL })
    const runner = `runner-of-${tenant.key}`
    await pool.query('select postrider.register_runner($1, $2, $3)', [runner, 'host', 1])
    return {
      tenant,
      endpoint,
      runner,
      claim: createClaim(pool, runner),
      finish: createFinish(pool, { disableAfterSeconds: 5 * 86_400 }),
    }
  }

  const answer = (changes: Partial<AttemptResult> = {}): AttemptResult => ({
    outcome: 'rejected',
    statusCode: 500,
    reason: 'status_5xx',
    error: '500',
    durationMs: 12.5,
    timings: { dnsMs: 1, connectMs: 2, tlsMs: null, firstByteMs: 3 },
    requestHeaders: { 'webhook-id': 'x' },
    responseHeaders: { server: 'test' },
    responseBody: 'no "thanks" \u{1f600}',
    retryAfterSeconds: null,
    ...changes,
  })
  const delivered = answer({ outcome: 'delivered', statusCode: 200, reason: null, error: null })

  async function deliveryOf(eventId: string) {
    const { rows } = await pool.query(
      `select d.*, j.run_at, j.payload, extract(epoch from d.next_attempt_at - now())::float8 as due_in
       from postrider.delivery d left join graphile_worker._private_jobs j on j.key = 'd:' || d.id
       where d.event_id = $1`,
      [eventId],
    )
    return rows[0]
  }
  const attemptsOf = async (deliveryId: string) =>
    (
      await pool.query('select * from postrider.attempt where delivery_id = $1 order by number', [
        deliveryId,
      ])
    ).rows
  const wakeUp = (delivery: { id: string; due_attempt: number }) => ({
    deliveryId: delivery.id as DeliveryId,
    dueAttempt: delivery.due_attempt,
  })
  const finishing = (
    claimed: Claimed | null,
    result: AttemptResult,
    nextInSeconds: number | null,
  ) => {
    if (!claimed) throw new Error('nothing was claimed')
    return { deliveryId: claimed.deliveryId, attemptId: claimed.attemptId, result, nextInSeconds }
  }

  t.test(
    'a claim writes the attempt before anything is sent, with what is to be sent',
    async (t) => {
      const { tenant, endpoint, runner, claim } = await bundle()
      const eventId = await tenant.publish('invoice.paid', { b: 1, a: [2] })
      const claimed = await claim(wakeUp(await deliveryOf(eventId)))

      t.match(claimed, {
        eventId,
        endpointId: endpoint.id,
        tenantId: tenant.id,
        url: URL,
        attemptNumber: 1,
      })
      t.match(
        claimed?.body,
        /^\{"type":"invoice\.paid","timestamp":"[^"]+Z","data":\{"b":1,"a":\[2\]\}\}$/,
      )
      t.same(claimed?.secrets, [endpoint.secret])
      t.match(await deliveryOf(eventId), {
        state: 'delivering',
        claim: claimed?.attemptId,
        attempt_count: 1,
      })
      t.match(await attemptsOf(claimed?.deliveryId ?? ''), [
        { id: claimed?.attemptId, outcome: 'started', number: 1, runner, finished_at: null },
      ])
    },
  )

  t.test('many claims at once go together and each gets its own', async (t) => {
    const { tenant, claim } = await bundle()
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, n) => tenant.publish('a.b', { n })),
    )
    const wakeUps = await Promise.all(ids.map(async (id) => wakeUp(await deliveryOf(id))))
    const claimed = await Promise.all(wakeUps.map(claim))
    t.same(
      claimed.map((one) => one?.eventId),
      ids,
    )
    t.equal(new Set(claimed.map((one) => one?.attemptId)).size, 40)
  })

  t.test('a finish writes every field of the attempt and delivers', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const claimed = await claim(wakeUp(await deliveryOf(eventId)))
    t.equal(await finish(finishing(claimed, delivered, null)), 'delivered')

    const delivery = await deliveryOf(eventId)
    t.match(delivery, { state: 'delivered', claim: null, attempt_count: 1, next_attempt_at: null })
    t.ok(delivery.finished_at)
    const [attempt] = await attemptsOf(delivery.id)
    t.match(attempt, {
      outcome: 'delivered',
      status_code: 200,
      reason: null,
      error: null,
      duration_ms: 12.5,
      dns_ms: 1,
      connect_ms: 2,
      tls_ms: null,
      first_byte_ms: 3,
      response_body: 'no "thanks" \u{1f600}',
    })
    t.same(JSON.parse(attempt.request_headers), { 'webhook-id': 'x' })
    t.ok(attempt.finished_at >= attempt.started_at)
  })

  t.test('a failed attempt makes the next job in the same transaction', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const claimed = await claim(wakeUp(await deliveryOf(eventId)))
    t.equal(await finish(finishing(claimed, answer(), 60)), 'pending')

    const delivery = await deliveryOf(eventId)
    t.match(delivery, {
      state: 'pending',
      claim: null,
      due_attempt: 2,
      schedule_step: 1,
      finished_at: null,
    })
    t.ok(delivery.due_in > 50 && delivery.due_in <= 60)
    t.match(delivery.payload, /"n":2/)
    t.same(delivery.run_at, delivery.next_attempt_at)
  })

  const jobsOf = async (deliveryId: string) =>
    (
      await pool.query(
        `select id::text, key, (payload->>'n')::int as number, locked_by from graphile_worker._private_jobs
         where payload->>'d' = $1 order by id`,
        [deliveryId],
      )
    ).rows

  /** A delivery that is being sent, with the job that the runner has for it. */
  const sending = async ({ tenant, runner, claim }: Awaited<ReturnType<typeof bundle>>) => {
    const delivery = await deliveryOf(await tenant.publish())
    const [job] = await jobsOf(delivery.id)
    await pool.query(
      'update graphile_worker._private_jobs set locked_by = $2, locked_at = now(), attempts = 1 where id = $1',
      [job.id, runner],
    )
    return { id: delivery.id, jobId: job.id as string, claimed: await claim(wakeUp(delivery)) }
  }

  t.test('a finish removes the job of its runner together with the claim', async (t) => {
    const work = await bundle()
    for (const [nextInSeconds, state, jobs] of [
      [null, 'delivered', []],
      [60, 'pending', [{ number: 2, locked_by: null }]],
    ] as const) {
      const { id, jobId, claimed } = await sending(work)
      const result = state === 'delivered' ? delivered : answer()
      t.equal(await work.finish({ ...finishing(claimed, result, nextInSeconds), jobId }), state)
      t.match(await jobsOf(id), jobs)
      t.equal((await jobsOf(id)).length, jobs.length, `${state}: none is left behind`)
    }
  })

  t.test('of a delivery that was cancelled meanwhile it removes the job too', async (t) => {
    const work = await bundle()
    const { id, jobId, claimed } = await sending(work)
    await pool.query('select postrider.cancel($1)', [id])
    t.match(await jobsOf(id), [{ key: null }], 'inert, and in the hands of its runner')
    t.equal(await work.finish({ ...finishing(claimed, delivered, null), jobId }), 'cancelled')
    t.same(await jobsOf(id), [])
  })

  t.test(
    'a finish that comes too late removes nothing, and tells nobody that it did',
    async (t) => {
      const work = await bundle()
      const removed: string[] = []
      const finish = createFinish(pool, {
        disableAfterSeconds: 5 * 86_400,
        onJobRemoved: (jobId) => removed.push(jobId),
      })
      const { id, jobId, claimed } = await sending(work)
      const finished = { ...finishing(claimed, delivered, null), jobId }
      await pool.query(
        "select postrider.reopen_deliveries(array[$1::uuid], array[null], array[now()], 'manual')",
        [id],
      )
      const before = await jobsOf(id)
      t.equal(await finish(finished), 'stale')
      t.same(await jobsOf(id), before)
      t.same(removed, [])

      const other = await sending(work)
      const twice = { ...finishing(other.claimed, delivered, null), jobId: other.jobId }
      t.equal(await finish(twice), 'delivered')
      t.equal(await finish(twice), 'already')
      t.same(removed, [other.jobId])
    },
  )

  t.test('a finish of a program that names no job leaves it to be completed', async (t) => {
    const work = await bundle()
    const { id, jobId, claimed } = await sending(work)
    t.equal(await work.finish(finishing(claimed, delivered, null)), 'delivered')
    t.match(await jobsOf(id), [{ id: jobId, locked_by: work.runner }])
  })

  t.test('a failed attempt has its reason, of a closed set, next to the words', async (t) => {
    const { tenant, claim, finish } = await bundle()
    for (const reason of ATTEMPT_REASONS) {
      const { deliveryId, dueAttempt } = wakeUp(await deliveryOf(await tenant.publish()))
      const claimed = await claim({ deliveryId, dueAttempt })
      await finish(
        finishing(claimed, answer({ outcome: 'interrupted', reason, error: 'in words' }), 60),
      )
      t.match(await attemptsOf(deliveryId), [{ reason, error: 'in words' }])
    }
    const claimed = await claim(wakeUp(await deliveryOf(await tenant.publish())))
    const unknown = answer({ reason: 'bad_luck' as AttemptReason })
    await t.rejects(finish(finishing(claimed, unknown, 60)), /attempt_reason_check/)
  })

  t.test('without a next attempt the delivery has failed and no job is left', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const claimed = await claim(wakeUp(await deliveryOf(eventId)))
    t.equal(await finish(finishing(claimed, answer(), null)), 'failed')
    t.match(await deliveryOf(eventId), { state: 'failed', schedule_step: 1, next_attempt_at: null })
  })

  t.test('an interrupted attempt costs no step of the schedule', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const claimed = await claim(wakeUp(await deliveryOf(eventId)))
    t.equal(await finish(finishing(claimed, answer({ outcome: 'interrupted' }), 0)), 'pending')
    t.match(await deliveryOf(eventId), { state: 'pending', due_attempt: 2, schedule_step: 0 })
  })

  t.test('a job with another number than the one that is due claims nothing', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const first = wakeUp(await deliveryOf(eventId))
    t.equal(await claim({ ...first, dueAttempt: 2 }), null)
    await finish(finishing(await claim(first), answer(), 60))
    t.equal(await claim(first), null)
    t.equal((await attemptsOf(first.deliveryId)).length, 1)
  })

  t.test('a finished delivery is not claimed again', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const first = wakeUp(await deliveryOf(await tenant.publish()))
    await finish(finishing(await claim(first), delivered, null))
    t.equal(await claim(first), null)
    t.equal(await claim({ ...first, dueAttempt: 2 }), null)
  })

  t.test(
    'anyone who takes over leaves the attempt before it abandoned, and its late finish changes nothing',
    async (t) => {
      const { tenant, claim, finish } = await bundle()
      const eventId = await tenant.publish()
      const due = wakeUp(await deliveryOf(eventId))
      const cutOff = await claim(due)
      const taken = await claim(due)
      t.match(taken, { attemptNumber: 2, abandonedCount: 1, eventId })
      t.match(await attemptsOf(due.deliveryId), [
        { outcome: 'abandoned', reason: 'runner_lost' },
        { outcome: 'started', reason: null },
      ])

      t.equal(await finish(finishing(cutOff, delivered, null)), 'stale')
      t.match(await deliveryOf(eventId), { state: 'delivering', claim: taken?.attemptId })
      t.match(await attemptsOf(due.deliveryId), [
        { outcome: 'stale', status_code: 200, reason: null },
        { outcome: 'started' },
      ])

      t.equal(await finish(finishing(taken, answer(), 60)), 'pending')
      t.match(await deliveryOf(eventId), { state: 'pending', attempt_count: 2, due_attempt: 2 })
    },
  )

  // Up to a hundred deliveries that had been answered were sent again because of one of them (issue 6).
  t.test('a result that Postgres refuses costs no other in its batch', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const events = await Promise.all([1, 2, 3].map(() => tenant.publish()))
    const claimed = await Promise.all(
      events.map(async (event) => claim(wakeUp(await deliveryOf(event)))),
    )
    const results = claimed.map((one, at) =>
      finish(finishing(one, at === 1 ? { ...delivered, error: 'NUL: \0' } : delivered, null)),
    )
    t.match(await Promise.allSettled(results), [
      { value: 'delivered' },
      { status: 'rejected', reason: { code: '22P05' } },
      { value: 'delivered' },
    ])
  })

  t.test('finishing twice is harmless', async (t) => {
    const { tenant, claim, finish } = await bundle()
    const eventId = await tenant.publish()
    const claimed = await claim(wakeUp(await deliveryOf(eventId)))
    await finish(finishing(claimed, answer(), 60))
    t.equal(await finish(finishing(claimed, delivered, null)), 'already')
    t.match(await deliveryOf(eventId), { state: 'pending', due_attempt: 2 })
    t.match(await attemptsOf(claimed?.deliveryId ?? ''), [{ outcome: 'rejected' }])
  })

  t.test(
    'a delivery that was cancelled while it was sent stays cancelled, and its attempt is written',
    async (t) => {
      const { tenant, claim, finish } = await bundle()
      const eventId = await tenant.publish()
      const claimed = await claim(wakeUp(await deliveryOf(eventId)))
      await pool.query(
        `update postrider.delivery set state = 'cancelled', finished_at = now() where event_id = $1`,
        [eventId],
      )
      t.equal(await finish(finishing(claimed, answer(), 60)), 'cancelled')
      t.match(await deliveryOf(eventId), { state: 'cancelled', claim: null, payload: /"n":1/ })
      t.match(await attemptsOf(claimed?.deliveryId ?? ''), [
        { outcome: 'rejected', status_code: 500 },
      ])
    },
  )

  t.test(
    'deliveries of a paused endpoint or a suspended tenant are held instead of sent',
    async (t) => {
      const { tenant, endpoint, claim, finish } = await bundle()
      const [before, during] = [await tenant.publish(), await tenant.publish()]
      const claimed = await claim(wakeUp(await deliveryOf(during)))
      await pool.query(`update postrider.endpoint set state = 'paused' where id = $1`, [
        endpoint.id,
      ])

      t.equal(await claim(wakeUp(await deliveryOf(before))), null)
      t.match(await deliveryOf(before), { state: 'held', claim: null, attempt_count: 0 })
      t.equal(await finish(finishing(claimed, answer(), 60)), 'held')
      t.match(await deliveryOf(await tenant.publish()), { state: 'held', payload: null })

      await pool.query(`update postrider.endpoint set state = 'active' where id = $1`, [
        endpoint.id,
      ])
      const later = await tenant.publish()
      await pool.query('update postrider.tenant set suspended_at = now() where id = $1', [
        tenant.id,
      ])
      t.equal(await claim(wakeUp(await deliveryOf(later))), null)
      t.match(await deliveryOf(later), { state: 'held' })
    },
  )

  t.test('a reaped runner claims nothing', async (t) => {
    const { tenant, runner, claim } = await bundle()
    const due = wakeUp(await deliveryOf(await tenant.publish()))
    await pool.query('update postrider.runner set reaped_at = now() where id = $1', [runner])
    await t.rejects(claim(due), { code: '55000' })
    t.same(await attemptsOf(due.deliveryId), [])
  })

  t.test(
    'what a second runner was lost with comes back at different moments, and the rest at once',
    async (t) => {
      const { tenant, runner, claim } = await bundle()
      const events = await Promise.all(Array.from({ length: 21 }, () => tenant.publish()))
      const dueOf = async (event = '') => wakeUp(await deliveryOf(event))
      for (const event of events.slice(1)) await claim(await dueOf(event))
      for (const event of events) await claim(await dueOf(event))
      await pool.query(
        `update graphile_worker._private_jobs set locked_by = $1, locked_at = now()
         where key = any (select 'd:' || id from postrider.delivery where tenant_id = $2)`,
        [runner, tenant.id],
      )
      await pool.query('update postrider.runner set session_pid = 0 where id = $1', [runner])
      const reaped = await pool.query('select postrider.reap($1) as dead', [[runner]])
      t.same(reaped.rows, [{ dead: [runner] }])

      const now = Date.now()
      const [first = Number.NaN, ...again] = await Promise.all(
        events.map(async (event) => (await deliveryOf(event)).run_at - now),
      )
      t.ok(first <= 0, 'the first time at once')
      // Two of them can fall on one millisecond, half of them cannot.
      t.ok(new Set(again).size > again.length / 2, `again at ${again}`)
      t.ok(again.every((ms) => ms <= 30_000))
      t.ok(Math.max(...again) - Math.min(...again) > 5_000)
    },
  )

  t.test('an event whose row is gone is claimed without a body', async (t) => {
    const { tenant, claim } = await bundle()
    const eventId = await tenant.publish()
    await pool.query('delete from postrider.event where id = $1', [eventId])
    t.match(await claim(wakeUp(await deliveryOf(eventId))), { body: null, attemptNumber: 1 })
  })

  t.test('ids made in one statement hide no row behind the bounds of a query', async (t) => {
    const { tenant, claim } = await bundle()
    const published = await pool.query<{ event_id: string }>(
      `select event_id from postrider.publish_many((
         select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n)) from generate_series(1, 300) as n))`,
      [tenant.key],
    )
    const { rows } = await pool.query(
      'select id, due_attempt from postrider.delivery where tenant_id = $1',
      [tenant.id],
    )
    t.equal(rows.length, 300)
    const claimed = await Promise.all(rows.map((row) => claim(wakeUp(row))))
    t.same(
      new Set(claimed.map((one) => one?.eventId)),
      new Set(published.rows.map((row) => row.event_id)),
    )
    t.notOk(claimed.some((one) => one?.body === null))
    const found = await pool.query(
      `select count(*)::int as attempts from postrider.delivery d
       join postrider.attempt a on a.delivery_id = d.id and a.id >= postrider.id_floor(d.id)
       where d.tenant_id = $1`,
      [tenant.id],
    )
    t.same(found.rows, [{ attempts: 300 }])
  })

  t.end()
}
