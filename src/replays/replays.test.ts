import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { untilAnswer } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle() {
    const work = await createWork(pool)
    const start = async (options: Record<string, unknown> = {}) => {
      const given = { tenant: work.tenant.key, since: new Date(Date.now() - 3_600_000), ...options }
      const names = Object.keys(given)
      const { rows } = await pool.query(
        `select * from postrider.start_replay(${names.map((name, i) => `${name} => $${i + 1}`).join(', ')})`,
        Object.values(given),
      )
      return rows[0]
    }
    const step = async (replay: { id: string }, batch = 500) =>
      (await pool.query('select postrider.replay_step($1, $2) as step', [replay.id, batch])).rows[0]
        .step
    const stateOf = async (replay: { id: string }) =>
      (await pool.query('select * from postrider.replay where id = $1', [replay.id])).rows[0]
    /** As runners do it, until it is over. Transactions of other tests on the server may be open for a while. */
    const run = async (replay: { id: string }, batch?: number) => {
      await untilAnswer(
        async () => {
          for (;;) {
            const did: string = await step(replay, batch)
            if (did === 'over' || did.startsWith('waiting')) return did
          }
        },
        (did) => did === 'over',
      )
    }
    const failed = async (statusCode = 500) => {
      const delivery = await work.publish()
      await work.finish(await work.claim(delivery), statusCode)
      await pool.query(`select graphile_worker.remove_job('d:' || $1::text)`, [delivery.id])
      return delivery
    }
    return { work, start, step, run, stateOf, failed }
  }

  t.test(
    'deliveries that failed become due again, spread over time, and attempts go on counting',
    async (t) => {
      const { work, start, run, stateOf, failed } = await bundle()
      const deliveries = [await failed(), await failed(), await failed()]
      const replay = await start({ rate_per_second: 10 })
      t.match(replay, { total: 3, done: 0, state: 'running', mode: 'redeliver' })
      await run(replay)
      t.match(await stateOf(replay), { state: 'done', done: 3 })

      const states = await Promise.all(deliveries.map(({ eventId }) => work.deliveryOf(eventId)))
      t.match(
        states.map(({ state, trigger, due_attempt, schedule_step, job_number }) => [
          state,
          trigger,
          due_attempt,
          schedule_step,
          job_number,
        ]),
        deliveries.map(() => ['pending', 'replay', 3, 0, 3]),
      )
      t.equal(new Set(states.map(({ next_attempt_at }) => next_attempt_at?.getTime())).size, 3)
      t.match(await work.audited(), [{ action: 'start_replay' }])
    },
  )

  t.test('a preview counts and begins nothing', async (t) => {
    const { start, failed } = await bundle()
    await failed()
    t.match(await start({ preview: true }), { total: 1 })
    const { rows } = await pool.query('select from postrider.replay where tenant_id = $1', [
      (await start({ preview: true })).tenant_id,
    ])
    t.same(rows, [])
  })

  t.test(
    'only what was asked for: state, class of the last answer, endpoint, type, time',
    async (t) => {
      const { work, start, failed } = await bundle()
      await failed(500)
      await failed(404)
      const good = await work.publish()
      await work.finish(await work.claim(good), 200)
      const count = async (options: object) => (await start({ preview: true, ...options })).total
      t.equal(await count({}), 2)
      t.equal(await count({ states: ['delivered'] }), 1)
      t.equal(await count({ states: ['failed', 'delivered'] }), 3)
      t.equal(await count({ status_class: 4 }), 1)
      t.equal(await count({ endpoint: work.endpoint.id }), 2)
      t.equal(await count({ event_types: ['invoice.*'] }), 2)
      t.equal(await count({ event_types: ['order.*'] }), 0)
      t.equal(
        await count({
          since: new Date(Date.now() - 7_200_000),
          until: new Date(Date.now() - 3_600_000),
        }),
        0,
      )
    },
  )

  t.test(
    'a killed process goes on from its last batch, and doing a batch twice changes nothing',
    async (t) => {
      const { work, start, step, run, stateOf, failed } = await bundle()
      for (let i = 0; i < 5; i++) await failed()
      const replay = await start()
      const client = await pool.connect()
      await client.query('begin')
      await client.query('select postrider.replay_step($1, 2)', [replay.id])
      await client.query('rollback') // the process was killed
      client.release()
      t.match(await stateOf(replay), { done: 0 })
      t.equal(await step(replay, 2), '2 made due')
      const before = (
        await pool.query('select position from postrider.replay where id = $1', [replay.id])
      ).rows[0]
      await pool.query('update postrider.replay set position = $2 where id = $1', [
        replay.id,
        replay.position,
      ])
      await run(replay, 2)
      t.match(await stateOf(replay), { state: 'done', done: 5 })
      t.ok(before.position)
      const { rows } = await pool.query(
        `select count(*)::int from postrider.delivery where tenant_id = $1 and trigger = 'replay' and due_attempt = 3`,
        [work.tenant.id],
      )
      t.same(rows, [{ count: 5 }])
    },
  )

  t.test('each step leaves exactly one job for the next', async (t) => {
    const { start, step, failed } = await bundle()
    await failed()
    const replay = await start()
    const jobs = async () =>
      (
        await pool.query('select count(*)::int from graphile_worker._private_jobs where key = $1', [
          `replay:${replay.id}`,
        ])
      ).rows[0].count
    t.equal(await jobs(), 1)
    await step(replay)
    t.equal(await jobs(), 1)
  })

  t.test('an endpoint gets what it missed before it existed, once', async (t) => {
    const { work, start, run, stateOf } = await bundle()
    const events = [
      await work.tenant.publish('order.made'),
      await work.tenant.publish('invoice.paid'),
    ]
    const late = await work.tenant.addEndpoint({
      url: 'http://127.0.0.1:2/',
      event_types: ['order.*'],
    })
    for (const total of [1, 0]) {
      const replay = await start({ mode: 'missed', endpoint: late.id })
      t.equal(replay.total, total)
      await run(replay)
      t.match(await stateOf(replay), { state: 'done', done: total })
    }
    const { rows } = await pool.query(
      `select d.event_id, d.state, d.trigger, j.id is not null as has_job from postrider.delivery d
       left join graphile_worker._private_jobs j on j.key = 'd:' || d.id where d.endpoint_id = $1`,
      [late.id],
    )
    t.same(rows, [{ event_id: events[0], state: 'pending', trigger: 'replay', has_job: true }])
  })

  t.test('what is published for later and was missed comes at its time, not before', async (t) => {
    const { work, start, run } = await bundle()
    const deliverAt = new Date(Date.now() + 3_600_000).toISOString()
    await pool.query(
      `select postrider.publish($1, 'order.made', '1', deliver_at => $2, ordering_key => key)
       from unnest(array[null, 'a']) as key`,
      [work.tenant.key, deliverAt],
    )
    const late = await work.tenant.addEndpoint({
      url: 'http://127.0.0.1:2/',
      event_types: ['order.*'],
      ordering: 'key',
    })
    await run(await start({ mode: 'missed', endpoint: late.id }))
    const { rows } = await pool.query(
      `select d.next_attempt_at = $2 as is_on_time, j.run_at = $2 as has_job_then
       from postrider.delivery d
       left join graphile_worker._private_jobs j on j.key = 'd:' || d.id where d.endpoint_id = $1`,
      [late.id, deliverAt],
    )
    t.same(rows, Array(2).fill({ is_on_time: true, has_job_then: true }))
  })

  t.test(
    'where the newest is enough, a missed event for later replaces nothing before its time',
    async (t) => {
      const { work, start, run } = await bundle()
      for (const deliverAt of [null, new Date(Date.now() + 3_600_000)]) {
        await pool.query(
          `select postrider.publish($1, 'order.made', '1', deliver_at => $2, ordering_key => 'a')`,
          [work.tenant.key, deliverAt],
        )
      }
      const late = await work.tenant.addEndpoint({
        url: 'http://127.0.0.1:2/',
        event_types: ['order.*'],
        collapse_ms: 0,
      })
      await run(await start({ mode: 'missed', endpoint: late.id }))
      const { rows } = await pool.query(
        `select state, held_reason from postrider.delivery where endpoint_id = $1 order by position`,
        [late.id],
      )
      t.same(rows, [
        { state: 'pending', held_reason: null },
        { state: 'held', held_reason: 'order' },
      ])
    },
  )

  t.test('what a transaction publishes that was open at the start is not skipped', async (t) => {
    const { work, start, step, run, stateOf } = await bundle()
    const producer = await pool.connect()
    await producer.query('begin isolation level repeatable read')
    await producer.query('select 1 from postrider.endpoint limit 0') // its snapshot knows nothing of the new endpoint
    const open = (
      await producer.query(`select postrider.publish($1, 'order.made', '1') as id`, [
        work.tenant.key,
      ])
    ).rows[0].id
    const late = await work.tenant.addEndpoint({
      url: 'http://127.0.0.1:2/',
      event_types: ['order.*'],
    })
    const later = await work.tenant.publish('order.paid')
    await pool.query('delete from postrider.delivery where event_id = $1 and endpoint_id = $2', [
      later,
      late.id,
    ])

    const replay = await start({ mode: 'missed', endpoint: late.id })
    t.equal(await step(replay), '1 made due')
    t.match(await step(replay), /waiting for transactions/)
    await producer.query('commit')
    producer.release()
    await run(replay)
    t.match(await stateOf(replay), { state: 'done', done: 2 })
    const { rows } = await pool.query(
      'select event_id from postrider.delivery where endpoint_id = $1',
      [late.id],
    )
    t.same(new Set(rows.map(({ event_id }) => event_id)), new Set([open, later]))
  })

  t.test('nor is it when nothing has been committed since it began to write', async (t) => {
    // What it waits for was the xmax of a snapshot, which is no higher than such a transaction: it was not waited for.
    const { work, start, step, run, stateOf } = await bundle()
    const producer = await pool.connect()
    await producer.query('begin isolation level repeatable read')
    await producer.query('select 1 from postrider.endpoint limit 0')
    const late = await work.tenant.addEndpoint({
      url: 'http://127.0.0.1:2/',
      event_types: ['order.*'],
    })
    await producer.query(`select postrider.publish($1, 'order.made', '1')`, [work.tenant.key])

    const replay = await start({ mode: 'missed', endpoint: late.id })
    t.match(await step(replay), /waiting for transactions/)
    await producer.query('commit')
    producer.release()
    await run(replay)
    t.match(await stateOf(replay), { state: 'done', done: 1 })
  })

  t.test('a cancelled replay does no more', async (t) => {
    const { start, step, stateOf, failed } = await bundle()
    await failed()
    await failed()
    const replay = await start()
    await step(replay, 1)
    const { rows } = await pool.query('select postrider.cancel_replay($1) as cancelled', [
      replay.id,
    ])
    t.same(rows, [{ cancelled: true }])
    t.equal(await step(replay), 'over')
    t.match(await stateOf(replay), { state: 'cancelled', done: 1 })
    const again = await pool.query('select postrider.cancel_replay($1) as cancelled', [replay.id])
    t.same(again.rows, [{ cancelled: false }])
  })

  t.test(
    'deliveries to an endpoint that accepts no work are held, to a disabled one left alone',
    async (t) => {
      const { work, start, run, failed } = await bundle()
      const delivery = await failed()
      const set = (state: string) =>
        pool.query('update postrider.endpoint set state = $2 where id = $1', [
          work.endpoint.id,
          state,
        ])
      await set('disabled')
      await run(await start())
      t.match(await work.deliveryOf(delivery.eventId), { state: 'failed', job: null })
      await set('paused')
      await run(await start())
      t.match(await work.deliveryOf(delivery.eventId), { state: 'held', job: null })
    },
  )

  t.test('an unknown tenant or endpoint, and a missing one, are refused with a hint', async (t) => {
    const { start } = await bundle()
    await t.rejects(start({ tenant: 'nobody' }), { code: 'P0002', hint: /key/ })
    await t.rejects(start({ endpoint: '00000000-0000-7000-8000-000000000000' }), { code: 'P0002' })
    await t.rejects(start({ mode: 'missed' }), { code: '22023' })
  })

  t.test('a time that nothing can be in is refused, to count as to start', async (t) => {
    const { start } = await bundle()
    const hour = (n: number) => new Date(Date.now() + n * 3_600_000)
    for (const preview of [true, false]) {
      await t.rejects(start({ preview, since: hour(1) }), {
        ...{ code: '22023', column: 'since', message: 'since is not in the past' },
      })
      await t.rejects(start({ preview, since: hour(-1), until: hour(-2) }), {
        ...{ code: '22023', column: 'until', message: 'until is not after since' },
      })
    }
  })
  t.end()
}
