import t, { type Test } from 'tap'
import { createTenant, type TestTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const ROUND = -11
const FRONT = -10
const LINE = 0
const UNSEEN = 10

/** Due jobs of a tenant by priority. */
type Standing = Record<number, number>

function conformance(t: Test, { pool }: TestDatabase) {
  const queue = createQueue(pool)
  const { tenantWithEndpoint, publishMany, standing, shareQueue, empty } = queue
  t.beforeEach(() => empty())

  t.test('the first thousand due deliveries of a tenant stand in the line', async (t) => {
    const tenant = await tenantWithEndpoint()
    await publishMany(tenant, 1_000)
    t.equal(await shareQueue(), 0)
    t.same(await standing(tenant), { [LINE]: 1_000 })
    await publishMany(tenant, 1)
    t.equal(await shareQueue(), 1)
    const room = await roomOf(tenant)
    t.same(await standing(tenant), { [LINE]: 1_000, [room]: 1 })
  })

  t.test('what one call publishes above it is never in the line', async (t) => {
    const [tenant, quiet] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(tenant, 1_003)
    t.same(await standing(tenant), { [LINE]: 1_000, [UNSEEN]: 3 })
    await shareQueue()
    t.same(await standing(tenant), { [LINE]: 1_000, [await roomOf(tenant)]: 3 })
    await publishMany(quiet, 1)
    t.same(await standing(quiet), { [LINE]: 1 })
  })

  t.test('the newest go into the room, and all that follow them', async (t) => {
    const tenant = await tenantWithEndpoint()
    for (const _ of [1, 2, 3]) await publishMany(tenant, 700)
    await shareQueue()
    const room = await roomOf(tenant)
    const { rows } = await pool.query(
      `select max(run_at) filter (where priority = 0) <= min(run_at) filter (where priority = $1) as "oldestStay"
       from graphile_worker._private_jobs`,
      [room],
    )
    t.same(rows, [{ oldestStay: true }])
    await publishMany(tenant, 2)
    t.same(await standing(tenant), { [LINE]: 1_000, [room]: 1_102 })
  })

  t.test('retries count like first attempts, and those for later stand in the line', async (t) => {
    const tenant = await tenantWithEndpoint()
    await publishMany(tenant, 1_001)
    await shareQueue()
    const { rows } = await pool.query(
      `select postrider.rooms_for(array[e.id, e.id, e.id],
         array[null, now() + interval '4 minutes', now() + interval '6 minutes']) as rooms
       from postrider.endpoint e where e.tenant_id = $1`,
      [tenant.id],
    )
    const room = (await roomOf(tenant)) - UNSEEN
    t.same(rows, [{ rooms: [room, room, null] }])
  })

  t.test('a group is let in, the oldest first, once the one before it is through', async (t) => {
    const [busy, quiet] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(busy, 2_500)
    await shareQueue()
    const room = await roomOf(busy)
    await publishMany(quiet, 1)
    await age('5 seconds')
    await shareQueue()
    t.same(await standing(busy), { [LINE]: 1_000, [room]: 1_500 }, 'its share is in the line yet')
    await work(1_000)
    t.same(await standing(busy), { [room]: 1_500 })
    await shareQueue()
    t.same(await standing(busy), { [LINE]: 1_000, [room]: 500 })
    const { rows } = await pool.query(
      `select j.key in (select 'd:' || id from postrider.delivery where tenant_id = $1) as theirs
       from graphile_worker._private_jobs j where j.priority = 0 order by j.run_at limit 1`,
      [quiet.id],
    )
    t.same(rows, [{ theirs: true }], 'anyone who stood in the line before stands before them')
    await shareQueue()
    t.same(await standing(busy), { [LINE]: 1_000, [room]: 500 }, 'one group at a time')
  })

  t.test('nobody is moved for a tenant that is alone, as runners come to its room', async (t) => {
    const tenant = await tenantWithEndpoint()
    await publishMany(tenant, 1_500)
    await shareQueue()
    await work(1_000)
    await shareQueue()
    t.same(await standing(tenant), { [await roomOf(tenant)]: 500 })
  })

  t.test('rooms take turns, and each is closed when it is empty', async (t) => {
    const tenants = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    for (const tenant of tenants) await publishMany(tenant, 1_200)
    t.equal(await shareQueue(), 2)
    t.not(await roomOf(tenants[0]), await roomOf(tenants[1]))
    await work(2_000)
    await shareQueue()
    for (const tenant of tenants) t.same(await standing(tenant), { [LINE]: 200 })
    t.equal(await shareQueue(), 0)
  })

  t.test('the thirty-first busy tenant shares a room', async (t) => {
    await pool.query(`select postrider.room_of(postrider.uuidv7()) from generate_series(1, 31)`)
    const { rows } = await pool.query(
      `select room, count(*)::int as tenants from postrider.tenant_backlog group by room order by 2 desc, 1`,
    )
    t.equal(rows.length, 30)
    t.match(rows, [{ tenants: 2 }, { tenants: 1 }])
  })

  t.test('a person asks for a hundred at most; what is more waits with the others', async (t) => {
    const { tenant } = await createWork(pool)
    await publishMany(tenant, 101)
    await pool.query(
      `select postrider.retry_now(id, 'test') from postrider.delivery where tenant_id = $1 order by id`,
      [tenant.id],
    )
    t.same(await standing(tenant), { [FRONT]: 101 })
    await shareQueue()
    t.same(await standing(tenant), { [FRONT]: 100, [LINE]: 1 })
  })

  // A script that retried 13 deliveries a second, each alone, kept all others from being sent for as long as it ran.
  t.test('retries that come faster than they are sent do not stop the line', async (t) => {
    const [script, other] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(other, 8)
    const taken: string[] = []
    for (let second = 0; second < 40; second += 1) {
      await publishMany(script, 13)
      await askForAll(script, 13)
      taken.push(...(await takeFirst(4)))
      await age('1 second')
      await shareQueue()
    }
    t.equal(taken.filter((tenant) => tenant === other.id).length, 8)
    const ofScript = taken.filter((tenant) => tenant === script.id).length
    t.ok(ofScript > 80, `meanwhile the front moves as well: ${ofScript} of 160`)
  })

  t.test('the line waits ten seconds for the front, then as many of each are sent', async (t) => {
    const [script, other] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(other, 5)
    await age('5 seconds')
    await publishMany(script, 2)
    await askForAll(script, 2)
    await shareQueue()
    t.same(await standing(script), { [FRONT]: 2 })
    t.same(await standing(other), { [LINE]: 5 })

    await age('6 seconds')
    await shareQueue()
    t.same(await standing(script), { [ROUND]: 2 })
    t.same(await standing(other), { [ROUND]: 2, [LINE]: 3 })

    await publishMany(script, 1)
    await askForAll(script, 1)
    await takeFirst(3)
    await shareQueue()
    t.same(await standing(script), { [ROUND]: 1, [FRONT]: 1 }, 'one round at a time')
    await takeFirst(1)
    await shareQueue()
    t.same(await standing(script), { [ROUND]: 1 })
    t.same(await standing(other), { [ROUND]: 1, [LINE]: 2 })
  })

  t.test('a line that waits is left as it is while nobody is in front', async (t) => {
    const tenant = await tenantWithEndpoint()
    await publishMany(tenant, 3)
    await age('1 hour')
    await shareQueue()
    t.same(await standing(tenant), { [LINE]: 3 })
  })

  t.test('a group of the only room is let in when the front keeps runners from it', async (t) => {
    const [busy, script] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(busy, 1_500)
    await shareQueue()
    const room = await roomOf(busy)
    await work(1_000)
    await publishMany(script, 1)
    await askForAll(script, 1)
    await age('2 seconds')
    t.same(await standing(busy), { [room]: 500 })
    await shareQueue()
    t.same(await standing(busy), { [LINE]: 500 })
  })

  t.test('a delivery that is put off keeps its place', async (t) => {
    const { tenant, publish, claim, finish, snooze, deliveryOf } = await createWork(pool)
    const [asked, retried, surplus] = [await publish(), await publish(), await publish()]
    await finish(await claim(retried), 503, 0)
    t.match(await deliveryOf(retried.eventId), { priority: LINE })
    await snooze(await deliveryOf(retried.eventId))
    t.match(await deliveryOf(retried.eventId), { priority: LINE })

    await pool.query('select postrider.retry_now($1)', [asked.id])
    await snooze(await deliveryOf(asked.eventId))
    t.match(await deliveryOf(asked.eventId), { priority: FRONT })

    await pool.query('select postrider.room_of($1)', [tenant.id])
    await snooze(surplus)
    t.match(await deliveryOf(surplus.eventId), { priority: await roomOf(tenant) })
  })

  t.test('one that a person asked for and that was cut off is made again in front', async (t) => {
    const { publish, claim, deliveryOf } = await createWork(pool)
    const delivery = await publish()
    await pool.query('select postrider.retry_now($1)', [delivery.id])
    const claimed = await claim(await deliveryOf(delivery.eventId))
    await pool.query('select * from postrider.finish_many($1)', [
      JSON.stringify([
        {
          delivery_id: delivery.id,
          attempt_id: claimed?.attemptId,
          outcome: 'interrupted',
          next_in_seconds: 0,
        },
      ]),
    ])
    t.match(await deliveryOf(delivery.eventId), { priority: FRONT, trigger: 'manual' })
  })

  t.test('a probe that is put off stays in front', async (t) => {
    const { endpoint, tenant, publish, snooze, deliveryOf } = await createWork(pool)
    const delivery = await publish()
    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_delivery_id)
       values ($1, $2, 20, now(), $3)`,
      [endpoint.id, tenant.id, delivery.id],
    )
    await snooze(delivery)
    t.match(await deliveryOf(delivery.eventId), { priority: FRONT })
  })

  t.test('whatever makes or moves jobs asks the one rule', async (t) => {
    const { rows } = await pool.query<{ name: string; source: string }>(
      `select p.proname as name, p.prosrc as source from pg_proc p
       where p.pronamespace = 'postrider'::regnamespace
         and p.prosrc ~ '(add_jobs?|reschedule_jobs)\\('`,
    )
    t.strictSame(rows.map(({ name }) => name).sort(), [
      'enqueue',
      'enqueue_advance',
      'enqueue_collapses',
      'enqueue_single',
      'move_jobs',
    ])
    for (const { name, source } of rows) {
      t.equal(name === 'move_jobs' || source.includes('postrider.job_priority('), true, name)
      t.notMatch(source, /priority => -?\d/, name)
    }
    const movers = await pool.query<{ source: string }>(
      `select p.prosrc as source from pg_proc p
       where p.pronamespace = 'postrider'::regnamespace and p.prosrc ~ 'postrider\\.move_jobs\\('`,
    )
    for (const { source } of movers.rows) t.match(source, /postrider\.job_priority\(/)
  })

  const roomOf = async (tenant: TestTenant | undefined) => {
    const { rows } = await pool.query(
      'select postrider.job_priority($2, room) as priority from postrider.tenant_backlog where tenant_id = $1',
      [tenant?.id, 'schedule'],
    )
    return rows[0].priority as number
  }
  const { age, askForAll, takeFirst, work } = queue
  t.end()
}

/** The queue as runners find it, without one. */
function createQueue(pool: TestDatabase['pool']) {
  return {
    async tenantWithEndpoint() {
      const tenant = await createTenant(pool)
      await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
      return tenant
    },
    publishMany: (tenant: TestTenant, count: number) =>
      pool.query(
        `select count(*) from postrider.publish_many((
           select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n)) from generate_series(1, $2::int) n))`,
        [tenant.key, count],
      ),
    async standing(tenant: TestTenant): Promise<Standing> {
      const { rows } = await pool.query<{ priority: number; count: number }>(
        `select j.priority, count(*)::int from postrider.delivery d
         join graphile_worker._private_jobs j on j.key = 'd:' || d.id
         where d.tenant_id = $1 group by 1 order by 1`,
        [tenant.id],
      )
      return Object.fromEntries(rows.map(({ priority, count }) => [priority, count]))
    },
    async shareQueue(): Promise<number> {
      return (await pool.query('select postrider.share_queue() as rooms')).rows[0].rooms
    },
    /** A person, or a script, asks for so many of its deliveries that wait in the line, each alone. */
    askForAll: (tenant: TestTenant, count: number) =>
      pool.query(
        `select postrider.retry_now(w.id, 'test') from (
           select d.id from postrider.delivery d
           join graphile_worker._private_jobs j on j.key = 'd:' || d.id
           where d.tenant_id = $1 and j.priority = 0 order by d.id desc limit $2) as w`,
        [tenant.id, count],
      ),
    /** What a runner does to the first so many jobs, and whose they were. */
    async takeFirst(jobs: number): Promise<string[]> {
      const { rows } = await pool.query<{ tenant: string }>(
        `with taken as (
           delete from graphile_worker._private_jobs where id in (
             select id from graphile_worker._private_jobs where run_at <= now() order by priority, run_at limit $1)
           returning key)
         select d.tenant_id as tenant from taken
         join postrider.delivery d on d.id = substr(taken.key, 3)::uuid`,
        [jobs],
      )
      return rows.map(({ tenant }) => tenant)
    },
    /** What runners do to so many jobs of the line. */
    work: (jobs: number) =>
      pool.query(
        `delete from graphile_worker._private_jobs where id in (
           select id from graphile_worker._private_jobs where priority = 0 order by run_at limit $1)`,
        [jobs],
      ),
    /** As if all had happened so much earlier. */
    async age(interval: string) {
      await pool.query('update graphile_worker._private_jobs set run_at = run_at - $1::interval', [
        interval,
      ])
      await pool.query('update postrider.tenant_backlog set let_in_at = let_in_at - $1::interval', [
        interval,
      ])
    },
    async empty() {
      await pool.query('delete from graphile_worker._private_jobs')
      await pool.query('delete from postrider.tenant_backlog')
    },
  }
}
