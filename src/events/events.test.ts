import { Kysely, PostgresDialect } from 'kysely'
import t from 'tap'
import { DELIVERIES_OF_EVENT_MAX } from '../deliveries/deliveries.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import { createTenantServices } from '../service/services.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { testConfig } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const queries: { sql: string; parameters: readonly unknown[] }[] = []
const database = new Kysely<Database>({
  dialect: new PostgresDialect({ pool }),
  log: ({ query }) => void queries.push(query),
}).withSchema('postrider')
const { attempts, events, deliveries } = createTenantServices(testConfig(), database)

await pool.query(`select postrider.create_partition(parent, date '2026-01-01' + n)
  from unnest('{event,delivery,attempt}'::text[]) parent, generate_series(0, 9) n`)

/** The partitions that the queries of `run` can read, as `event`, `delivery` or `attempt` and count. */
async function partitionsOf(run: () => Promise<unknown>): Promise<Record<string, number>> {
  queries.length = 0
  await run()
  const counts: Record<string, number> = {}
  for (const { sql, parameters } of [...queries]) {
    const { rows } = await pool.query(`explain (costs off) ${sql}`, [...parameters])
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    const partitions = plan.match(/ on (event|delivery|attempt)_202601\d\d/g) ?? []
    counts[/from "?postrider"?."?(\w+)/.exec(sql)?.[1] ?? sql] = partitions.length
  }
  return counts
}

t.test('no query by id reads the partitions of another time', async (t) => {
  const tenant = await createTenant(pool)
  const tenantId = tenant.id as TenantId
  const { id: endpointId } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const eventId = (await tenant.publish()) as EventId
  const [delivery] = await deliveries.list(tenantId, { limit: 1, before: null })
  const deliveryId = delivery?.id as DeliveryId

  t.strictSame(await partitionsOf(() => events.get(tenantId, eventId)), { event: 0, delivery: 0 })
  t.strictSame(
    await partitionsOf(() => events.find(tenantId, eventId)),
    { event: 0 },
    'a page that explains the event reads its deliveries once, with that',
  )
  t.strictSame(await partitionsOf(() => deliveries.get(tenantId, deliveryId)), {
    delivery: 0,
    attempt: 0,
  })
  const filter = { limit: 10, before: null, eventId, endpointId: endpointId as EndpointId }
  t.strictSame(await partitionsOf(() => deliveries.list(tenantId, filter)), { delivery: 0 })
  const all = await partitionsOf(() => events.list(tenantId, { limit: 1, before: null }))
  t.match(all, { event: 10 }, 'a list may have to go back to the first day')
})

t.test('a list leaves out the partitions that are made ahead', async (t) => {
  const tenant = await createTenant(pool)
  // A list reads an hour ahead, so in the last hour of a day the next one too.
  await pool.query(`select postrider.create_partition('event', current_date + n)
    from generate_series(1, 4) n`)
  queries.length = 0
  await events.list(tenant.id as TenantId, { limit: 1, before: null })
  const [query] = queries
  const { rows } = await pool.query(`explain (costs off) ${query?.sql}`, [
    ...(query?.parameters ?? []),
  ])
  t.match(rows.map((row) => row['QUERY PLAN']).join('\n'), /Subplans Removed: [2-9]/)
})

t.test('an event shows a bounded number of deliveries, the list has them all', async (t) => {
  const tenant = await createTenant(pool)
  const tenantId = tenant.id as TenantId
  const count = DELIVERIES_OF_EVENT_MAX + 1
  await pool.query(
    `insert into postrider.endpoint (tenant_id, url)
     select $1, 'http://127.0.0.1/' || n from generate_series(1, $2) n`,
    [tenantId, count],
  )
  const eventId = (await tenant.publish()) as EventId
  t.equal((await events.get(tenantId, eventId)).deliveries.length, DELIVERIES_OF_EVENT_MAX)
  const all = await deliveries.list(tenantId, { limit: 1_000, before: null, eventId })
  t.equal(all.length, count)
})

t.test('the latest attempts are shown in the order of their numbers', async (t) => {
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  await tenant.publish()
  const [delivery] = await deliveries.list(tenant.id as TenantId, { limit: 1, before: null })
  await pool.query(
    `insert into postrider.attempt (tenant_id, delivery_id, endpoint_id, number, trigger, runner)
     select d.tenant_id, d.id, d.endpoint_id, n, 'schedule', 'w'
     from postrider.delivery d, generate_series(1, 201) n where d.id = $1`,
    [delivery?.id],
  )
  const shown = await attempts.listOf(delivery?.id as DeliveryId)
  t.strictSame(
    shown.map(({ number }) => number),
    Array.from({ length: 200 }, (_, n) => n + 2),
  )
})
