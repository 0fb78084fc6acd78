import t, { type Test } from 'tap'
import type { EndpointId } from '../ids.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'
import { createBringForward } from './bring-forward.ts'

const { pool, url } = await createTestDatabase(t)

/** Of earlier tests. */
const nothingIsDue = () =>
  pool.query(`update graphile_worker._private_jobs set run_at = now() + interval '1 day'`)

/** Deliveries of one endpoint, all put off, and room for so many of them with each step. */
async function putOffWork(count: number) {
  await nothingIsDue()
  const work = await createWork(pool)
  const events: string[] = []
  for (let n = 0; n < count; n += 1) {
    const delivery = await work.publish()
    await work.snooze(delivery)
    events.push(delivery.eventId)
  }
  const room = { count: 2 }
  const forgotten: EndpointId[] = []
  const endpointId = work.endpoint.id as EndpointId
  const bring = createBringForward({
    pool,
    runnerId: work.runner,
    putOff: {
      room: () => (room.count > 0 ? [{ endpointId, count: room.count }] : []),
      forget: (id) => void forgotten.push(id),
    },
  })
  /** While runners have taken all that is due. */
  const step = async () => {
    await pool.query(
      `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'other' where run_at <= now()`,
    )
    return bring()
  }
  /** Of each, in the order in which they were published: whether its job is due. */
  const due = () =>
    Promise.all(
      events.map(async (id) => {
        const { due_attempt, job_number, run_in } = await work.deliveryOf(id)
        return due_attempt === job_number && (run_in ?? 1) <= 0
      }),
    )
  return { work, events, room, forgotten, endpointId, step, bring, due }
}

t.test('as many as there is room for are due at once, the oldest first', async (t) => {
  const { work, events, room, step, due, forgotten, endpointId } = await putOffWork(5)
  room.count = 0
  t.equal(await step(), 0)
  t.strictSame(await due(), [false, false, false, false, false])
  room.count = 2
  t.equal(await step(), 2)
  t.strictSame(await due(), [true, true, false, false, false])
  t.equal(await step(), 2)
  await work.snooze(await work.deliveryOf(events[0] ?? ''))
  t.equal(await step(), 1)
  t.strictSame(forgotten, [])
  t.strictSame(await due(), [false, true, true, true, true])
  t.equal(await step(), 1, 'what was put off again comes with the next round')
  t.strictSame(await due(), [true, true, true, true, true])
  t.equal(await step(), 0, 'a whole round brings none')
  t.strictSame(forgotten, [endpointId])
})

t.test('what waits for a retry or its slot, or is under way, stays', async (t) => {
  const { work, events, room, step, due } = await putOffWork(5)
  const [retried = '', slotted = '', locked = '', late = ''] = events
  const { id } = await work.deliveryOf(retried)
  const others = await Promise.all([slotted, locked, late].map((event) => work.deliveryOf(event)))
  const keys = others.map((other) => `d:${other.id}`)
  await pool.query(
    'update postrider.delivery set next_attempt_at = put_off_until, put_off_until = null where id = $1',
    [id],
  )
  const job = 'graphile_worker._private_jobs set'
  await pool.query(
    `update ${job} payload = payload::jsonb || '{"r": {"at": 1, "rateVersion": 0}}' where key = $1`,
    [keys[0]],
  )
  await pool.query(`update ${job} locked_at = now(), locked_by = 'other' where key = $1`, [keys[1]])
  await pool.query(
    `update postrider.delivery set put_off_until = now() + interval '10 minutes' where id = $1`,
    [others[2]?.id],
  )
  room.count = 10
  t.equal(await step(), 1)
  t.strictSame(await due(), [false, false, false, false, true])
})

t.test('of more than 2,000 that are open none is looked at twice in a round', async (t) => {
  const { work, room, step, endpointId, forgotten } = await putOffWork(0)
  await pool.query(
    `select count(*) from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n, 'deliverAt', now() + interval '1 day'))
       from generate_series(1, 2001) as n))`,
    [work.tenant.key],
  )
  const { rows } = await pool.query<{ event_id: string }>(
    'select event_id from postrider.delivery where endpoint_id = $1 order by id desc limit 1',
    [endpointId],
  )
  await work.snooze(await work.deliveryOf(rows[0]?.event_id ?? ''))
  room.count = 10
  t.equal(await step(), 0, 'the first 2,000 are for tomorrow')
  t.strictSame(forgotten, [], 'there are more behind')
  t.equal(await step(), 1)
  t.strictSame(forgotten, [])
  t.equal(await step(), 0)
  t.equal(await step(), 0)
  t.strictSame(forgotten, [endpointId])
})

