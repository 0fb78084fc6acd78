import { type Client, Pool } from 'pg'
import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createLineSteps } from '../testing/data/lines.ts'
import { createWork } from '../testing/data/work.ts'
import { untilHolds } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

type Work = Awaited<ReturnType<typeof createWork>>
const ORDERED = { ordering: 'key' }
const SKIPPING = { ordering: 'key', on_failure: 'skip' }

function conformance(t: Test, { pool }: TestDatabase) {
  const { statesOf, attempt, call, runJobs } = createLineSteps(pool)
  const lines = async (work: Work) => {
    const { rows } = await pool.query(
      `select ordering_key as key, state, waiting from postrider.line_state where endpoint_id = $1 order by 1`,
      [work.endpoint.id],
    )
    return rows
  }
  /** A separate transaction, open until the test ends it. */
  const begin = async (t: Test, isolation = 'read committed') => {
    const own = new Pool({ ...pool.options, max: 1 })
    const client = await own.connect()
    await client.query(`begin isolation level ${isolation}`)
    t.teardown(async () => {
      client.release()
      await own.end()
    })
    return client as unknown as Client
  }
  const publishIn = async (client: Client, work: Work, key: string) => {
    const { rows } = await client.query<{ id: string }>(
      `select postrider.publish($1, 'invoice.paid', '{}', ordering_key => $2) as id`,
      [work.tenant.key, key],
    )
    return rows[0]?.id ?? ''
  }
  t.test('one of a key has its turn, and the others wait without a job', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', b1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'b', 'a', 'a')
    t.strictSame(await statesOf(work, [a1, b1, a2, a3]), [
      ...['pending', 'pending', 'held:order', 'held:order'],
    ])
    await attempt(work, a1, 500, 60)
    t.strictSame(await statesOf(work, [a1, a2]), ['pending', 'held:order'], 'its retry waits first')
    await attempt(work, a1, 200)
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['delivered', 'pending', 'held:order'])
    await attempt(work, b1, 200)
    await attempt(work, a2, 200)
    await attempt(work, a3, 200)
    t.strictSame(await lines(work), [], 'nothing is left')
  })

  t.test(
    'a key counts however its name is written, and as a member of the event only',
    async (t) => {
      const work = await createWork(pool, ORDERED)
      const event = (member: string, data = '{}') =>
        `{"tenant":"${work.tenant.key}","type":"invoice.paid","data":${data}${member}}`
      const written = [
        event(String.raw`,"ordering\u004bey":"a"`),
        event(',"orderingKey":"a"'),
        event('', '{"orderingKey":"a"}'),
        event(',"orderingKey":null'),
      ]
      const published: string[] = []
      for (const one of written) {
        const { rows } = await pool.query<{ event_id: string }>(
          'select event_id from postrider.publish_many($1)',
          [`[${one}]`],
        )
        published.push(rows[0]?.event_id ?? '')
      }
      t.strictSame(await statesOf(work, published), ['pending', 'held:order', 'pending', 'pending'])
    },
  )

  t.test('without a key, or to an endpoint that does not order, nothing waits', async (t) => {
    const [plain, ordered] = [await createWork(pool), await createWork(pool, ORDERED)]
    const keyed = await plain.publishInOrder('a', 'a')
    t.strictSame(await statesOf(plain, keyed), ['pending', 'pending'])
    const { eventId } = await ordered.publish()
    const { rows } = await pool.query(
      `select ordering_key, position from postrider.delivery where event_id = any ($1)`,
      [[...keyed, eventId]],
    )
    t.strictSame(rows, Array(3).fill({ ordering_key: null, position: null }))
  })

  t.test('a failed one blocks its key until it is retried with success', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', b1 = ''] = await work.publishInOrder('a', 'a', 'b')
    await attempt(work, a1, 500)
    t.strictSame(await statesOf(work, [a1, a2, b1]), ['failed', 'held:order', 'pending'])
    t.match(await lines(work), [
      { key: 'a', state: 'blocked', waiting: 1 },
      { key: 'b', state: 'moving', waiting: 0 },
    ])
    await call(`postrider.retry_head($1, 'a', 'Ann')`, [work.endpoint.id])
    t.strictSame(await statesOf(work, [a1, a2]), ['pending', 'held:order'])
    t.match(await lines(work), [{ state: 'moving' }, {}])
    await attempt(work, a1, 200)
    t.strictSame(await statesOf(work, [a1, a2]), ['delivered', 'pending'])
  })

  t.test('with onFailure skip the next one goes', async (t) => {
    const work = await createWork(pool, SKIPPING)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    await attempt(work, a1, 500, 10)
    t.strictSame(
      await statesOf(work, [a1, a2]),
      ['pending', 'held:order'],
      'not before its schedule is used up',
    )
    await attempt(work, a1, 500)
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'])
  })

  t.test('a person skips the head, or all up to an event', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', a3 = '', a4 = '', a5 = ''] = await work.publishInOrder(
      ...['a', 'a', 'a', 'a', 'a'],
    )
    await attempt(work, a1, 500)
    const skip = () => call(`postrider.skip_head($1, 'a', 'Ann')`, [work.endpoint.id])
    await skip()
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'], 'a failed one stays failed')
    await skip()
    t.strictSame(
      await statesOf(work, [a2, a3]),
      ['cancelled', 'pending'],
      'an open one is cancelled',
    )
    const upTo = (event: string, batch: number) =>
      call(`postrider.skip_to($1, 'a', $2, 'Ann', $3)`, [work.endpoint.id, event, batch])
    t.equal(await upTo(a5, 1), 1, 'a batch a call')
    t.strictSame(await statesOf(work, [a3, a4, a5]), ['pending', 'cancelled', 'held:order'])
    t.equal(await upTo(a5, 1), 0)
    t.strictSame(await statesOf(work, [a3, a5]), ['cancelled', 'pending'])
    await t.rejects(upTo(a1, 1), { code: 'P0002' }, 'one that does not wait')
    await attempt(work, a5, 200)
    await t.rejects(skip(), { code: 'P0002' }, 'nothing is open')
    t.strictSame(
      (await work.audited()).map(({ action }) => action),
      ['skip_head', 'skip_head', 'skip_to', 'skip_to'],
    )
  })

  t.test('what is cancelled on the wire keeps its turn until the attempt has ended', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    const claimed = await work.claim(await work.deliveryOf(a1))
    await call('postrider.cancel($1)', [(await work.deliveryOf(a1)).id])
    const { rows } = await pool.query(
      'select held_reason from postrider.delivery where event_id = $1',
      [a2],
    )
    t.strictSame(rows, [{ held_reason: 'order' }])
    await work.finish(claimed, 200)
    t.strictSame(await statesOf(work, [a1, a2]), ['cancelled', 'pending'])
  })

  t.test(
    'a retry of something old goes in front of what is newer, and behind what is being sent',
    async (t) => {
      const work = await createWork(pool, SKIPPING)
      const [a1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'a', 'a')
      const retry = async (event: string) =>
        call('postrider.retry_now($1)', [(await work.deliveryOf(event)).id])
      await attempt(work, a1, 500)
      const claimed = await work.claim(await work.deliveryOf(a2))
      t.match(await retry(a1), /when its turn comes/)
      t.strictSame(await statesOf(work, [a1, a3]), ['held:order', 'held:order'])
      await t.rejects(retry(a3), { code: '55000' }, 'what waits is not hurried')
      await work.finish(claimed, 500, 60)
      t.strictSame(
        await statesOf(work, [a1, a2, a3]),
        ['pending', 'held:order', 'held:order'],
        'it makes room',
      )
      await attempt(work, a1, 200)
      t.strictSame(await statesOf(work, [a1, a2, a3]), ['delivered', 'pending', 'held:order'])
      const { due_in: due } = await work.deliveryOf(a2)
      t.ok(Number(due) > 30, 'its schedule is kept')
      await retry(a1)
      t.strictSame(await statesOf(work, [a1, a2, a3]), ['pending', 'held:order', 'held:order'])
    },
  )

  t.test('a retry of something old comes back to a blocked one', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'a', 'a')
    await attempt(work, a1, 200)
    await attempt(work, a2, 500)
    await call('postrider.retry_now($1)', [(await work.deliveryOf(a1)).id])
    t.match(await lines(work), [{ state: 'blocked' }], 'the blocked one decides')
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['held:order', 'failed', 'held:order'])
    await call(`postrider.skip_head($1, 'a', 'Ann')`, [work.endpoint.id])
    t.strictSame(
      await statesOf(work, [a1, a2, a3]),
      ['pending', 'failed', 'held:order'],
      'then the old one is next',
    )
  })

  t.test('a replay goes through the line, event by event', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    for (const event of [a1, a2]) await attempt(work, event, 200)
    const [a3 = ''] = await work.publishInOrder('a')
    const { rows } = await pool.query<{ id: string }>(
      `select (r).id from (select postrider.start_replay($1, now() - interval '1 hour', clock_timestamp(),
         states => '{delivered}', rate_per_second => 1000) as r) as s`,
      [work.tenant.key],
    )
    await call('postrider.replay_step($1)', [rows[0]?.id])
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['pending', 'held:order', 'held:order'])
    for (const event of [a1, a2, a3]) await attempt(work, event, 200)
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['delivered', 'delivered', 'delivered'])
  })

  t.test('events that an endpoint missed take their places', async (t) => {
    const work = await createWork(pool, ORDERED)
    const set = (state: string) =>
      pool.query('update postrider.endpoint set state = $2, disabled_at = now() where id = $1', [
        work.endpoint.id,
        state,
      ])
    await set('disabled')
    const missed = await work.publishInOrder('a', 'a')
    await set('active')
    const [a3 = ''] = await work.publishInOrder('a')
    const { rows } = await pool.query<{ id: string }>(
      `select (r).id from (select postrider.start_replay($1, now() - interval '1 hour', clock_timestamp(),
         mode => 'missed', endpoint => $2, rate_per_second => 1000) as r) as s`,
      [work.tenant.key, work.endpoint.id],
    )
    await call('postrider.replay_step($1)', [rows[0]?.id])
    t.strictSame(await statesOf(work, [...missed, a3]), ['pending', 'held:order', 'held:order'])
  })

  /** One that the endpoint never got, as it was disabled. */
  const missedBy = async (work: Work) => {
    const set = (state: string) =>
      pool.query('update postrider.endpoint set state = $2, disabled_at = now() where id = $1', [
        work.endpoint.id,
        state,
      ])
    await set('disabled')
    const [missed = ''] = await work.publishInOrder('a')
    await set('active')
    return missed
  }

  t.test('one that is sent for the first time takes its place, for one attempt', async (t) => {
    const work = await createWork(pool, ORDERED)
    const missed = await missedBy(work)
    const [a2 = '', a3 = ''] = await work.publishInOrder('a', 'a')
    const claimed = await work.claim(await work.deliveryOf(a2))
    await call('postrider.resend($1, $2)', [missed, work.endpoint.id])
    t.strictSame(await statesOf(work, [missed, a3]), ['held:order', 'held:order'])
    await work.finish(claimed, 200)
    t.strictSame(await statesOf(work, [missed, a2, a3]), ['pending', 'delivered', 'held:order'])
    t.match(await work.deliveryOf(missed), { trigger: 'manual', schedule_step: 1_000_000 })
  })

  t.test('and is the probe of an open circuit, as a retry is', async (t) => {
    for (const columns of [ORDERED, {}]) {
      const work = await createWork(pool, columns)
      const missed = await missedBy(work)
      const [a2 = ''] = await work.publishInOrder('a')
      await attempt(work, a2, 200)
      await pool.query(
        'insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at) values ($1, $2, 20, now())',
        [work.endpoint.id, work.tenant.id],
      )
      await call('postrider.resend($1, $2)', [missed, work.endpoint.id])
      const { id, state, schedule_step } = await work.deliveryOf(missed)
      t.strictSame({ state, schedule_step }, { state: 'pending', schedule_step: 1_000_000 })
      const { rows } = await pool.query(
        'select probe_delivery_id from postrider.circuit where endpoint_id = $1',
        [work.endpoint.id],
      )
      t.strictSame(rows, [{ probe_delivery_id: id }])
    }
  })

  t.test('and what makes missed ones at the same time makes no second one', async (t) => {
    const work = await createWork(pool, ORDERED)
    const missed = await missedBy(work)
    const other = await begin(t)
    await other.query('select from postrider.endpoint where id = $1 for no key update', [
      work.endpoint.id,
    ])
    const sent = call('postrider.resend($1, $2)', [missed, work.endpoint.id])
    await untilHolds(
      pool,
      `select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%postrider.resend(%'
         and pid <> pg_backend_pid() and datname = current_database()) as holds`,
    )
    await other.query(
      `select postrider.open_in_lines(array[tenant_id], array[id], array[$2::uuid], array[null::text], array[now()],
         array[ordering_key], array[position], is_late => true) from postrider.event where id = $1`,
      [missed, work.endpoint.id],
    )
    await other.query('commit')
    await sent
    const { rows } = await pool.query(
      'select trigger from postrider.delivery where event_id = $1',
      [missed],
    )
    t.strictSame(rows, [{ trigger: 'manual' }])
  })

  t.test(
    'a paused, disabled, suspended or failing endpoint holds who has the turn, and no more',
    async (t) => {
      const work = await createWork(pool, ORDERED)
      const { endpoint, tenant } = work
      const [a1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'a', 'a')
      await call(`postrider.pause_endpoint($1, 'Ann')`, [endpoint.id])
      t.strictSame(await statesOf(work, [a1, a2]), ['held:paused', 'held:order'])
      await call(`postrider.resume_endpoint($1, 'Ann')`, [endpoint.id])
      t.strictSame(
        await statesOf(work, [a1, a2]),
        ['pending', 'held:order'],
        'resuming lets nobody past',
      )
      const claimed = await work.claim(await work.deliveryOf(a1))
      await call(`postrider.pause_endpoint($1, 'Ann')`, [endpoint.id])
      await work.finish(claimed, 200)
      t.strictSame(await statesOf(work, [a1, a2, a3]), ['delivered', 'held:paused', 'held:order'])
      await call(`postrider.resume_endpoint($1, 'Ann')`, [endpoint.id])
      await call('postrider.suspend_tenant($1)', [tenant.key])
      t.equal(await work.claim(await work.deliveryOf(a2)), null)
      t.strictSame(await statesOf(work, [a2, a3]), ['held:suspended', 'held:order'])
      await call('postrider.resume_tenant($1)', [tenant.key])
      await runJobs(work, 'align')
      await pool.query(
        `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at) values ($1, $2, 20, now())`,
        [endpoint.id, tenant.id],
      )
      await call('postrider.align($1)', [endpoint.id])
      t.strictSame(await statesOf(work, [a2, a3]), ['held:circuit', 'held:order'])
      // Aligning spreads what it releases over time, and only what is due can be a probe.
      await untilHolds(
        pool,
        'select next_attempt_at <= now() as holds from postrider.delivery where id = $1',
        [(await work.deliveryOf(a2)).id],
      )
      t.equal(await call('postrider.probe($1)', [endpoint.id]), (await work.deliveryOf(a2)).id)
      await attempt(work, a2, 200)
      await runJobs(work, 'align')
      t.strictSame(await statesOf(work, [a2, a3]), ['delivered', 'pending'])
      await pool.query(
        `update postrider.endpoint set state = 'disabled', disabled_at = now() where id = $1`,
        [endpoint.id],
      )
      await call('postrider.align($1)', [endpoint.id])
      t.strictSame(await statesOf(work, [a3]), ['held:disabled'])
      await call('postrider.enable_endpoint($1)', [endpoint.id])
      t.strictSame(await statesOf(work, [a3]), ['pending'])
    },
  )

  t.test('a retry through an open circuit is its probe only when it has its turn', async (t) => {
    const work = await createWork(pool, SKIPPING)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    await attempt(work, a1, 500)
    const claimed = await work.claim(await work.deliveryOf(a2))
    await pool.query(
      `update postrider.circuit set failures = 20, opened_at = now() where endpoint_id = $1`,
      [work.endpoint.id],
    )
    await call('postrider.retry_now($1)', [(await work.deliveryOf(a1)).id])
    const probe = async () => {
      const { rows } = await pool.query(
        'select probe_delivery_id as id, probe_at is not null as is_planned from postrider.circuit where endpoint_id = $1',
        [work.endpoint.id],
      )
      return rows[0]
    }
    t.strictSame(await probe(), { id: null, is_planned: true })
    await work.finish(claimed, 200)
    await runJobs(work, 'align')
    t.strictSame(await statesOf(work, [a1]), ['pending'])
  })

  t.test('a blocked key counts for the health of its endpoint once', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = ''] = await work.publishInOrder('a', 'a', 'a')
    await attempt(work, a1, 500)
    const { rows } = await pool.query(
      'select failures from postrider.circuit where endpoint_id = $1',
      [work.endpoint.id],
    )
    t.strictSame(rows, [{ failures: 1 }])
  })

  t.test('a scheduled event has those behind it wait for its time', async (t) => {
    const work = await createWork(pool, ORDERED)
    const deliverAt = new Date(Date.now() + 3_600_000).toISOString()
    const [a1 = '', a2 = ''] = await work.publishInOrder({ key: 'a', deliverAt }, 'a')
    t.ok(Number((await work.deliveryOf(a1)).run_in) > 3_000)
    t.strictSame(await statesOf(work, [a1, a2]), ['pending', 'held:order'])
    const [b1 = '', b2 = ''] = await work.publishInOrder('b', { key: 'b', deliverAt })
    await attempt(work, b1, 200)
    t.ok(Number((await work.deliveryOf(b2)).run_in) > 3_000, 'its time is kept while it waits')
  })

  t.test('a rate and a limit of requests put off who has the turn', async (t) => {
    const work = await createWork(pool, { ...ORDERED, rate_per_second: 1, max_in_flight: 1 })
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    await work.snooze(await work.deliveryOf(a1))
    t.strictSame(await statesOf(work, [a1, a2]), ['pending', 'held:order'])
  })

  t.test(
    'what is erased blocks nobody, before it is sent, while it waits, and when it has failed',
    async (t) => {
      const work = await createWork(pool, ORDERED)
      const [a1 = '', a2 = '', a3 = '', a4 = '', a5 = ''] = await work.publishInOrder(
        ...['a', 'a', 'a', 'a', 'a'],
      )
      const erase = (event: string) => call('postrider.erase_event($1)', [event])
      await erase(a2)
      await erase(a1)
      t.strictSame(await statesOf(work, [a1, a2, a3]), ['cancelled', 'cancelled', 'pending'])
      await attempt(work, a3, 500)
      t.match(await lines(work), [{ state: 'blocked' }])
      await erase(a3)
      t.strictSame(await statesOf(work, [a3, a4]), ['failed', 'pending'])
      const claimed = await work.claim(await work.deliveryOf(a4))
      await pool.query('update postrider.event set data = null where id = $1', [a4])
      await work.finish(claimed, 500)
      t.strictSame(await statesOf(work, [a4, a5]), ['failed', 'pending'])
    },
  )

  t.test('a deleted endpoint, and a deleted tenant, leave no line', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'a', 'a', 'b')
    await attempt(work, a1, 500)
    await call('postrider.delete_endpoint($1, $2)', [work.tenant.id, work.endpoint.id])
    await call('postrider.cancel_deliveries_of($1)', [work.endpoint.id])
    while ((await runJobs(work, 'align')) > 0);
    t.strictSame(await statesOf(work, [a1, a2, a3]), ['failed', 'cancelled', 'cancelled'])
    t.strictSame(await lines(work), [])
    const other = await createWork(pool, ORDERED)
    const [c1 = ''] = await other.publishInOrder('c', 'c', 'd')
    await attempt(other, c1, 500)
    await call('postrider.delete_tenant($1)', [other.tenant.key])
    for (let step = 0; step < 12; step++)
      await call('postrider.delete_tenant_step($1)', [other.tenant.id])
    const { rows } = await pool.query(
      `select (select count(*) from postrider.ordering_line where tenant_id = $1)::int as lines,
         (select count(*) from postrider.ordering_place where tenant_id = $1)::int as places,
         (select count(*) from postrider.ordering_lock where tenant_id = $1)::int as keys`,
      [other.tenant.id],
    )
    t.strictSame(rows, [{ lines: 0, places: 0, keys: 0 }])
  })

  t.test(
    'an endpoint that is released from ordering gets what waits, and what blocked goes on',
    async (t) => {
      const work = await createWork(pool, ORDERED)
      const [a1 = '', a2 = '', a3 = '', b1 = '', b2 = ''] = await work.publishInOrder(
        ...['a', 'a', 'a', 'b', 'b'],
      )
      await attempt(work, a1, 500)
      t.type(await call(`postrider.release_ordering($1, 'Ann')`, [work.endpoint.id]), 'number')
      while ((await runJobs(work, 'align')) > 0);
      t.strictSame(await statesOf(work, [a2, a3, b1, b2]), [
        'pending',
        'pending',
        'pending',
        'pending',
      ])
      for (const event of [a3, a2, b2, b1]) await attempt(work, event, 200)
      t.strictSame(await lines(work), [])
      const again = await work.publishInOrder('a', 'a')
      t.strictSame(await statesOf(work, again), ['pending', 'pending'])
    },
  )

  t.test('told to skip, blocked keys go on', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    await attempt(work, a1, 500)
    await pool.query(`update postrider.endpoint set on_failure = 'skip' where id = $1`, [
      work.endpoint.id,
    ])
    await runJobs(work, 'align')
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'])
  })

  t.test('told to skip, a blocked key that a producer has locked is left to one job', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = ''] = await work.publishInOrder('a')
    await attempt(work, a1, 500)
    const client = await begin(t)
    const a2 = await publishIn(client, work, 'a')
    await pool.query(`update postrider.endpoint set on_failure = 'skip' where id = $1`, [
      work.endpoint.id,
    ])
    t.equal(await runJobs(work, 'align'), 1)
    t.equal(await runJobs(work, 'align'), 1, 'looks whether that was all')
    t.equal(await runJobs(work, 'align'), 0, 'and does not try again and again')
    await client.query('commit')
    t.equal(await runJobs(work, 'advance'), 1)
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'])
  })

  t.test('one that was blocked just when its endpoint was told to skip goes on', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = ''] = await work.publishInOrder('a', 'a')
    await attempt(work, a1, 500)
    await pool.query(`update postrider.endpoint set on_failure = 'skip' where id = $1`, [
      work.endpoint.id,
    ])
    // As if the job had run before the statement that blocked it was committed.
    await pool.query(`delete from graphile_worker._private_jobs where key = 'align:' || $1`, [
      work.endpoint.id,
    ])
    const hourAgo = `now() - interval '1 hour'`
    await pool.query(
      `with aged as (update postrider.delivery set finished_at = ${hourAgo} where event_id = $1)
       update postrider.ordering_line set moved_at = ${hourAgo} where endpoint_id = $2`,
      [a1, work.endpoint.id],
    )
    t.match(await findViolations(pool), [{ kind: 'line_stuck' }])
    await pool.query(`select * from postrider.reconcile('5 minutes', 'test')`)
    t.strictSame(await statesOf(work, [a1, a2]), ['failed', 'pending'])
  })

  t.test('producers of one key commit in turn, those of others do not wait', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [one, two] = [await begin(t), await begin(t)]
    const first = await publishIn(one, work, 'a')
    let isDone = false
    const second = publishIn(two, work, 'a').then((id) => {
      isDone = true
      return id
    })
    const [other = ''] = await work.publishInOrder('b')
    t.strictSame(await statesOf(work, [other]), ['pending'])
    t.equal(isDone, false)
    await one.query('commit')
    const events = [first, await second]
    await two.query('commit')
    t.strictSame(await statesOf(work, events), ['pending', 'held:order'])
    const { rows } = await pool.query(
      'select id from postrider.event where id = any ($1) order by position',
      [events],
    )
    t.strictSame(
      rows.map(({ id }) => id),
      events,
    )
  })

  t.test('calls with the same keys in other orders do not deadlock', async (t) => {
    const work = await createWork(pool, ORDERED)
    const keys = Array.from({ length: 50 }, (_, n) => `key-${n}`)
    await t.resolves(
      Promise.all([
        work.publishInOrder(...keys),
        work.publishInOrder(...keys.toReversed()),
        work.publishInOrder(...keys),
        work.publishInOrder(...keys.toReversed()),
      ]),
    )
    const { rows } = await pool.query<{ waiting: number }>(
      'select distinct waiting from postrider.line_state where endpoint_id = $1',
      [work.endpoint.id],
    )
    t.strictSame(rows, [{ waiting: 3 }])
  })

  t.test('a producer that rolls back leaves nothing in the line', async (t) => {
    const work = await createWork(pool, ORDERED)
    const client = await begin(t)
    await publishIn(client, work, 'a')
    await client.query('rollback')
    const [a1 = ''] = await work.publishInOrder('a')
    t.strictSame(await statesOf(work, [a1]), ['pending'])
  })

  t.test('a key that somebody holds is told apart, and its neighbours are stored', async (t) => {
    const work = await createWork(pool, ORDERED)
    const client = await begin(t)
    await publishIn(client, work, 'a')
    const events = JSON.stringify(
      ['a', 'b'].map((orderingKey) => ({
        tenant: work.tenant.key,
        type: 'a.b',
        data: {},
        orderingKey,
        idempotencyKey: `once ${orderingKey}`,
      })),
    )
    const { rows } = await pool.query(
      `select p.error from (select set_config('postrider.key_wait', '1ms', true) as a,
         set_config('postrider.busy_keys', 'report', true) as b offset 0) as s
       cross join lateral postrider.publish_many(case when s.a <> s.b then $1::json end) as p order by p.ordinal`,
      [events],
    )
    t.strictSame(rows, [{ error: 'ordering_key_busy' }, { error: null }])
    await client.query('rollback')
    const [a1 = ''] = await work.publishInOrder({ key: 'a', idempotencyKey: 'once a' })
    t.equal(
      (await work.deliveryOf(a1)).state,
      'pending',
      'a repeat of it is not taken for one that was stored',
    )
  })

  t.test(
    'what a producer has put behind the last one, unseen, is found when it commits',
    async (t) => {
      const work = await createWork(pool, ORDERED)
      const [a1 = ''] = await work.publishInOrder('a')
      const client = await begin(t)
      const a2 = await publishIn(client, work, 'a')
      await attempt(work, a1, 200)
      t.equal(await runJobs(work, 'advance'), 1)
      await client.query('commit')
      t.strictSame(await statesOf(work, [a1, a2]), ['delivered', 'held:order'])
      t.equal(await runJobs(work, 'advance'), 1, 'looks again')
      t.strictSame(await statesOf(work, [a2]), ['pending'])
      t.equal(await runJobs(work, 'advance'), 0)
      await attempt(work, a2, 200)
      t.strictSame(await lines(work), [])
    },
  )

  t.test('nor is one forgotten that was published with an old snapshot', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = ''] = await work.publishInOrder('a')
    const client = await begin(t, 'repeatable read')
    await client.query('select count(*) from postrider.ordering_line')
    await attempt(work, a1, 200)
    t.strictSame(await lines(work), [], 'ended meanwhile')
    const a2 = await publishIn(client, work, 'a')
    await client.query('commit')
    await runJobs(work, 'advance')
    t.strictSame(await statesOf(work, [a2]), ['pending'])
  })

  t.test(
    'a retry does not wait for a producer who has just begun the line of its key',
    async (t) => {
      for (const end of ['commit', 'rollback']) {
        const work = await createWork(pool, ORDERED)
        const [a1 = ''] = await work.publishInOrder('a')
        await attempt(work, a1, 200)
        const client = await begin(t)
        const a2 = await publishIn(client, work, 'a')
        const said = await call('postrider.retry_now($1)', [(await work.deliveryOf(a1)).id])
        t.match(said, /when its turn comes/)
        t.equal(await runJobs(work, 'advance'), 1)
        t.strictSame(await statesOf(work, [a1]), ['held:order'], 'it waits for that one to end')
        await client.query(end)
        t.equal(await runJobs(work, 'advance'), 1)
        t.strictSame(await statesOf(work, [a1]), ['pending'], end)
        await attempt(work, a1, 200)
        if (end === 'rollback') continue
        t.strictSame(await statesOf(work, [a2]), ['pending'], 'behind it')
        await attempt(work, a2, 200)
        t.strictSame(await lines(work), [])
      }
    },
  )

  t.test('a replay waits for no producer, and so no producer of other keys for it', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', b1 = '', c1 = ''] = await work.publishInOrder('a', 'b', 'c')
    for (const one of [a1, b1, c1]) await attempt(work, one, 200)
    const client = await begin(t)
    const b2 = await publishIn(client, work, 'b')
    const { rows } = await pool.query<{ id: string }>(
      `select (r).id from (select postrider.start_replay($1, now() - interval '1 hour', clock_timestamp(),
         states => '{delivered}', rate_per_second => 1000) as r) as s`,
      [work.tenant.key],
    )
    const step = await begin(t)
    await step.query('select postrider.replay_step($1)', [rows[0]?.id])
    // Waits for the step, which waits for nobody: before, Postgres ended this one as a deadlock.
    const c2 = publishIn(client, work, 'c')
    await step.query('commit')
    const newer = [b2, await c2]
    t.strictSame(await statesOf(work, [a1, b1, c1]), ['pending', 'held:order', 'pending'])
    await client.query('commit')
    await runJobs(work, 'advance')
    t.strictSame(await statesOf(work, [b1, ...newer]), ['pending', 'held:order', 'held:order'])
  })

  t.test('an operator with an open transaction does not keep a runner waiting', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', a3 = ''] = await work.publishInOrder('a', 'a', 'a')
    const client = await begin(t)
    await client.query('select postrider.cancel($1)', [(await work.deliveryOf(a2)).id])
    await attempt(work, a1, 200)
    t.strictSame(await statesOf(work, [a1, a3]), ['delivered', 'held:order'])
    await client.query('commit')
    await runJobs(work, 'advance')
    t.strictSame(await statesOf(work, [a2, a3]), ['cancelled', 'pending'])
  })

  t.test('a key whose next does not move is found and repaired', async (t) => {
    const work = await createWork(pool, ORDERED)
    const [a1 = '', a2 = '', b1 = '', b2 = ''] = await work.publishInOrder('a', 'a', 'b', 'b')
    // As if the statement that ended the first had not gone on, and a place had vanished.
    await attempt(work, a1, 200)
    await pool.query(
      `update postrider.ordering_line l set delivery_id = d.id, moved_at = now() - interval '1 hour'
       from postrider.delivery d where d.event_id = $1 and l.endpoint_id = d.endpoint_id and l.ordering_key = 'a'`,
      [a1],
    )
    await pool.query(
      `update postrider.delivery set finished_at = finished_at - interval '1 hour' where event_id = $1`,
      [a1],
    )
    await pool.query(`delete from graphile_worker._private_jobs where key = 'd:' || $1`, [
      (await work.deliveryOf(a2)).id,
    ])
    await pool.query(
      `update postrider.delivery set state = 'held', held_reason = 'order', created_at = now() - interval '1 hour' where event_id = any ($1)`,
      [[a2, b2]],
    )
    await pool.query(`delete from postrider.ordering_place where endpoint_id = $1`, [
      work.endpoint.id,
    ])
    const kinds = new Set((await findViolations(pool)).map(({ kind }) => kind))
    t.strictSame(kinds, new Set(['line_stuck']))
    await pool.query(`select * from postrider.reconcile('5 minutes', 'test')`)
    t.strictSame(await statesOf(work, [a2, b1, b2]), ['pending', 'pending', 'held:order'])
    await attempt(work, b1, 200)
    t.strictSame(await statesOf(work, [b2]), ['pending'])
  })

  t.test('keys are bounded, and a key is part of what a repeat has to have', async (t) => {
    const work = await createWork(pool, ORDERED)
    await t.resolves(work.publishInOrder('k'.repeat(255)))
    await t.rejects(work.publishInOrder('k'.repeat(256)), /ordering_key_invalid/)
    for (const key of ['', ' ', '.', '..', 'a\nb', '\u0007', '\u00a0', '\u200b', ' \u3164\ufeff']) {
      await t.rejects(work.publishInOrder(key), /ordering_key_invalid/, JSON.stringify(key))
    }
    for (const key of ['...', '\u{1f468}\u200d\u{1f469}'])
      await t.resolves(work.publishInOrder(key))
    const [first] = await work.publishInOrder({ key: 'a', idempotencyKey: 'once' })
    t.strictSame(await work.publishInOrder({ key: 'a', idempotencyKey: 'once' }), [first])
    await t.rejects(
      work.publishInOrder({ key: 'b', idempotencyKey: 'once' }),
      /idempotency_key_reused/,
    )
  })
  t.test('and in all of that no promise was broken', async (t) => {
    t.strictSame(await findViolations(pool), [])
  })
  t.end()
}
