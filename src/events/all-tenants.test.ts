import { sql } from 'kysely'
import t from 'tap'
import { createAttemptRates } from '../attempts/attempt-rates.ts'
import { createAttemptStrips } from '../attempts/attempt-strips.ts'
import type { DeliverySearch, FoundDelivery } from '../deliveries/deliveries.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { createBacklog } from '../operations/backlog.ts'
import { createChartMarkers } from '../operations/chart-markers.ts'
import { createDatabase, createPool } from '../postgres/pool.ts'
import { createScan } from '../postgres/scan.ts'
import { EVERY_TENANT, type ListedTenants } from '../tenants/listed-tenants.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool, url } = await createTestDatabase(t)
const recorded = recordQueries(pool)
const database = createDatabase(recorded.pool)
const { deliveries, endpoints, events, incidents } = createTestServices(recorded.pool)
const FIRST = { limit: 10, before: null }

/** A tenant with one delivered and one failed delivery. */
async function bundle() {
  const work = await createWork(pool)
  const good = await work.publish()
  await work.finish(await work.claim(good), 200)
  const bad = await work.publish()
  await work.finish(await work.claim(bad), 503)
  const tenantId = work.tenant.id as TenantId
  const found = async (query: Partial<DeliverySearch>, of: ListedTenants = tenantId) =>
    (await deliveries.search(of, { ...FIRST, ...query })).rows.map(({ id }) => String(id))
  return { ...work, tenantId, good, bad, found }
}

t.test('deliveries of every tenant, newest first, with what people know them by', async (t) => {
  const one = await bundle()
  const other = await bundle()
  const { rows, next, isCutShort } = await deliveries.search(EVERY_TENANT, { ...FIRST, limit: 3 })
  t.match(rows, [
    { id: other.bad.id, tenantKey: other.tenant.key, lastStatusCode: 503, lastOutcome: 'rejected' },
    { id: other.good.id, eventType: 'invoice.paid', lastStatusCode: 200 },
    { id: one.bad.id, url: 'http://127.0.0.1:1/', lastReason: 'status_5xx' },
  ])
  t.equal(next, one.bad.id)
  t.equal(isCutShort, false)
  const older = await deliveries.search(EVERY_TENANT, { ...FIRST, before: next as DeliveryId })
  t.equal(older.rows[0]?.id, one.good.id, 'the next page goes on from there')
  t.equal(older.next, null)
})

t.test('oldest first, page by page, in any of several states', async (t) => {
  const { good, bad, tenantId, found, publish } = await bundle()
  const { id: open } = await publish()
  const isOldestFirst = true
  t.strictSame(await found({ isOldestFirst }), [good.id, bad.id, open])
  const { rows, next } = await deliveries.search(tenantId, { ...FIRST, isOldestFirst, limit: 2 })
  t.strictSame([rows.length, next], [2, bad.id])
  t.strictSame(await found({ isOldestFirst, before: next as DeliveryId }), [open])
  t.strictSame(await found({ state: ['failed', 'delivered'] }), [bad.id, good.id])
  t.strictSame(await found({ state: ['pending', 'failed'], isOldestFirst }), [bad.id, open])
  t.strictSame(await found({ state: ['held', 'cancelled'] }), [])
  const eventIds = async (query: Partial<Parameters<typeof events.search>[1]>) =>
    (await events.search(tenantId, { ...FIRST, ...query })).rows.map(({ id }) => String(id))
  t.strictSame(await eventIds({ isOldestFirst, state: ['failed', 'delivered'] }), [
    good.eventId,
    bad.eventId,
  ])
  t.strictSame(await eventIds({ isOldestFirst, before: good.eventId as EventId, limit: 1 }), [
    bad.eventId,
  ])
})

t.test('deliveries by tenant, endpoint, event, state, type, answer, reason and time', async (t) => {
  const { good, bad, endpoint, found } = await bundle()
  t.strictSame(await found({}), [bad.id, good.id])
  t.strictSame(await found({ endpointId: endpoint.id as EndpointId }), [bad.id, good.id])
  t.strictSame(await found({ eventId: good.eventId as EventId }), [good.id])
  t.strictSame(await found({ state: 'failed' }), [bad.id])
  t.strictSame(await found({ state: 'pending' }), [])
  t.strictSame(await found({ type: 'invoice.*' }), [bad.id, good.id])
  t.strictSame(await found({ type: 'invoice' }), [])
  t.strictSame(await found({ statusClass: 5 }), [bad.id])
  t.strictSame(await found({ reason: 'status_5xx' }), [bad.id])
  t.strictSame(await found({ reason: 'status_4xx' }), [])
  t.strictSame(await found({ until: new Date(Date.now() - 60_000) }), [])
  t.strictSame(await found({ since: new Date(Date.now() - 60_000) }), [bad.id, good.id])
})

t.test(
  'deliveries by id, by that of their event, and by the idempotency key of a tenant',
  async (t) => {
    const { good, found, tenant } = await bundle()
    t.strictSame(await found({ search: good.id.toUpperCase() }, EVERY_TENANT), [good.id])
    t.strictSame(await found({ search: good.eventId }, EVERY_TENANT), [good.id])
    await pool.query(`select postrider.publish($1, 'a', '1', 'the key')`, [tenant.key])
    t.equal((await found({ search: 'the key' })).length, 1)
    t.strictSame(await found({ search: 'the key' }, EVERY_TENANT), [], 'keys are a tenant’s own')
  },
)