t.test('nothing comes while what is due waits for runners, and then it does', async (t) => {
  const { bring, due } = await putOffWork(1)
  const waiting = await (await createWork(pool)).publish()
  const dueSince = (since: string) =>
    pool.query(
      `update graphile_worker._private_jobs set run_at = now() - $2::interval where key = $1`,
      [`d:${waiting.id}`, since],
    )
  await dueSince('1 second')
  t.equal(await bring(), 0)
  t.strictSame(await due(), [false])
  await dueSince('-1 day')
  t.equal(await bring(), 1)
  t.strictSame(await due(), [true])
})

t.test('a runner that was found dead brings nothing', async (t) => {
  const { work, step, due } = await putOffWork(1)
  await pool.query('update postrider.runner set reaped_at = now() where id = $1', [work.runner])
  await t.rejects(step(), { code: '55000' })
  t.strictSame(await due(), [false])
})

t.test('what a runner claims at the same moment is not brought as well', async (t) => {
  const { work, events, bring } = await putOffWork(1)
  const before = await work.deliveryOf(events[0] ?? '')
  const claimer = await pool.connect()
  t.teardown(() => claimer.release())
  await claimer.query('begin')
  await claimer.query(
    `update postrider.delivery set state = 'delivering', claim = postrider.uuidv7() where id = $1`,
    [before.id],
  )
  const brought = bring()
  await untilHolds(
    pool,
    `select count(*) = 1 as holds from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query ~ 'bring_forward'`,
  )
  await claimer.query('commit')
  await brought
  const { due_attempt, job } = before
  t.match(await work.deliveryOf(events[0] ?? ''), { state: 'delivering', due_attempt, job })
})

/** An endpoint whose timeouts have made its share small, and what was put off for that. */
async function hangingEndpoint(t: Test, events: number) {
  const hanging = { isSo: true }
  const receiver = await startReceiver({
    answer: () => (hanging.isSo ? new Promise<number>(() => undefined) : 200),
  })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint(
    { url: receiver.url, timeout_seconds: 1, retry_schedule: [1, 1, 1, 1, 1, 1] },
    secretBox.encrypt,
  )
  await pool.query(
    `select count(*) from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n)) from generate_series(1, $2::int) as n))`,
    [tenant.key, events],
  )
  const runner = await startService(t, 'runner', { DATABASE_URL: url, LOG_LEVEL: 'info' })
  await runner.line('endpoint.share_shrunk', (line) => line['endpointId'] === endpoint.id)
  const putOff = `from postrider.delivery where tenant_id = $1 and put_off_until > now() + interval '2 seconds'`
  await untilHolds(pool, `select count(*) > 20 as holds ${putOff}`, [tenant.id])
  /** As far as a long hang puts them off. */
  const farther = async () => {
    const { rows } = await pool.query<{ id: string }>(
      `with far as (
         update postrider.delivery set put_off_until = now() + interval '280 seconds'
         where id in (select id ${putOff}) returning id)
       update graphile_worker._private_jobs j set run_at = now() + interval '280 seconds'
       from far where j.key = 'd:' || far.id and j.locked_at is null returning far.id`,
      [tenant.id],
    )
    return rows.map(({ id }) => id)
  }
  return { hanging, receiver, tenant, runner, far: await farther() }
}

// Issue 14: small-receiver.test.ts once took 145 s, since what a small share had put off for minutes stayed so.
if (isLong)
  t.test('what a hanging receiver has put off for minutes comes when it answers', async (t) => {
    const { hanging, far, runner } = await hangingEndpoint(t, 300)
    t.ok(far.length > 10, `${far.length} are put off`)
    hanging.isSo = false
    await untilHolds(
      pool,
      'select bool_and(finished_at is not null) as holds from postrider.delivery where id = any ($1)',
      [far],
    )
    await runner.stop()
  })

if (isLong)
  t.test('and stays put off as long as it does not', async (t) => {
    const { far, runner, receiver } = await hangingEndpoint(t, 300)
    const before = receiver.requests.length
    await receiver.received(before + 4)
    const { rows } = await pool.query(
      "select count(*)::int as moved from postrider.delivery where id = any ($1) and put_off_until < now() + interval '200 seconds'",
      [far],
    )
    t.strictSame(rows, [{ moved: 0 }])
    await runner.stop('SIGKILL')
  })
