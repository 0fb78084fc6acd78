import t, { type Test } from 'tap'
import { createWork, type WorkState } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

// A delivery was sent twice at the same time, without any crash (issue 6): what replaced a job that a runner
// had fetched and not claimed yet gave the new job the same number, and then both could claim.

onBothPostgres(t, conformance)

type Work = Awaited<ReturnType<typeof createWork>>

function conformance(t: Test, { pool }: TestDatabase) {
  const call = (name: string, ...values: unknown[]) =>
    pool.query(
      `select postrider.${name}(${values.map((_, at) => `$${at + 1}`).join(', ')})`,
      values,
    )

  const REPLACEMENTS: Record<string, (work: Work, due: WorkState) => Promise<unknown>> = {
    'a retry': (_, due) => call('retry_now', due.id),
    'a snooze': (work, due) => work.snooze(due),
    'a pause and its end': async ({ endpoint }) => {
      await call('pause_endpoint', endpoint.id)
      await call('resume_endpoint', endpoint.id)
    },
    'a cancellation and a retry': async (_, due) => {
      await call('cancel', due.id)
      await call('retry_now', due.id)
    },
    'a cancellation with its endpoint and a retry': async ({ endpoint }, due) => {
      await call('cancel_deliveries_of', endpoint.id)
      await call('retry_now', due.id)
    },
    'a cancellation and a replay': async ({ tenant }, due) => {
      await call('cancel', due.id)
      const { rows } = await pool.query<{ id: string }>(
        `select id from postrider.start_replay($1, now() - interval '1 hour', states => '{cancelled}')`,
        [tenant.key],
      )
      await call('replay_step', rows[0]?.id)
    },
    'the reconciler': async (work, due) => {
      await work.loseJob(due.id)
      await pool.query(`select postrider.reconcile('0')`)
    },
    'a probe': async ({ endpoint, tenant }) => {
      await pool.query(
        `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at) values ($1, $2, 20, now(), now())`,
        [endpoint.id, tenant.id],
      )
      await call('align', endpoint.id)
      await call('probe', endpoint.id)
    },
  }

  for (const [name, replace] of Object.entries(REPLACEMENTS)) {
    t.test(`${name} makes the job late that a runner has fetched and not claimed`, async (t) => {
      const work = await createWork(pool)
      const fetched = await work.publish()
      await replace(work, fetched)

      const due = await work.deliveryOf(fetched.eventId)
      t.equal(due.job_number, due.due_attempt, 'the newest job is the one that is due')
      t.equal(await work.claim(fetched), null)
      t.ok(await work.claim(due))
      t.equal(await work.claim(fetched), null, 'nor does it take over what is being sent')
      t.match(await work.attemptsOf(due.id), [{ outcome: 'started' }])
    })
  }

  t.test('a poison delivery that is postponed has a job of a new number', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    for (let cut = 0; cut < 3; cut++) t.ok(await work.claim(due))
    t.equal(await work.claim(due), null)
    const postponed = await work.deliveryOf(due.eventId)
    t.match(postponed, { state: 'pending', due_attempt: 2, job_number: 2 })
    t.equal(await work.claim(due), null)
  })

  t.test('a runner that has a late job next to the newest sends once', async (t) => {
    const work = await createWork(pool)
    const late = await work.publish()
    await call('retry_now', late.id)
    const due = await work.deliveryOf(late.eventId)
    const claims = await Promise.all([work.claim(late), work.claim(due), work.claim(late)])
    t.match(claims, [null, { deliveryId: due.id }, null])
  })

  // The snooze of a late job took the place of the job that was due, and its own number claimed nothing: the
  // delivery had no job until the reconciler came by.
  t.test('a late job is not put off: the one that is due keeps its place', async (t) => {
    const work = await createWork(pool)
    const late = await work.publish()
    await call('retry_now', late.id)
    const due = await work.deliveryOf(late.eventId)
    await work.snooze(late)
    t.match(await work.deliveryOf(late.eventId), { job: due.job, due_attempt: due.due_attempt })
    t.ok(await work.claim(due))
  })

  t.test('a snooze that is done twice, its answer being lost, counts once', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.snooze(due)
    const put = await work.deliveryOf(due.eventId)
    await work.snooze(due)
    t.match(await work.deliveryOf(due.eventId), { job: put.job, job_number: 2, due_attempt: 2 })
    t.ok((put.run_in ?? 0) > 50)
  })

  // A runner knows the limits of some seconds ago: what it put off by them waited for up to an hour.
  t.test('what is put off by a limit that has changed since is due at once', async (t) => {
    const work = await createWork(pool)
    for (const changed of ['rate_per_second = 2', 'max_in_flight = 2']) {
      await pool.query(`update postrider.endpoint set ${changed} where id = $1`, [work.endpoint.id])
      const due = await work.publish()
      t.same(await work.snooze(due), [work.endpoint.id])
      const again = await work.deliveryOf(due.eventId)
      t.ok((again.run_in ?? 60) <= 0, `${changed}: due in ${again.run_in} s`)
      await pool.query(
        'update postrider.endpoint set rate_version = 0, max_in_flight = null where id = $1',
        [work.endpoint.id],
      )
    }
    t.same(await work.snooze(await work.publish()), [], 'unchanged limits are no news')
  })

  t.test('a job whose delivery was held or cancelled meanwhile is not put off', async (t) => {
    const work = await createWork(pool)
    const [held, cancelled] = [await work.publish(), await work.publish()]
    await call('cancel', cancelled.id)
    await call('pause_endpoint', work.endpoint.id)
    for (const due of [held, cancelled]) {
      await work.snooze(due)
      t.match(await work.deliveryOf(due.eventId), { job: null })
    }
  })

  t.test(
    'what a dead runner had claimed is put off by its next, and then taken over',
    async (t) => {
      const [work, heir] = [await createWork(pool), await createWork(pool)]
      const due = await work.publish()
      await work.claim(due)
      await work.die()
      await heir.snooze(due)
      const put = await work.deliveryOf(due.eventId)
      t.match(put, { state: 'delivering', job_number: 2 })
      t.match(await heir.claim(put), { attemptNumber: 2, abandonedCount: 1 })
      t.match(await work.attemptsOf(due.id), [{ outcome: 'abandoned' }, { outcome: 'started' }])
    },
  )

  t.test('a runner that was found dead puts nothing off: others may have its jobs', async (t) => {
    const [work, heir] = [await createWork(pool), await createWork(pool)]
    const due = await work.publish()
    await work.die()
    t.ok(await heir.claim(due))
    await t.rejects(work.snooze(due), { code: '55000' })
    t.match(await work.deliveryOf(due.eventId), { due_attempt: 1 })
  })

  t.test('a replay leaves what was cancelled while a request is on the wire', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const claimed = await work.claim(due)
    await call('cancel', due.id)
    const { rows } = await pool.query<{ id: string }>(
      `select id from postrider.start_replay($1, now() - interval '1 hour', states => '{cancelled}')`,
      [work.tenant.key],
    )
    await call('replay_step', rows[0]?.id)
    t.match(await work.deliveryOf(due.eventId), { state: 'cancelled', job: null })
    t.equal(await work.finish(claimed, 200), 'cancelled')
  })

  t.end()
}
