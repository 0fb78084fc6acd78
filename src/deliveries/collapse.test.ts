import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createLineSteps } from '../testing/data/lines.ts'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

type Work = Awaited<ReturnType<typeof createWork>>
const HOUR_MS = 3_600_000
/** Newer ones may still come for an hour. */
const PATIENT = { collapse_ms: HOUR_MS }
/** Due at once: what waits, waits for something else. */
const PROMPT = { collapse_ms: 0 }

function conformance(t: Test, { pool }: TestDatabase) {
  const { statesOf, attempt, call, runJobs } = createLineSteps(pool)
  const advance = async (work: Work) => {
    while ((await runJobs(work, 'advance')) > 0);
  }
  const publish = async (work: Work, ...items: Parameters<Work['publishInOrder']>) => {
    const ids = await work.publishInOrder(...items)
    await advance(work)
    return ids
  }
  const collapsedBy = async (event: string) => {
    const { rows } = await pool.query<{ by: string | null }>(
      'select collapsed_by as by from postrider.delivery where event_id = $1',
      [event],
    )
    return rows[0]?.by
  }
  const claim = async (work: Work, event: string) => work.claim(await work.deliveryOf(event))
  /** As if the time of who has the turn had come. */
  const makeDue = (event: string) =>
    pool.query(
      `update postrider.delivery set next_attempt_at = now() - interval '1 second' where event_id = $1`,
      [event],
    )
  const waiting = async (work: Work) => {
    const { rows } = await pool.query<{ places: number }>(
      'select count(*)::int as places from postrider.ordering_place where endpoint_id = $1',
      [work.endpoint.id],
    )
    return rows[0]?.places
  }
  const set = (work: Work, columns: string) =>
    pool.query(`update postrider.endpoint set ${columns} where id = $1`, [work.endpoint.id])

  t.test('one that was missed is not sent while a newer one is open', async (t) => {
    const work = await createWork(pool, PATIENT)
    await set(work, `state = 'disabled', disabled_at = now()`)
    const [missed = ''] = await publish(work, 'a')
    await set(work, `state = 'active'`)
    const [a2 = ''] = await publish(work, 'a')
    const resend = () => call('postrider.resend($1, $2)', [missed, work.endpoint.id])
    await t.rejects(resend(), { code: '55000', message: /a newer event/ })
    await makeDue(a2)
    await attempt(work, a2, 200)
    await resend()
    t.strictSame(await statesOf(work, [missed, a2]), ['pending', 'delivered'])
  })

  t.test(
    'of those that wait only the newest is sent, when the time of the first has come',
    async (t) => {
      const work = await createWork(pool, PATIENT)
      const [a1 = '', b1 = ''] = await publish(work, 'a', 'b')
      const first = (await work.deliveryOf(a1)).next_attempt_at
      t.ok(Number((await work.deliveryOf(a1)).run_in) > 3_500, 'it waits for newer ones')
      const [a2 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a1, a2, b1]), ['collapsed', 'pending', 'pending'])
      t.equal(await collapsedBy(a1), a2)
      const [a3 = '', a4 = '', a5 = ''] = await publish(work, 'a', 'a', 'a')
      t.strictSame(await statesOf(work, [a2, a3, a4, a5]), [
        ...['collapsed', 'collapsed', 'collapsed', 'pending'],
      ])
      t.strictSame(
        (await work.deliveryOf(a5)).next_attempt_at,
        first,
        'the bound is that of the first',
      )
      t.equal((await attempt(work, a5, 200)) && (await work.deliveryOf(a5)).state, 'delivered')
      t.equal(await waiting(work), 0)
      const [a6 = ''] = await publish(work, 'a')
      t.ok(Number((await work.deliveryOf(a6)).run_in) > 3_500, 'the next one is a first again')
    },
  )

  t.test('an event without a key is sent at once, and replaces none', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = ''] = await publish(work, 'a')
    const plain = await work.publish()
    t.ok(Number(plain.run_in) <= 0)
    t.strictSame(await statesOf(work, [a1, plain.eventId]), ['pending', 'pending'])
  })

  t.test('what is being sent is not replaced: the line holds it and the newest', async (t) => {
    const work = await createWork(pool, { ...PROMPT, ordering: 'key' })
    const [a1 = ''] = await publish(work, 'a')
    const claimed = await claim(work, a1)
    const [a2 = ''] = await publish(work, 'a')
    const [a3 = ''] = await publish(work, 'a')
    const [a4 = ''] = await publish(work, 'a', 'a', 'a').then((ids) => ids.slice(-1))
    t.strictSame(await statesOf(work, [a1, a2, a3, a4]), [
      ...['delivering', 'collapsed', 'collapsed', 'held:order'],
    ])
    t.equal(await waiting(work), 1)
    await work.finish(claimed, 200)
    t.strictSame(await statesOf(work, [a1, a4]), ['delivered', 'pending'])
    await attempt(work, a4, 200)
    t.strictSame(await statesOf(work, [a4]), ['delivered'])
  })

  t.test(
    'the newest is claimed in the place of one that is due, by the job of that one',
    async (t) => {
      const work = await createWork(pool, PROMPT)
      const [a1 = ''] = await publish(work, 'a')
      const before = await work.deliveryOf(a1)
      const [a2 = '', a3 = ''] = await publish(work, 'a', 'a')
      t.strictSame(await statesOf(work, [a1, a2, a3]), ['pending', 'collapsed', 'held:order'])
      const claimed = await work.claim(before)
      t.equal(claimed?.eventId, a3)
      t.strictSame(await statesOf(work, [a1, a3]), ['collapsed', 'delivering'])
      t.equal(await collapsedBy(a1), a3)
      const { job, job_number: number, due_attempt: due } = await work.deliveryOf(a3)
      t.equal(job, before.job, 'the job goes with the turn')
      t.equal(number, due)
      t.equal(await work.claim(before), null, 'the old job would do nothing more')
      // The runner dies: another one gets the job, and takes the newest over.
      const again = await claim(work, a3)
      t.equal(again?.eventId, a3)
      t.equal(again?.abandonedCount, 1)
      await work.finish(again, 200)
      t.strictSame(await statesOf(work, [a3]), ['delivered'])
    },
  )

  t.test('one that was cut off yields as well, and its attempt is in the log', async (t) => {
    const work = await createWork(pool, PROMPT)
    const [a1 = ''] = await publish(work, 'a')
    await claim(work, a1)
    const [a2 = ''] = await publish(work, 'a')
    await call('postrider.requeue_deliveries(array[$1::uuid])', [(await work.deliveryOf(a1)).id])
    t.equal((await claim(work, a1))?.eventId, a2)
    t.match(await work.attemptsOf((await work.deliveryOf(a1)).id), [{ outcome: 'abandoned' }])
    t.strictSame(await statesOf(work, [a1]), ['collapsed'])
  })

  t.test(
    'one that waits for its retry makes room for a newer one, whose schedule is new',
    async (t) => {
      const work = await createWork(pool, { collapse_ms: 60_000 })
      const [a1 = ''] = await publish(work, 'a')
      await attempt(work, a1, 500, 3_000)
      const [a2 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'pending'])
      const { due_in: due, schedule_step: step } = await work.deliveryOf(a2)
      t.ok(Number(due) > 0 && Number(due) <= 60, 'it waits its time, and not for the retry')
      t.equal(step, 0)
      const [a3 = ''] = await publish(work, 'a')
      const claimed = await claim(work, a3)
      const [a4 = ''] = await publish(work, 'a')
      await work.finish(claimed, 500, 3_000)
      t.strictSame(
        await statesOf(work, [a3, a4]),
        ['collapsed', 'pending'],
        'also one that came while it was sent',
      )
    },
  )

  t.test('one whose schedule is used up blocks nobody, whatever the endpoint says', async (t) => {
    const work = await createWork(pool, { ...PROMPT, ordering: 'key', on_failure: 'block' })
    const [a1 = ''] = await publish(work, 'a')
    await attempt(work, a1, 500)
    const [a2 = ''] = await publish(work, 'a')
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'])
  })

  t.test('an event for later replaces nothing before its time, and is sent then', async (t) => {
    const work = await createWork(pool, { collapse_ms: 1_000 })
    const deliverAt = new Date(Date.now() + HOUR_MS).toISOString()
    const [a1 = ''] = await publish(work, 'a')
    const [later = ''] = await publish(work, { key: 'a', deliverAt })
    const [a3 = ''] = await publish(work, 'a')
    t.strictSame(await statesOf(work, [a1, a3]), ['collapsed', 'pending'])
    t.strictSame(await statesOf(work, [later]), ['collapsed'], 'a newer one replaces it')
    await attempt(work, a3, 200)

    const [b1 = ''] = await publish(work, { key: 'b', deliverAt })
    t.ok(Number((await work.deliveryOf(b1)).run_in) > 3_500)
    const [b2 = ''] = await publish(work, 'b')
    t.strictSame(
      await statesOf(work, [b1, b2]),
      ['collapsed', 'pending'],
      'also where it had the turn',
    )
    const [b3 = ''] = await publish(work, { key: 'b', deliverAt })
    t.strictSame(await statesOf(work, [b2, b3]), ['pending', 'held:order'])
    await attempt(work, b2, 200)
    t.strictSame(await statesOf(work, [b3]), ['pending'])
    t.ok(Number((await work.deliveryOf(b3)).run_in) > 3_500, 'not before its time')
  })

  t.test(
    'when its time has come, a later event replaces one that waits for its retry',
    async (t) => {
      const work = await createWork(pool, PROMPT)
      const [a1 = ''] = await publish(work, 'a')
      await attempt(work, a1, 500, 3_000)
      const deliverAt = new Date(Date.now() + HOUR_MS).toISOString()
      const [a2 = ''] = await work.publishInOrder({ key: 'a', deliverAt })
      const { rows } = await pool.query(
        `select p.run_at::timestamptz(0) = $2::timestamptz(0) as is_then from graphile_worker.jobs j
       join graphile_worker._private_jobs p using (id)
       where j.task_identifier = 'advance' and p.payload ->> 'e' = $1`,
        [work.endpoint.id, deliverAt],
      )
      t.strictSame(rows, [{ is_then: true }], 'a job looks then')
      await pool.query(
        `update postrider.ordering_place set not_before = now(), due_at = now() where endpoint_id = $1`,
        [work.endpoint.id],
      )
      await advance(work)
      t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'pending'])
    },
  )

  t.test(
    'a paused, disabled, suspended or failing endpoint holds the newest, and no more',
    async (t) => {
      const work = await createWork(pool, PROMPT)
      const { endpoint, tenant } = work
      const [a1 = ''] = await publish(work, 'a')
      await call(`postrider.pause_endpoint($1, 'Ann')`, [endpoint.id])
      const [a2 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'held:paused'])
      await call(`postrider.resume_endpoint($1, 'Ann')`, [endpoint.id])
      await runJobs(work, 'align')
      t.strictSame(await statesOf(work, [a2]), ['pending'])
      await pool.query(`update postrider.tenant set suspended_at = now() where id = $1`, [
        tenant.id,
      ])
      t.equal(await claim(work, a2), null)
      t.strictSame(await statesOf(work, [a2]), ['held:suspended'])
      await call('postrider.resume_tenant($1)', [tenant.key])
      await runJobs(work, 'align')
      await pool.query(
        `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at) values ($1, $2, 20, now())`,
        [endpoint.id, tenant.id],
      )
      await call('postrider.align($1)', [endpoint.id])
      const [a3 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a2, a3]), ['collapsed', 'held:circuit'])
      t.equal(await call('postrider.probe($1)', [endpoint.id]), (await work.deliveryOf(a3)).id)
      const [a4 = ''] = await publish(work, 'a')
      t.equal((await claim(work, a3))?.eventId, a4, 'the newest is the probe')
      const { rows } = await pool.query(
        'select probe_delivery_id as id from postrider.circuit where endpoint_id = $1',
        [endpoint.id],
      )
      t.strictSame(rows, [{ id: (await work.deliveryOf(a4)).id }])
    },
  )

  t.test('a limit that puts off who has the turn lets the newest take its slot', async (t) => {
    const work = await createWork(pool, { ...PROMPT, rate_per_second: 1, max_in_flight: 1 })
    const [a1 = ''] = await publish(work, 'a')
    await work.snooze(await work.deliveryOf(a1))
    const put = await work.deliveryOf(a1)
    const [a2 = '', a3 = ''] = await publish(work, 'a', 'a')
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['pending', 'collapsed', 'held:order'])
    t.strictSame((await work.deliveryOf(a1)).run_at, put.run_at, 'its slot stays')
    t.equal((await claim(work, a1))?.eventId, a3)
  })

  t.test('the newest is cancelled or erased: nothing older is sent instead', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = '', a2 = ''] = await publish(work, 'a', 'a')
    await call('postrider.erase_event($1)', [a2])
    t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'cancelled'])
    const [a3 = ''] = await publish(work, 'a')
    await call('postrider.cancel($1)', [(await work.deliveryOf(a3)).id])
    const [a4 = ''] = await publish(work, 'a')
    t.strictSame(await statesOf(work, [a3, a4]), ['cancelled', 'pending'])
    await call('postrider.erase_event($1)', [a1])
    t.strictSame(await statesOf(work, [a1]), ['collapsed'], 'what has ended stays as it is')
  })

  t.test('a person sends a collapsed one again, unless a newer one is open', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = '', a2 = ''] = await publish(work, 'a', 'a')
    const retry = async (event: string) =>
      call(`postrider.retry_now($1, 'Ann')`, [(await work.deliveryOf(event)).id])
    await t.rejects(retry(a1), { code: '55000', message: /a newer event/ })
    await retry(a2)
    t.ok(Number((await work.deliveryOf(a2)).run_in) <= 0, 'who has the turn is hurried')
    const claimed = await claim(work, a2)
    await t.rejects(retry(a1), { code: '55000', message: /a newer event/ }, 'nor while it is sent')
    await work.finish(claimed, 200)
    await retry(a1)
    t.strictSame(await statesOf(work, [a1]), ['pending'])
    t.equal(await collapsedBy(a1), null)
    const [a3 = ''] = await publish(work, 'a')
    await makeDue(a1)
    t.equal((await claim(work, a1))?.eventId, a3, 'and may be collapsed again')
  })

  t.test('a replay goes through the line: the newest of a key is sent', async (t) => {
    const work = await createWork(pool, PROMPT)
    const [a1 = ''] = await publish(work, 'a')
    await attempt(work, a1, 200)
    const [a2 = ''] = await publish(work, 'a')
    await attempt(work, a2, 500)
    const [b1 = '', b2 = ''] = await publish(work, 'b', 'b')
    const claimed = await claim(work, b1)
    t.equal(claimed?.eventId, b2)
    await work.finish(claimed, 200)
    t.strictSame(await statesOf(work, [a1, a2, b1, b2]), [
      'delivered',
      'failed',
      'collapsed',
      'delivered',
    ])
    const { rows } = await pool.query<{ id: string }>(
      `select (r).id from (select postrider.start_replay($1, now() - interval '1 hour', clock_timestamp(),
         states => '{delivered,failed,collapsed}', rate_per_second => 1000) as r) as s`,
      [work.tenant.key],
    )
    await call('postrider.replay_step($1)', [rows[0]?.id])
    await advance(work)
    t.strictSame(await statesOf(work, [a1, a2, b1, b2]), [
      'collapsed',
      'pending',
      'collapsed',
      'pending',
    ])
  })

  t.test('a bulk job takes collapsed ones only where they are named', async (t) => {
    const work = await createWork(pool, PATIENT)
    await publish(work, 'a', 'a')
    const total = async (...args: string[]) => {
      const { rows } = await pool.query<{ total: number }>(
        `select (postrider.start_bulk($1, ${args.join(', ')}, preview => true)).total as total`,
        [work.tenant.key],
      )
      return rows[0]?.total
    }
    t.equal(await total(`'redeliver'`), 0)
    t.equal(await total(`'redeliver'`, `states => '{collapsed}'`), 1)
    t.equal(await total(`'retry'`, `states => '{collapsed}'`), 1)
    t.equal(
      await total(
        `'redeliver'`,
        `deliveries => array(select id from postrider.delivery where state = 'collapsed')`,
      ),
      1,
    )
  })

  t.test('turned on, what waits in line is collapsed; turned off, it is sent', async (t) => {
    const work = await createWork(pool, { ordering: 'key' })
    const [a1 = '', a2 = '', a3 = ''] = await publish(work, 'a', 'a', 'a')
    await attempt(work, a1, 500, 3_000)
    await set(work, 'collapse_ms = 0')
    await runJobs(work, 'align')
    await advance(work)
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['collapsed', 'collapsed', 'pending'])
    const claimed = await claim(work, a3)
    const [a4 = ''] = await publish(work, 'a')
    await set(work, `collapse_ms = null, ordering = 'none'`)
    while ((await runJobs(work, 'align')) > 0);
    t.strictSame(await statesOf(work, [a3, a4]), ['delivering', 'pending'])
    await work.finish(claimed, 200)
  })

  const runsIn = async (work: Work, event: string) => Number((await work.deliveryOf(event)).run_in)
  const isDue = async (t: Test, work: Work, event: string) => {
    t.strictSame(await statesOf(work, [event]), ['pending'])
    t.ok((await runsIn(work, event)) <= 0)
  }

  t.test('turned off, who waits for newer ones is due with the change', async (t) => {
    for (const ordering of ['none', 'key']) {
      const work = await createWork(pool, { ...PATIENT, ordering })
      const [a1 = ''] = await publish(work, 'a')
      await set(work, 'collapse_ms = null')
      await isDue(t, work, a1)
      await publish(work, 'a')
      t.equal((await claim(work, a1))?.eventId, a1)
    }
  })

  t.test('turned off, who waits behind one that is sent does not wait on', async (t) => {
    for (const ordering of ['none', 'key']) {
      const work = await createWork(pool, { ...PATIENT, ordering })
      const [a1 = ''] = await publish(work, 'a')
      const claimed = await claim(work, a1)
      const [a2 = ''] = await publish(work, 'a')
      await set(work, 'collapse_ms = null')
      while ((await runJobs(work, 'align')) > 0);
      await work.finish(claimed, 200)
      t.strictSame(await statesOf(work, [a1, a2]), ['delivered', 'pending'])
      t.ok((await runsIn(work, a2)) < 1, ordering)
    }
  })

  t.test('turned off while the endpoint is paused, nothing waits longer than that', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = ''] = await publish(work, 'a')
    await call(`postrider.pause_endpoint($1, 'Ann')`, [work.endpoint.id])
    await runJobs(work, 'align')
    t.strictSame(await statesOf(work, [a1]), ['held:paused'])
    await set(work, 'collapse_ms = null')
    await call(`postrider.resume_endpoint($1, 'Ann')`, [work.endpoint.id])
    while ((await runJobs(work, 'align')) > 0);
    t.strictSame(await statesOf(work, [a1]), ['pending'])
    t.ok((await runsIn(work, a1)) < 1)
  })

  t.test('with a shorter wait, what waits is sent at the earlier moment', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = ''] = await publish(work, 'a')
    const [b1 = ''] = await publish(work, 'b')
    const claimed = await claim(work, b1)
    const [b2 = ''] = await publish(work, 'b')
    await set(work, 'collapse_ms = 60000')
    const wait = await runsIn(work, a1)
    t.ok(wait > 0 && wait <= 60, 'counted from its publishing')
    await set(work, 'collapse_ms = 7200000')
    t.ok((await runsIn(work, a1)) <= 60, 'a longer one changes nothing for it')
    await work.finish(claimed, 200)
    t.ok((await runsIn(work, b2)) <= 60, 'also behind one that was being sent')
    await set(work, 'collapse_ms = 0')
    await isDue(t, work, a1)
    await isDue(t, work, b2)
  })

  t.test('an event for later, and a retry, keep their time whatever is turned off', async (t) => {
    const work = await createWork(pool, PATIENT)
    const deliverAt = new Date(Date.now() + 2 * HOUR_MS).toISOString()
    const [a1 = '', b1 = ''] = await publish(work, { key: 'a', deliverAt }, 'b')
    await attempt(work, b1, 500, 3_000)
    await set(work, 'collapse_ms = null')
    while ((await runJobs(work, 'align')) + (await runJobs(work, 'replan')) > 0);
    t.ok((await runsIn(work, a1)) > 7_000)
    t.ok((await runsIn(work, b1)) > 2_900)
  })

  t.test('a limit that is changed leaves the pace of a release as it is', async (t) => {
    const work = await createWork(pool, PROMPT)
    const keys = await publish(work, 'a', 'b')
    await call(`postrider.pause_endpoint($1, 'Ann')`, [work.endpoint.id])
    await runJobs(work, 'align')
    const held = await Promise.all(keys.map(async (one) => (await work.deliveryOf(one)).id))
    await set(work, `state = 'active'`)
    t.equal(await call('postrider.release_spread($1, 0.001)', [held]), 2)
    const waits = async () => Math.max(...(await Promise.all(keys.map((one) => runsIn(work, one)))))
    t.ok((await waits()) > 900, 'so slowly that the second one waits')
    await set(work, 'max_in_flight = 1, rate_per_second = 5')
    while ((await runJobs(work, 'replan')) > 0);
    t.ok((await waits()) > 900)
  })

  t.test('of many keys a hundred a second are due, the rest by jobs', async (t) => {
    const work = await createWork(pool, PATIENT)
    await publish(work, ...Array.from({ length: 250 }, (_, n) => `key:${n}`))
    const hurried = async () => {
      const { rows } = await pool.query<{ count: number }>(
        `select count(*)::int from postrider.delivery where endpoint_id = $1 and next_attempt_at <= now()`,
        [work.endpoint.id],
      )
      return rows[0]?.count
    }
    await set(work, 'collapse_ms = null')
    t.equal(await hurried(), 100)
    await call('postrider.replan_waits($1, true)', [work.endpoint.id])
    t.equal(await hurried(), 200)
    while ((await runJobs(work, 'replan')) > 0);
    t.equal(await hurried(), 250)
  })

  t.test('a burst behind one that is sent is collapsed batch by batch', async (t) => {
    const work = await createWork(pool, PROMPT)
    const [a1 = ''] = await publish(work, 'a')
    const claimed = await claim(work, a1)
    await work.publishInOrder(...Array.from({ length: 999 }, () => 'a'))
    const [last = ''] = await publish(work, 'a')
    t.equal(await waiting(work), 1)
    await work.finish(claimed, 200)
    t.strictSame(await statesOf(work, [a1, last]), ['delivered', 'pending'])
    const { rows } = await pool.query(
      'select count(*)::int from postrider.delivery where endpoint_id = $1 and collapsed_by = $2',
      [work.endpoint.id, last],
    )
    t.match(rows, [{ count: 999 }], 'each says by what')
  })

  t.test(
    'a producer that is not done keeps nobody from sending, and its event is not forgotten',
    async (t) => {
      const work = await createWork(pool, PROMPT)
      const [a1 = ''] = await publish(work, 'a')
      await attempt(work, a1, 500, 3_000)
      const own = new Pool({ ...pool.options, max: 1 })
      t.teardown(() => own.end())
      const client = await own.connect()
      await client.query('begin')
      const { rows } = await client.query<{ id: string }>(
        `select postrider.publish($1, 'invoice.paid', '{}', ordering_key => 'a') as id`,
        [work.tenant.key],
      )
      const a2 = rows[0]?.id ?? ''
      await makeDue(a1)
      t.equal((await claim(work, a1))?.eventId, a1, 'what is not committed replaces nothing')
      await client.query('commit')
      client.release()
      await advance(work)
      t.strictSame(await statesOf(work, [a1, a2]), ['delivering', 'held:order'])
    },
  )

  t.test(
    'in a batch that is being filled, a newer one takes the place of an older one',
    async (t) => {
      const bounds = { maxEvents: 10, maxWaitMs: HOUR_MS, maxBytes: 1_000_000 }
      const work = await createWork(pool, { ...PROMPT, batch_bounds: JSON.stringify(bounds) })
      const take = async (event: string, step: string) => {
        const { id, due_attempt: due } = await work.deliveryOf(event)
        const { rows } = await pool.query<{ verdict: string; event_id: string | null }>(
          `select verdict, event_id from postrider.take_batch($1, array[$2::uuid], array[$3::int], $4, $5)`,
          [work.endpoint.id, id, due, work.runner, step],
        )
        return rows
      }
      const [a1 = '', b1 = ''] = await publish(work, 'a', 'b')
      t.match(await take(a1, 'look'), [{ verdict: 'filling' }])
      t.match(await take(b1, 'look'), [{ verdict: 'filling' }])
      const [a2 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'pending'])
      t.match(await take(a2, 'look'), [{ verdict: 'filling' }])
      await pool.query('update postrider.batch_room set due = now() where endpoint_id = $1', [
        work.endpoint.id,
      ])
      const claimed = (await take(a2, 'claim')).map(({ event_id: id }) => id)
      t.strictSame(claimed.toSorted(), [a2, b1].toSorted())
      const [a3 = ''] = await publish(work, 'a')
      t.strictSame(await statesOf(work, [a2, a3]), ['delivering', 'held:order'])
    },
  )

  t.test('a deleted endpoint leaves no line', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = '', a2 = ''] = await publish(work, 'a', 'a')
    await call('postrider.delete_endpoint($1, $2)', [work.tenant.id, work.endpoint.id])
    await call('postrider.cancel_deliveries_of($1)', [work.endpoint.id])
    while ((await runJobs(work, 'align')) > 0);
    t.strictSame(await statesOf(work, [a1, a2]), ['collapsed', 'cancelled'])
    const { rows } = await pool.query(
      'select from postrider.ordering_line where endpoint_id = $1',
      [work.endpoint.id],
    )
    t.strictSame(rows, [])
  })

  t.test('and in all of that no promise was broken', async (t) => {
    t.strictSame(await findViolations(pool), [])
  })

  t.test('one that is collapsed although nothing is sent instead is found', async (t) => {
    const work = await createWork(pool, PATIENT)
    const [a1 = '', a2 = ''] = await publish(work, 'a', 'a')
    await pool.query('delete from postrider.delivery where event_id = $1', [a2])
    t.match(
      (await findViolations(pool)).filter(({ kind }) => kind === 'newest_missing'),
      [{ id: (await work.deliveryOf(a1)).id }],
    )
  })
  t.end()
}
