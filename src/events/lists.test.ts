import t from 'tap'
import type { DeliveryFilter } from '../deliveries/deliveries.ts'
import type { EndpointId, EventId, TenantId } from '../ids.ts'
import type { DeliveryState } from '../postgres/schema.ts'
import { reasonOfStatus } from '../sending/reason.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import type { EventFilter } from './events.ts'

const { pool } = await createTestDatabase(t)
const recorded = recordQueries(pool)
const { events, deliveries } = createTestServices(recorded.pool)
const FIRST = { limit: 10, before: null }
const [MIDNIGHT, NOON] = [new Date('2026-01-05T00:00:00Z'), new Date('2026-01-05T12:00:00Z')]
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000' as EndpointId

await pool.query(`select postrider.create_partition(parent, date '2026-01-01' + n)
  from unnest('{event,delivery,attempt}'::text[]) parent, generate_series(0, 9) n`)

async function bundle() {
  const tenant = await createTenant(pool)
  const tenantId = tenant.id as TenantId
  const { id: endpointId } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const eventIds = async (filter: EventFilter & { since?: Date; until?: Date }) =>
    (await events.list(tenantId, { ...FIRST, ...filter })).map(({ id }) => String(id))
  const eventsOf = async (filter: DeliveryFilter & { since?: Date; until?: Date }) =>
    (await deliveries.list(tenantId, { ...FIRST, ...filter })).map(({ event_id }) => event_id)
  /** Moves an event as if it had been published then. */
  const publishAt = async (at: Date, type = 'a', data = '{"n":1}') => {
    const { rows } = await pool.query<{ id: string }>(
      `insert into postrider.event (id, tenant_id, type, data, occurred_at, created_at)
       values (overlay(gen_random_uuid()::text placing left(postrider.id_at($1)::text, 14) from 1)::uuid,
         $2, $3, $4, $1, $1) returning id`,
      [at, tenant.id, type, data],
    )
    return rows[0]?.id ?? ''
  }
  return { tenant, tenantId, endpointId: endpointId as EndpointId, eventIds, eventsOf, publishAt }
}

/** Partitions of January, of this table, that the plans of these queries could read. */
async function partitionsOf(table: string, run: () => Promise<unknown>): Promise<string[]> {
  recorded.sent.length = 0
  await run()
  const plans = await recorded.explain(pool)
  const names = plans.join('\n').matchAll(/ on (event|delivery|attempt)_(202601\d\d)/g)
  return [
    ...new Set([...names].filter(([, name]) => name === table).map(([, , day]) => String(day))),
  ]
}

t.test('a time range reads the partitions of that time and no others', async (t) => {
  const { tenantId, eventIds, publishAt } = await bundle()
  const inside = await publishAt(NOON)
  await publishAt(new Date('2026-01-04T23:59:59.999Z'))
  await publishAt(new Date('2026-01-06T00:00:00.000Z'))
  const at = { since: MIDNIGHT, until: new Date('2026-01-06T00:00:00Z') }
  t.strictSame(await eventIds(at), [inside])
  const all = () => events.list(tenantId, { ...FIRST, ...at })
  t.strictSame(await partitionsOf('event', all), ['20260105'])
  const rare = () => events.list(tenantId, { ...FIRST, ...at, type: 'never', search: 'nothing' })
  t.strictSame(await partitionsOf('event', rare), ['20260105'])
  const filter = { ...FIRST, ...at, state: 'failed', statusClass: 5, type: 'a' } as const
  const failed = () => deliveries.list(tenantId, filter)
  t.strictSame(await partitionsOf('delivery', failed), ['20260105'])
})

t.test('since is inclusive, until is not', async (t) => {
  const { eventIds, publishAt } = await bundle()
  const id = await publishAt(NOON)
  const [before, after] = [new Date(NOON.getTime() - 1), new Date(NOON.getTime() + 1)]
  t.strictSame(await eventIds({ since: NOON, until: after }), [id])
  t.strictSame(await eventIds({ since: before, until: NOON }), [])
  t.strictSame(await eventIds({ since: after, until: new Date() }), [])
})

