import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const UNKNOWN = '01900000-0000-7000-8000-000000000000'

function conformance(t: Test, { pool }: TestDatabase) {
  /** Calls postrider.<name>(…) and returns its value. */
  async function call<T = unknown>(name: string, ...values: unknown[]): Promise<T> {
    const places = values.map((_, at) => `$${at + 1}`).join(', ')
    const { rows } = await pool.query(`select postrider.${name}(${places}) as value`, values)
    return rows[0]?.value
  }
  const isHealthy = async (t: Test) => t.strictSame(await findViolations(pool), [])

  t.test('retry_now makes a waiting delivery due ahead of everything else', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 3600)
    t.equal(await call('retry_now', due.id, 'ann'), 'attempt 2 is due now')
    const retried = await work.deliveryOf(due.eventId)
    t.match(retried, { state: 'pending', trigger: 'manual', priority: -10, job_number: 3 })
    t.equal(retried.schedule_step, 1, 'the schedule goes on where it was')
    t.ok((retried.run_in ?? 1) <= 0)
    const claimed = await work.claim(retried)
    t.match(claimed, { attemptNumber: 2, scheduleStep: 1 })
    t.match((await work.attemptsOf(due.id)).at(-1), { trigger: 'manual' })
    t.match(await work.audited(), [
      { who: 'ann', action: 'retry_now', target_id: due.id, detail: { stateBefore: 'pending' } },
    ])
    await isHealthy(t)
  })

  for (const [end, statusCode] of [
    ['failed', 500],
    ['delivered', 200],
  ] as const) {
    t.test(
      `retry_now reopens one that is ${end}: attempts count on, the schedule begins again`,
      async (t) => {
        const work = await createWork(pool)
        const due = await work.publish()
        await work.finish(await work.claim(due), 500, 0)
        await work.finish(await work.claim({ id: due.id, due_attempt: 2 }), statusCode)
        t.match(await work.deliveryOf(due.eventId), { state: end })
        await call('retry_now', due.id)
        const reopened = await work.deliveryOf(due.eventId)
        t.match(reopened, {
          state: 'pending',
          schedule_step: 0,
          attempt_count: 2,
          due_attempt: 4,
          finished_at: null,
          job_number: 4,
        })
        t.equal(await work.finish(await work.claim(reopened), 200), 'delivered')
        await isHealthy(t)
      },
    )
  }

  t.test('retry_now reopens one that was cancelled before it was ever sent', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await call('cancel', due.id)
    await call('retry_now', due.id)
    const reopened = await work.deliveryOf(due.eventId)
    t.match(reopened, { state: 'pending', due_attempt: 2, job_number: 2 })
    t.match(await work.claim(reopened), { attemptNumber: 1 })
  })

  t.test('retry_now refuses what is in flight, and takes over what was cut off', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.claim(due)
    await t.rejects(call('retry_now', due.id), { code: '55006', hint: /outcome/ })
    await work.die()
    await call('retry_now', due.id)
    t.match(await work.attemptsOf(due.id), [{ outcome: 'abandoned' }])
    t.match(await work.deliveryOf(due.eventId), { state: 'pending', claim: null, due_attempt: 2 })
  })

  t.test('retry_now says what to do where the endpoint accepts no work', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const { id } = work.endpoint
    const refusal = async () => {
      try {
        await call('retry_now', due.id)
        return null
      } catch (error) {
        const { code, message, hint } = error as { code: string; message: string; hint: string }
        return { code, message, hint }
      }
    }
    await call('pause_endpoint', id)
    t.match(await refusal(), {
      code: '55000',
      message: 'the endpoint is paused',
      hint: `select postrider.resume_endpoint('${id}')`,
    })
    await pool.query(
      `update postrider.endpoint set state = 'disabled', disabled_reason = 'it is dead' where id = $1`,
      [id],
    )
    t.match(await refusal(), {
      message: /it is dead/,
      hint: `select postrider.enable_endpoint('${id}')`,
    })
    await call('enable_endpoint', id)
    await call('suspend_tenant', work.tenant.key)
    t.match(await refusal(), { hint: `select postrider.resume_tenant('${work.tenant.key}')` })
    await call('resume_tenant', work.tenant.key)
    await call('pause_all')
    t.match(await refusal(), { hint: 'select postrider.resume_all()' })
    await call('resume_all')
    t.equal(await refusal(), null)
    await call('delete_endpoint', work.tenant.id, id)
    t.match(await refusal(), { message: 'the endpoint was deleted' })
    await t.rejects(call('retry_now', UNKNOWN), { code: 'P0002', hint: /delivery/ })
    await pool.query('delete from postrider.delivery where id = $1', [due.id])
  })

  t.test('retry_now is the probe of an open circuit', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 3600)
    const where = `where endpoint_id = '${work.endpoint.id}'`
    await pool.query(`update postrider.circuit set failures = 20, opened_at = now() ${where}`)
    await call('schedule_probe', work.endpoint.id, new Date(Date.now() + 60_000))
    await call('align', work.endpoint.id)
    t.match(await work.deliveryOf(due.eventId), { state: 'held' })
    await call('retry_now', due.id)
    const probing = await work.deliveryOf(due.eventId)
    t.match(probing, { state: 'pending', job_number: 3 })
    const { rows } = await pool.query(`select from graphile_worker.jobs where key like 'probe:%'`)
    t.equal(rows.length, 0, 'no other probe runs next to it')
    t.equal(await work.finish(await work.claim(probing), 200), 'delivered')
    t.strictSame((await pool.query(`select from postrider.circuit ${where}`)).rows, [])
    await isHealthy(t)
  })

  t.test('cancel ends a delivery and removes its job', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    t.equal(await call('cancel', due.id, 'ann'), 'cancelled')
    const cancelled = await work.deliveryOf(due.eventId)
    t.match(cancelled, { state: 'cancelled', job: null, next_attempt_at: null, claim: null })
    t.ok(cancelled.finished_at)
    t.equal(await work.claim(due), null)
    await t.rejects(call('cancel', due.id), { code: '55000', message: /already cancelled/ })
    await t.rejects(call('cancel', UNKNOWN), { code: 'P0002' })
    t.match(await work.audited(), [
      { who: 'ann', action: 'cancel', detail: { stateBefore: 'pending', onTheWire: false } },
    ])
  })

  t.test('cancel says when a request may be on the wire, and its outcome is written', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const claimed = await work.claim(due)
    t.match(await call('cancel', due.id), /one request may be on the wire/)
    await t.rejects(call('retry_now', due.id), { code: '55006' })
    t.equal(await work.finish(claimed, 500, 60), 'cancelled')
    t.match(await work.deliveryOf(due.eventId), { state: 'cancelled', claim: null, job: null })
    t.match(await work.attemptsOf(due.id), [{ outcome: 'rejected' }])
    await isHealthy(t)
  })

  t.test('cancel closes the attempt of a runner that is dead', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.claim(due)
    await work.die()
    t.equal(await call('cancel', due.id), 'cancelled')
    t.match(await work.attemptsOf(due.id), [{ outcome: 'abandoned' }])
    t.match(await work.deliveryOf(due.eventId), { claim: null, job: null })
  })

  t.test('a paused endpoint holds what is open, in batches, and resumes in order', async (t) => {
    const work = await createWork(pool)
    const deliveries = [await work.publish(), await work.publish(), await work.publish()]
    const states = async () =>
      await Promise.all(
        deliveries.map(async ({ eventId }) => (await work.deliveryOf(eventId)).state),
      )

    t.equal(await call('pause_endpoint', work.endpoint.id, 'ann', 2), 1)
    t.strictSame(await states(), ['held', 'held', 'pending'])
    t.equal(await call('pause_endpoint', work.endpoint.id, 'ann', 2), 0)
    t.strictSame(await states(), ['held', 'held', 'held'])
    t.match(await work.publish(), { state: 'held', job: null })
    await isHealthy(t)

    t.equal(await call('resume_endpoint', work.endpoint.id, 'ann', 2), 2)
    t.strictSame(await states(), ['pending', 'pending', 'held'], 'the oldest first')
    await isHealthy(t)
    t.equal(await call('resume_endpoint', work.endpoint.id, 'ann', 3), 0)
    t.strictSame(await states(), ['pending', 'pending', 'pending'])
    t.match(await work.audited(), [{ action: 'pause_endpoint' }, { action: 'resume_endpoint' }])
    t.equal((await work.audited()).length, 2, 'once each, however many batches')
    await isHealthy(t)
  })

  t.test('what is released is spread over time', async (t) => {
    const work = await createWork(pool)
    await call('pause_endpoint', work.endpoint.id)
    const deliveries = await Promise.all(Array.from({ length: 50 }, work.publish))
    await call('resume_endpoint', work.endpoint.id)
    const waits = await Promise.all(
      deliveries.map(async ({ eventId }) => (await work.deliveryOf(eventId)).run_in ?? 0),
    )
    const spread = Math.max(...waits) - Math.min(...waits)
    t.ok(spread > 0.3 && spread < 0.7, `50 at 100 a second take half a second: ${spread}`)
  })

  t.test('a delivery that is scheduled for later keeps its time through a pause', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 3600)
    await call('pause_endpoint', work.endpoint.id)
    await call('resume_endpoint', work.endpoint.id)
    const resumed = await work.deliveryOf(due.eventId)
    t.ok((resumed.run_in ?? 0) > 3500)
    t.match(resumed, { state: 'pending', job_number: 3 })
  })

  t.test('a disabled endpoint is enabled with a clean slate', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 60)
    await call('disable_endpoint', work.endpoint.id, 'it is dead')
    await call('align', work.endpoint.id)
    for (const name of ['pause_endpoint', 'resume_endpoint']) {
      await t.rejects(call(name, work.endpoint.id), { code: '55000', hint: /enable_endpoint/ })
    }
    t.equal(await call('enable_endpoint', work.endpoint.id), 0)
    t.match(await work.deliveryOf(due.eventId), { state: 'pending' })
    t.match(
      (
        await pool.query('select * from postrider.endpoint_health where id = $1', [
          work.endpoint.id,
        ])
      ).rows,
      [{ state: 'active', disabled_reason: null, failures: 0, pending: '1', held: '0' }],
    )
    t.match(await work.audited(), [{ detail: { disabledReason: 'it is dead', deliverHeld: true } }])
  })

  t.test('an endpoint can be enabled without what was held', async (t) => {
    const work = await createWork(pool)
    const deliveries = [await work.publish(), await work.publish(), await work.publish()]
    await call('disable_endpoint', work.endpoint.id, 'it is dead')
    await call('align', work.endpoint.id)
    t.equal(await call('enable_endpoint', work.endpoint.id, 'ann', false, 2), 1)
    t.match(
      (await pool.query('select state from postrider.endpoint where id = $1', [work.endpoint.id]))
        .rows,
      [{ state: 'disabled' }],
    )
    t.equal(await call('enable_endpoint', work.endpoint.id, 'ann', false, 2), 0)
    for (const { eventId } of deliveries) {
      t.match(await work.deliveryOf(eventId), { state: 'cancelled', job: null })
    }
    t.match(await work.publish(), { state: 'pending' })
  })

  t.test(
    'a suspended tenant publishes nothing and is sent nothing until it is resumed',
    async (t) => {
      const work = await createWork(pool)
      const due = await work.publish()
      await call('suspend_tenant', work.tenant.key, 'ann')
      await call('suspend_tenant', work.tenant.key, 'ann')
      await t.rejects(work.publish(), { message: /tenant_suspended/ })
      t.equal(await work.claim(due), null)
      t.match(await work.deliveryOf(due.eventId), { state: 'held' })
      await isHealthy(t)
      t.equal(await call('resume_tenant', work.tenant.key, 'ann'), 0)
      await isHealthy(t)
      await call('align', work.endpoint.id)
      t.match(await work.deliveryOf(due.eventId), { state: 'pending' })
      t.match(await work.audited(), [{ action: 'suspend_tenant' }, { action: 'resume_tenant' }])
      await t.rejects(call('suspend_tenant', 'nobody'), { code: 'P0002', hint: /key/ })
    },
  )

  t.test('everything can be paused: publishing goes on, and nothing is sent', async (t) => {
    const work = await createWork(pool)
    const [before, sending] = [await work.publish(), await work.publish()]
    const claimed = await work.claim(sending)
    await call('pause_all', 'ann')
    await call('pause_all', 'bob')
    t.equal(await work.claim(before), null)
    t.equal(await work.claim(await work.publish()), null)
    t.match(await work.deliveryOf(before.eventId), { state: 'held' })
    t.equal(await work.finish(claimed, 200), 'delivered', 'what is on the wire is finished')
    await isHealthy(t)

    t.equal(await call('resume_all', 'ann'), 0)
    await isHealthy(t)
    await call('align', work.endpoint.id)
    const resumed = await work.deliveryOf(before.eventId)
    t.match(resumed, { state: 'pending', job_number: 2 })
    t.ok(await work.claim(resumed))
    const { rows } = await pool.query(
      `select who, action from postrider.audit_log where action in ('pause_all', 'resume_all') and who in ('ann', 'bob')`,
    )
    t.strictSame(rows, [
      { who: 'ann', action: 'pause_all' },
      { who: 'ann', action: 'resume_all' },
    ])
  })

  t.test('nothing is written where nothing changes', async (t) => {
    const work = await createWork(pool)
    await call('resume_endpoint', work.endpoint.id)
    await call('resume_tenant', work.tenant.key)
    await call('resume_all')
    t.strictSame(await work.audited(), [])
    await t.rejects(call('pause_endpoint', UNKNOWN), { code: 'P0002', hint: /endpoint/ })
  })

  t.test('the database user is named where the caller says nobody', async (t) => {
    const work = await createWork(pool)
    await call('pause_endpoint', work.endpoint.id)
    await call('resume_endpoint', work.endpoint.id, null)
    const user = (await pool.query('select session_user::text')).rows[0].session_user
    t.match(await work.audited(), [{ who: user }, { who: user }])
  })

  t.end()
}
