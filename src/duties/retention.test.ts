import t, { type Test } from 'tap'
import { beginDuty } from '../postgres/duty.ts'
import { createWork } from '../testing/data/work.ts'
import { captureLog } from '../testing/log-lines.ts'
import { untilAnswer } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { applyRetention, startRetention } from './retention.ts'

onBothPostgres(t, conformance)

const RETENTION_DAYS = 30

function conformance(t: Test, { pool }: TestDatabase) {
  /** The day so many days ago, as in the names of partitions and as a date. */
  const dayAgo = async (days: number) => {
    const { rows } = await pool.query(
      `select day::text, to_char(day, 'YYYYMMDD') as suffix
       from (select (clock_timestamp() at time zone 'UTC')::date - $1::int as day) as d`,
      [days],
    )
    return rows[0] as { day: string; suffix: string }
  }

  /** A delivered delivery with its event and two attempts, made so many days ago, at noon. */
  async function history(daysAgo: number, changes: { event?: string; open?: boolean } = {}) {
    const work = await createWork(pool)
    const { day } = await dayAgo(daysAgo)
    for (const parent of ['event', 'delivery', 'attempt']) {
      await pool.query('select postrider.create_partition($1, $2)', [parent, day])
    }
    const { rows } = await pool.query<{ id: string; event: string }>(
      `with made as (
         select (left(postrider.id_at($1::date + time '12:00')::text, 14) || '7' || right(gen_random_uuid()::text, 21))::uuid as id
       ),
       event as (
         insert into postrider.event (id, tenant_id, type, data, occurred_at)
         select id, $2, 'a.b', '{"id":1}', now() from made where $4::uuid is null
       ),
       attempt as (
         insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, outcome, runner, response_body)
         select (left(made.id::text, 35) || n)::uuid, $2, made.id, $3, n, 'schedule',
           case n when 1 then 'rejected' else 'delivered' end, $6, 'thanks' from made, generate_series(1, 2) as n
       )
       insert into postrider.delivery (id, tenant_id, event_id, endpoint_id, state, held_reason, attempt_count, due_attempt, finished_at)
       select id, $2, coalesce($4::uuid, id), $3, case when $5 then 'held' else 'delivered' end,
         case when $5 then 'paused' end, 2, 3,
         case when not $5 then now() end
       from made
       returning id, event_id as event`,
      [day, work.tenant.id, work.endpoint.id, changes.event, changes.open ?? false, work.runner],
    )
    if (!rows[0]) throw new Error('nothing was made')
    return { ...work, day, delivery: rows[0].id, event: rows[0].event }
  }

  const partitionsOf = async (day: string) =>
    (await pool.query('select state from postrider.partition where day = $1', [day])).rows.map(
      (row) => row.state,
    )
  const attached = ['attached', 'attached', 'attached']
  const countsOf = async (tenantId: string) =>
    (
      await pool.query(
        `select day::text, outcome, attempts::int from postrider.attempt_day where tenant_id = $1 order by 1, 2`,
        [tenantId],
      )
    ).rows
  const apply = async () => {
    const retained = await applyRetention(pool, { retentionDays: RETENTION_DAYS })
    if (!retained) throw new Error('another runner is at it')
    return retained
  }

  t.test('a day goes when it is older than the retention, and its counts stay', async (t) => {
    const [old, young] = [await history(31), await history(30)]
    t.match(await apply(), { dropped: [old.day], kept: [], deleted: 0 })
    t.strictSame(await partitionsOf(old.day), [])
    t.strictSame(await partitionsOf(young.day), attached)
    t.strictSame(await countsOf(old.tenant.id), [
      { day: old.day, outcome: 'delivered', attempts: 1 },
      { day: old.day, outcome: 'rejected', attempts: 1 },
    ])
    t.strictSame(await countsOf(young.tenant.id), [])
    const { rows } = await pool.query(
      `select detail from postrider.audit_log where action = 'drop_day' and detail->>'day' = $1`,
      [old.day],
    )
    t.equal(rows.length, 1)
    t.match(await apply(), { dropped: [], kept: [] }, 'again does nothing')
  })

  t.test('a day with an open delivery stays until that is finished', async (t) => {
    const open = await history(40, { open: true })
    t.match(await apply(), {
      dropped: [],
      kept: [{ day: open.day, reason: `delivery ${open.delivery} is open` }],
    })
    t.strictSame(await partitionsOf(open.day), attached)
    await pool.query('select postrider.cancel($1)', [open.delivery])
    t.match(await apply(), { dropped: [open.day] })
  })

  t.test('a day stays while an open delivery refers to one of its events', async (t) => {
    const old = await history(41)
    const replay = await history(2, { event: old.event, open: true })
    t.match(await apply(), {
      kept: [{ day: old.day, reason: new RegExp(`${replay.delivery} is open and refers`) }],
    })
    await pool.query('select postrider.cancel($1)', [replay.delivery])
    t.match(await apply(), { dropped: [old.day] })
  })

  t.test('a day stays while an open delivery of an earlier one has attempts on it', async (t) => {
    const [open, later] = [await history(43, { open: true }), await history(42)]
    await pool.query('update postrider.attempt set delivery_id = $1 where delivery_id = $2', [
      open.delivery,
      later.delivery,
    ])
    t.match(await apply(), {
      dropped: [],
      kept: [{ day: open.day }, { day: later.day, reason: /has attempts of that day/ }],
    })
    await pool.query('select postrider.cancel($1)', [open.delivery])
    t.match(await apply(), { dropped: [open.day, later.day] })
  })

  t.test('a day stays while a running replay has yet to come to it', async (t) => {
    const old = await history(44)
    const { rows } = await pool.query(
      `select (postrider.start_replay($1, now() - interval '45 days', states => '{delivered}')).id`,
      [old.tenant.key],
    )
    t.match(await apply(), {
      dropped: [],
      kept: [{ day: old.day, reason: `replay ${rows[0].id} is running and has yet to come to it` }],
    })
    await pool.query(`update postrider.replay set position = postrider.id_at(now())`)
    t.match(await apply(), { dropped: [old.day] })
    await pool.query(`update postrider.replay set state = 'done', finished_at = now()`)
  })

  t.test('a day stays while a delivery of it blocks its ordering key', async (t) => {
    const old = await history(44)
    await pool.query(
      `insert into postrider.ordering_line (tenant_id, ordering_key, endpoint_id, delivery_id, position, search_from, blocked_at)
       values ($1, 'a', $2, $3, 1, 1, now())`,
      [old.tenant.id, old.endpoint.id, old.delivery],
    )
    t.match(await apply(), {
      dropped: [],
      kept: [
        {
          day: old.day,
          reason: `delivery ${old.delivery} blocks its ordering key, and can be retried`,
        },
      ],
    })
    await pool.query('delete from postrider.ordering_line where endpoint_id = $1', [
      old.endpoint.id,
    ])
    t.match(await apply(), { dropped: [old.day] })
  })

  t.test('a tenant with a longer retention keeps its rows, and only its own', async (t) => {
    const [keeper, other] = [await history(45), await history(45)]
    await pool.query('update postrider.tenant set retention_days = 60 where id = $1', [
      keeper.tenant.id,
    ])
    t.match(await apply(), {
      dropped: [],
      kept: [{ day: keeper.day, reason: `tenant ${keeper.tenant.key} keeps it` }],
      deleted: 2,
    })
    t.equal((await keeper.attemptsOf(keeper.delivery)).length, 2)
    t.equal((await other.attemptsOf(other.delivery)).length, 0)
    t.strictSame(await countsOf(other.tenant.id), [
      { day: other.day, outcome: 'delivered', attempts: 1 },
      { day: other.day, outcome: 'rejected', attempts: 1 },
    ])
    await pool.query('update postrider.tenant set retention_days = null where id = $1', [
      keeper.tenant.id,
    ])
    t.match(await apply(), { dropped: [keeper.day] })
    t.equal((await countsOf(other.tenant.id)).length, 2, 'what was deleted is not counted twice')
  })

  t.test('a tenant with a shorter retention has its rows deleted, open ones kept', async (t) => {
    const [expired, young] = [await history(8), await history(7)]
    await pool.query('update postrider.tenant set retention_days = 7 where id = any($1)', [
      [expired.tenant.id, young.tenant.id],
    ])
    const open = await history(8, { open: true })
    await pool.query('update postrider.tenant set retention_days = 7 where id = $1', [
      open.tenant.id,
    ])
    t.match(await apply(), { dropped: [], kept: [], deleted: 2 })
    t.equal((await expired.attemptsOf(expired.delivery)).length, 0)
    t.equal((await young.attemptsOf(young.delivery)).length, 2)
    t.equal((await open.attemptsOf(open.delivery)).length, 2)
    t.equal((await countsOf(expired.tenant.id)).length, 2)
    const { rows } = await pool.query('select id from postrider.event where id = any($1)', [
      [expired.event, young.event, open.event],
    ])
    t.strictSame(rows.map(({ id }) => id).sort(), [young.event, open.event].sort())
    await pool.query('select postrider.cancel($1)', [open.delivery])
  })

  t.test(
    'publishing goes on while a partition is being detached, and the drop waits',
    async (t) => {
      const old = await history(50)
      const work = await createWork(pool)
      const producer = await pool.connect()
      try {
        await producer.query('begin')
        await producer.query(`select postrider.publish($1, 'a.b', '1')`, [work.tenant.key])
        const retention = apply()
        await detaching(old.day)
        // A publish that had to wait for a lock would fail: the detach waits for the open transaction.
        const other = await pool.connect()
        await other.query(`set lock_timeout = '500ms'`)
        for (let n = 0; n < 5; n++) {
          await other.query(`select postrider.publish($1, 'a.b', '1')`, [work.tenant.key])
        }
        other.release(true)
        t.strictSame(new Set(await partitionsOf(old.day)).has('detaching'), true, 'still waiting')
        await producer.query('commit')
        t.match(await retention, { dropped: [old.day] })
      } finally {
        producer.release(true)
      }
    },
  )

  t.test('publishing goes on while a day is being dropped', async (t) => {
    const old = await history(56)
    const { suffix } = await dayAgo(56)
    for (const parent of ['event', 'delivery', 'attempt']) {
      await pool.query(
        `alter table postrider.${parent} detach partition postrider.${parent}_${suffix} concurrently`,
      )
    }
    const [dropper, producer] = [await pool.connect(), await pool.connect()]
    try {
      await dropper.query('begin')
      await dropper.query('select postrider.drop_day($1, 30)', [old.day])
      // Everything that the drop locks is still locked: anyone who needs one of its locks fails.
      await producer.query(`set lock_timeout = '1ms'`)
      const work = await createWork(pool)
      await producer.query(`select postrider.publish($1, 'a.b', '1')`, [work.tenant.key])
      await dropper.query('commit')
    } finally {
      dropper.release(true)
      producer.release(true)
    }
    t.strictSame(await partitionsOf(old.day), [])
  })

  /** Resolves once a partition of the day is marked as being detached. */
  async function detaching(day: string): Promise<void> {
    await untilAnswer(
      () => partitionsOf(day),
      (states) => states.includes('detaching'),
    )
  }

  t.test('a run that was cut off is gone on with', async (t) => {
    const [half, whole] = [await history(52), await history(51)]
    const { suffix } = await dayAgo(51)
    for (const parent of ['attempt', 'delivery']) {
      await pool.query(
        `alter table postrider.${parent} detach partition postrider.${parent}_${suffix} concurrently`,
      )
    }
    // Cut off while it waited, as by a crash.
    const reader = await pool.connect()
    await reader.query('begin')
    await reader.query('select count(*) from postrider.event')
    const detacher = await pool.connect()
    await detacher.query(`set statement_timeout = '200ms'`)
    const name = `event_${(await dayAgo(52)).suffix}`
    await t.rejects(
      detacher.query(`alter table postrider.event detach partition postrider.${name} concurrently`),
      { code: '57014' },
    )
    detacher.release(true)
    await reader.query('commit')
    reader.release()

    t.strictSame((await partitionsOf(half.day)).sort(), ['attached', 'attached', 'detaching'])
    t.match(await apply(), { dropped: [half.day, whole.day] })
    t.equal((await countsOf(whole.tenant.id)).length, 2)
  })

  t.test('a transaction that stays open puts the drop off, and nothing else', async (t) => {
    const old = await history(54)
    const producer = await pool.connect()
    await producer.query('begin')
    await producer.query('select count(*) from postrider.event')
    const options = { retentionDays: RETENTION_DAYS, detachMsMax: 300 }
    t.match(await applyRetention(pool, options), { dropped: [], kept: [] })
    t.ok((await partitionsOf(old.day)).includes('detaching'))
    await old.publish()
    await producer.query('commit')
    producer.release()
    t.match(await applyRetention(pool, options), { dropped: [old.day] })
  })

  t.test('it drops when it starts, and stops when asked', async (t) => {
    const old = await history(55)
    const { log, line } = captureLog()
    const retention = startRetention({ pool, log, retentionDays: RETENTION_DAYS })
    t.match(await line('retention.applied'), { dropped: [old.day], deleted: 0 })
    await retention.stop()
    await retention.stop()
  })

  t.test('a day that came into use while it was detached is attached again', async (t) => {
    const old = await history(53)
    const { suffix } = await dayAgo(53)
    await t.rejects(pool.query('select postrider.drop_day($1, 30)', [old.day]), {
      code: '55000',
      hint: /Detach/,
    })
    for (const parent of ['event', 'delivery', 'attempt']) {
      await pool.query(
        `alter table postrider.${parent} detach partition postrider.${parent}_${suffix} concurrently`,
      )
    }
    await pool.query(
      `update postrider.delivery_${suffix} set state = 'held', held_reason = 'paused', finished_at = null where id = $1`,
      [old.delivery],
    )
    t.match(await apply(), { dropped: [], kept: [{ day: old.day, reason: /is open/ }] })
    t.strictSame(await partitionsOf(old.day), attached)
    t.match(await old.deliveryOf(old.event), { state: 'held' })
    await pool.query('select postrider.cancel($1)', [old.delivery])
    await apply()
  })

  t.test('one process at a time', async (t) => {
    const client = await pool.connect()
    t.ok(await beginDuty(client, 'retention'))
    t.equal(await applyRetention(pool, { retentionDays: RETENTION_DAYS }), null)
    client.release(true)
  })

  t.test('an erased event is not sent any more, and its trail stays', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 60)
    await pool.query('select postrider.erase_event($1, $2)', [due.eventId, 'ann'])
    const { rows } = await pool.query('select * from postrider.event where id = $1', [due.eventId])
    t.match(rows, [{ type: 'invoice.paid', data: null }])
    t.match(await work.deliveryOf(due.eventId), { state: 'cancelled', job: null })
    await t.rejects(pool.query('select postrider.retry_now($1)', [due.id]), {
      code: '55000',
      hint: /erased/,
    })
    t.match(await work.attemptsOf(due.id), [{ outcome: 'rejected', response_body: null }])
    t.match(await work.audited(), [
      { who: 'ann', action: 'erase_event', target_kind: 'event', target_id: due.eventId },
    ])
    await t.rejects(pool.query('select postrider.erase_event($1)', [due.id]), { code: 'P0002' })
  })

  t.test('what is on the wire while its event is erased writes down its outcome', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const claimed = await work.claim(due)
    await pool.query('select postrider.erase_event($1)', [due.eventId])
    t.equal(await work.finish(claimed, 500, 60), 'cancelled')
    t.match(await work.attemptsOf(due.id), [{ outcome: 'rejected' }])
  })

  // A tenant's second call looked for data alone, found none, and left what receivers had answered meanwhile.
  for (const [what, call] of [
    ['an event', (event: string) => `postrider.erase_event('${event}')`],
    ["a tenant's data", (_: string, key: string) => `postrider.erase_tenant_data('${key}')`],
  ] as const) {
    t.test(`what is answered after ${what} was erased goes with another call`, async (t) => {
      const [work, other] = [await createWork(pool), await createWork(pool)]
      const [due, others] = [await work.publish(), await other.publish()]
      const claimed = await work.claim(due)
      const erase = () => pool.query(`select ${call(due.eventId, work.tenant.key)}`)
      await erase()
      await work.finish(claimed, 500, 60)
      await other.finish(await other.claim(others), 200)
      t.match(await work.attemptsOf(due.id), [{ response_body: '', response_headers: '{}' }])
      await erase()
      t.match(await work.attemptsOf(due.id), [{ response_body: null, response_headers: null }])
      t.match(await other.attemptsOf(others.id), [{ response_body: '', response_headers: '{}' }])
    })
  }

  t.test('the data of a tenant is erased in batches, and of no other', async (t) => {
    const [work, other] = [await createWork(pool), await createWork(pool)]
    for (let n = 0; n < 3; n++) await work.publish()
    const kept = await other.publish()
    const erase = async () =>
      (await pool.query('select postrider.erase_tenant_data($1, null, 2) as n', [work.tenant.key]))
        .rows[0].n
    t.strictSame([await erase(), await erase(), await erase()], [2, 1, 0])
    const { rows } = await pool.query(
      'select id, data is null as erased from postrider.event where tenant_id = any($1) order by erased',
      [[work.tenant.id, other.tenant.id]],
    )
    t.match(rows, [
      { id: kept.eventId, erased: false },
      { erased: true },
      { erased: true },
      { erased: true },
    ])
    t.equal((await work.audited()).length, 2)
  })

  t.end()
}