t.test('events by type, pattern, endpoint and state of their deliveries', async (t) => {
  const { tenant, endpointId, eventIds } = await bundle()
  const other = (
    await tenant.addEndpoint({ url: 'http://127.0.0.1/b', event_types: ['order.paid'] })
  ).id
  const order = await tenant.publish('order.paid')
  const invoice = await tenant.publish('invoice.paid')
  t.strictSame(await eventIds({}), [invoice, order])
  t.strictSame(await eventIds({ type: 'order.paid' }), [order])
  t.strictSame(await eventIds({ type: 'order.*' }), [order])
  t.strictSame(await eventIds({ type: 'order' }), [])
  t.strictSame(await eventIds({ endpointId }), [invoice, order])
  t.strictSame(await eventIds({ endpointId: other as EndpointId }), [order])
  t.strictSame(await eventIds({ endpointId: UNKNOWN_ID }), [])
  await pool.query(
    `update postrider.delivery set state = 'failed', finished_at = now()
     where event_id = $1 and endpoint_id = $2`,
    [order, other],
  )
  t.strictSame(await eventIds({ state: 'failed' }), [order])
  t.strictSame(await eventIds({ state: 'failed', endpointId }), [])
  t.strictSame(await eventIds({ state: 'pending' }), [invoice, order])
})

t.test(
  'search: by id, delivery and key whenever it was, otherwise text of the last day',
  async (t) => {
    const { tenant, tenantId, eventIds, publishAt } = await bundle()
    const other = await bundle()
    const old = await publishAt(NOON, 'a', '{"text":"needle"}')
    const { rows } = await pool.query(
      `select postrider.publish($1, 'a', '{"n":"needle"}', 'the key') as id`,
      [tenant.key],
    )
    const recent = rows[0].id
    const [delivery] = await deliveries.list(tenantId, { ...FIRST, eventId: recent as EventId })
    t.strictSame(await eventIds({ search: old }), [old])
    t.strictSame(await eventIds({ search: recent.toUpperCase() }), [recent])
    t.strictSame(await eventIds({ search: delivery?.id ?? '' }), [recent])
    t.strictSame(await eventIds({ search: 'the key' }), [recent])
    t.strictSame(await eventIds({ search: 'needle' }), [recent], 'of the last day')
    const since = MIDNIGHT
    t.strictSame(await eventIds({ search: 'needle', since, until: new Date('2026-01-06') }), [old])
    t.strictSame(await eventIds({ search: 'needle', since }), [recent], 'a month at most')
    t.strictSame(await other.eventIds({ search: recent }), [], 'nothing of another tenant')
    t.strictSame(await other.eventIds({ search: 'needle' }), [])
  },
)

t.test('search: text is found as people write it, however it stands in the JSON', async (t) => {
  const { tenant, eventIds } = await bundle()
  const found: [data: string, search: string[], not?: string[]][] = [
    ['{"a":"Grün GmbH"}', ['grün', 'GRÜN gmbh', '"a":"Gr'], ['grun']],
    ['{"a":"Gr\\u00FCn AG"}', ['grün ag']],
    // Issue 14, 17: large letters beyond ASCII were not found where the data has small ones escaped.
    ['{"a":"M\\u00fcller KG"}', ['MÜLLER KG', 'müller kg', 'mu\u0308ller'], ['muller kg']],
    ['{"a":"Mu\\u0308ller \\u0026 Co"}', ['MÜLLER & CO']],
    ['{"a":"\\uD83D\\uDE00 \\u041f\\u0440\\u0438\\u0432\\u0435\\u0442"}', ['😀 ПРИВЕТ']],
    ['{"a":"https:\\/\\/b.test\\/c"}', ['https://B.test/c', '\\/c']],
    ['{"a":"line 1\\nline \\u0032"}', ['1\nLINE 2', 'line 2']],
    ['{"Gr\\u00f6\\u00dfe":null}', ['grÖße"', 'GRÖSSE"'], ['gröse']],
    ['{"a":"C:\\\\u00fcber"}', ['C:\\u00fc', 'u00fcber'], ['c:\\ü']],
    ['{"n":1.50e2}', ['1.50E2']],
    ['{"a":"say \\"hi\\""}', ['say "hi"', 'hi\\"']],
    ['{"a":"100%_x\\\\y"}', ['100%_x\\y', '%_X'], ['1%x', '100__x']],
    ['{"a":"\\ud83d\\ude00 ok"}', ['😀 OK']],
    ['{"id":"0198c1f5-7e4a-7000-8000-000000000001"}', ['0198c1f5-7e4a-7000-8000-000000000001']],
  ]
  for (const [data, searches, not = []] of found) {
    const { rows } = await pool.query(`select postrider.publish($1, 'a', $2) as id`, [
      tenant.key,
      data,
    ])
    for (const search of searches) {
      t.strictSame(await eventIds({ search }), [rows[0].id], `${search} in ${data}`)
    }
    for (const search of not) t.strictSame(await eventIds({ search }), [], search)
  }
})

