import t from 'tap'
import type { EndpointId, TenantId } from '../ids.ts'
import { createDatabase } from '../postgres/pool.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createEndpointStats } from './endpoint-stats.ts'

const { pool } = await createTestDatabase(t)
const recorded = recordQueries(pool)
const statsOf = createEndpointStats({ database: createDatabase(recorded.pool) })
await pool.query(`select postrider.create_partition('attempt', current_date - day)
  from generate_series(1, 3) as day`)

async function bundle() {
  const tenant = await createTenant(pool)
  const { id } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const stats = () => statsOf(tenant.id as TenantId, id as EndpointId)
  return { tenant, id, stats }
}

/** Inserts attempts that began so many minutes ago. */
async function attempts(
  { tenant, id }: Awaited<ReturnType<typeof bundle>>,
  minutesAgo: number,
  outcome: string,
  durations: (number | null)[],
) {
  await pool.query(
    `insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, outcome,
       duration_ms, runner, started_at)
     select (left(postrider.id_at(at)::text, 14) || substr(gen_random_uuid()::text, 15))::uuid,
       $1, gen_random_uuid(), $2, 1, 'schedule', $3, ms, 'r', at
     from unnest($4::real[]) as ms, (select now() - make_interval(secs => $5 * 60)) as t (at)`,
    [tenant.id, id, outcome, durations, minutesAgo],
  )
}

t.test('an endpoint without attempts has zeros and nulls', async (t) => {
  const { stats } = await bundle()
  const none = { attempts: 0, outcomes: {}, p50Ms: null, p95Ms: null, p99Ms: null }
  t.strictSame(await stats(), { hour: none, day: none, countedSince: null })
})

t.test('counts outcomes and latency within an hour and a day', async (t) => {
  const one = await bundle()
  const other = await bundle()
  await attempts(one, 1, 'delivered', [...Array(100).keys()])
  await attempts(one, 59, 'rejected', [1000])
  await attempts(one, 61, 'unreachable', [2000])
  await attempts(one, 1439, 'started', [null])
  await attempts(one, 1441, 'delivered', [1])
  await attempts(other, 1, 'delivered', [1])
  const { hour, day, countedSince } = await one.stats()
  t.match(hour, { attempts: 101, outcomes: { delivered: 100, rejected: 1 }, p50Ms: 50, p95Ms: 95 })
  t.match(day, {
    attempts: 103,
    outcomes: { delivered: 100, rejected: 1, unreachable: 1, started: 1 },
  })
  t.equal(countedSince, null)
})

t.test('reads the partitions of a day, of forty that are there', async (t) => {
  const { stats } = await bundle()
  recorded.sent.length = 0
  await stats()
  const [plan] = await recorded.explain(pool)
  const partitions = new Set(plan?.match(/attempt_\d{8}\b/g))
  t.ok(partitions.size >= 1 && partitions.size <= 3, [...partitions].join(' '))
  t.notMatch(plan, /Seq Scan on attempt_/)
})