t.test('events of every tenant, with how far they are', async (t) => {
  const { good, bad, tenantId } = await bundle()
  const found = async (
    query: Partial<Parameters<typeof events.search>[1]>,
    of: ListedTenants = tenantId,
  ) => (await events.search(of, { ...FIRST, ...query })).rows.map(({ id }) => String(id))
  t.match((await events.search(tenantId, FIRST)).rows, [
    { id: bad.eventId, deliveries: 1, delivered: 0, ended: 1 },
    { id: good.eventId, deliveries: 1, delivered: 1, ended: 0 },
  ])
  t.strictSame(await found({ state: 'failed' }), [bad.eventId])
  t.strictSame(await found({ type: 'invoice.paid', limit: 1 }), [bad.eventId])
  t.strictSame(await found({ search: '"id"' }), [bad.eventId, good.eventId])
  t.strictSame(await found({ search: good.id }, EVERY_TENANT), [good.eventId])
  t.strictSame(await found({ search: 'nowhere' }), [])
})

t.test('a page asks so many rows and says where it stopped, whatever it has found', async (t) => {
  const work = await createWork(pool)
  const made: string[] = []
  for (let n = 0; n < 5; n++) made.unshift((await work.publish()).id)
  const scan = createScan<FoundDelivery>(database)
  const look = (asked: boolean, scannedMax: number, limit = 10, isOldestFirst = false) =>
    scan(
      {
        isOldestFirst,
        table: 'delivery',
        indexed: sql`tenant_id = ${work.tenant.id}`,
        asked: sql`${asked}`,
        scannedMax,
        limit,
      },
      (rows, direction) =>
        sql<FoundDelivery>`select * from (${rows}) as r order by id ${direction}`,
    )
  const idsOf = async (page: ReturnType<typeof look>) =>
    (await page).rows.map(({ id }) => String(id))
  t.match(await look(false, 3), { rows: [], next: made[2], isCutShort: true })
  t.match(await look(false, 5), { next: made[4], isCutShort: true }, 'there may be one more')
  t.match(await look(false, 6), { rows: [], next: null, isCutShort: false })
  t.strictSame(await idsOf(look(true, 3)), made.slice(0, 3))
  t.match(await look(true, 5, 2), { next: made[1], isCutShort: false })
  t.match(await look(false, 3, 10, true), { rows: [], next: made[2], isCutShort: true })
  t.strictSame(await idsOf(look(true, 3, 10, true)), made.toReversed().slice(0, 3))
})

if (isLong)
  t.test('no page reads through all deliveries or attempts, however they are stored', async (t) => {
    const { endpoint, tenantId, good } = await bundle()
    await pool.query(`
    insert into postrider.delivery (tenant_id, event_id, endpoint_id, state, attempt_count, due_attempt, finished_at)
    select d.tenant_id, d.event_id, d.endpoint_id, 'delivered', 1, 2, now()
    from postrider.delivery d, generate_series(1, 20000) limit 20000`)
    await pool.query(`
    insert into postrider.attempt (tenant_id, delivery_id, endpoint_id, number, trigger, outcome, runner, finished_at)
    select d.tenant_id, d.id, d.endpoint_id, 1, 'schedule', 'delivered', 'r', now()
    from postrider.delivery d where d.state = 'delivered' and d.attempt_count = 1`)
    await pool.query('analyze postrider.delivery, postrider.attempt, postrider.event')
    recorded.sent.length = 0

    const endpointId = endpoint.id as EndpointId
    const of = { tenantId, endpointId }
    await createAttemptRates({ database })({ minutes: 60, stepMinutes: 1 })
    await createAttemptRates({ database })({ minutes: 1440, stepMinutes: 30, of })
    await createAttemptStrips({ database })([{ tenant_id: tenantId, endpoint_id: endpointId }])
    const hourAgo = new Date(Date.now() - 3_600_000)
    await createChartMarkers({ database })(hourAgo)
    await createChartMarkers({ database })(hourAgo, endpointId)
    await createBacklog({ database })()
    await incidents.worst(EVERY_TENANT, 20)
    await incidents.totals(EVERY_TENANT)
    await endpoints.countOpen(tenantId, endpointId)
    const plain = await recorded.explain(pool)
    recorded.sent.length = 0

    const filters = [
      {},
      { endpointId },
      { state: 'failed' },
      { type: 'a' },
      { statusClass: 4 },
      { reason: 'timeout_tls' },
      { isOldestFirst: true },
      { isOldestFirst: true, before: good.id, state: ['failed', 'held'] },
    ]
    for (const listed of [EVERY_TENANT, { but: [tenantId] }, tenantId]) {
      for (const filter of filters)
        await deliveries.search(listed, { ...FIRST, ...(filter as object) })
    }
    await deliveries.search(EVERY_TENANT, { ...FIRST, search: good.id })
    for (const filter of [
      {},
      { state: 'failed' },
      { search: 'x' },
      { search: good.id },
      { isOldestFirst: true, state: ['failed'] },
    ] as const) {
      for (const listed of [EVERY_TENANT, { but: [tenantId] }, tenantId])
        await events.search(listed, { ...FIRST, ...filter })
    }
    // As they are run: what is still a sequential scan then has no index at all.
    const likeThem = createPool({
      connectionString: url,
      max: 2,
      applicationName: 'explain',
      settings: { enable_seqscan: 'off' },
    })
    t.teardown(() => likeThem.end())
    const plans = [...plain, ...(await recorded.explain(likeThem))]
    t.ok(plans.length > 20)
    // Those of other days are empty here, and Postgres knows it.
    const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')
    const full = new RegExp(`Seq Scan on (?:delivery|attempt|event)_${today}`)
    for (const plan of plans) t.notMatch(plan, full)
  })