t.test('deliveries by type, and by class and reason of their last attempt', async (t) => {
  const { tenant, eventsOf } = await bundle()
  const answers: [type: string, codes: (number | null)[], state: DeliveryState][] = [
    ['order.paid', [500, 200], 'delivered'],
    ['order.late', [200, 503], 'failed'],
    ['invoice', [404], 'pending'],
    ['invoice', [410, null], 'pending'],
    ['invoice', [], 'held'],
  ]
  const reasonOf = (code: number | null) =>
    code === null ? 'timeout_answer' : reasonOfStatus(code)
  const ids: string[] = []
  for (const [type, codes, state] of answers) {
    const eventId = await tenant.publish(type)
    ids.push(eventId)
    const isFinished = ['delivered', 'failed'].includes(state)
    const { rows } = await pool.query(
      `update postrider.delivery set state = $2, held_reason = case when $2 = 'held' then 'paused' end,
         finished_at = case when $3 then now() end
       where event_id = $1 returning id, endpoint_id`,
      [eventId, state, isFinished],
    )
    for (const [n, code] of codes.entries()) {
      await pool.query(
        `insert into postrider.attempt (tenant_id, delivery_id, endpoint_id, number, trigger, runner, status_code, reason)
         values ($1, $2, $3, $4, 'schedule', 'r', $5, $6)`,
        [tenant.id, rows[0].id, rows[0].endpoint_id, n + 1, code, reasonOf(code)],
      )
    }
  }
  t.strictSame(await eventsOf({ statusClass: 2 }), [ids[0]])
  t.strictSame(await eventsOf({ statusClass: 3 }), [])
  t.strictSame(await eventsOf({ statusClass: 4 }), [ids[2]])
  t.strictSame(await eventsOf({ statusClass: 5 }), [ids[1]])
  t.strictSame(await eventsOf({ reason: 'status_5xx' }), [ids[1]])
  t.strictSame(await eventsOf({ reason: 'status_4xx' }), [ids[2]])
  t.strictSame(await eventsOf({ reason: 'timeout_answer' }), [ids[3]])
  t.strictSame(await eventsOf({ reason: 'timeout_tls' }), [])
  t.strictSame(await eventsOf({ reason: 'status_5xx', statusClass: 4 }), [])
  t.strictSame(await eventsOf({ type: 'order.*' }), [ids[1], ids[0]])
  t.strictSame(await eventsOf({ type: 'order.*', statusClass: 5, state: 'failed' }), [ids[1]])
  t.strictSame(await eventsOf({ state: 'held' }), [ids[4]])
  t.strictSame(await eventsOf({ state: 'delivered' }), [ids[0]])
  t.strictSame(await eventsOf({ since: new Date(Date.now() + 60_000) }), [])
})

t.test('a list that finds nothing in time says what to do', async (t) => {
  const { tenantId } = await bundle()
  const lock = await pool.connect()
  t.teardown(() => lock.release())
  await lock.query('begin; lock table postrider.event')
  const slow = events.list(tenantId, { ...FIRST, type: 'never' })
  await t.rejects(slow, { code: 'search_too_slow', message: /since and until/ })
  await lock.query('rollback')
  t.strictSame(await events.list(tenantId, { ...FIRST, type: 'never' }), [])
})
