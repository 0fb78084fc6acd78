import { type Kysely, sql } from 'kysely'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import type { Database, DeliveryState, HeldReason, ReasonColumn } from '../postgres/schema.ts'
import { type Replay, type ReplayBounds, refusedFor } from './replays.ts'

export const BULK_ACTIONS = ['retry', 'cancel', 'release', 'redeliver'] as const
export type BulkAction = (typeof BULK_ACTIONS)[number]

/** Deliveries chosen one by one: more than a screen, fewer than a request may carry. */
export const CHOSEN_MAX = 1_000

/** What a bulk job does, and to which deliveries; left out = the default of postrider.start_bulk(). */
export interface BulkRequest {
  action: BulkAction
  deliveryIds?: DeliveryId[] | undefined
  endpointId?: EndpointId | undefined
  eventId?: EventId | undefined
  eventTypes?: string[] | undefined
  states?: DeliveryState[] | undefined
  statusClass?: number | undefined
  reason?: ReasonColumn | undefined
  since?: Date | undefined
  until?: Date | undefined
  ratePerSecond?: number | undefined
}

/** What a bulk job would act on: how many (100,000 stands for that many or more), and the first ten. */
export interface BulkPreview {
  count: number
  sample: BulkSample[]
}

interface BulkSample {
  id: DeliveryId
  state: DeliveryState
  endpointId: EndpointId
  url: string
  description: string
  eventType: string | null
}

/** Deliveries of one kind that an action does not apply to. */
export interface LeftOutDeliveries {
  state: DeliveryState
  heldReason: HeldReason | null
  count: number
}

export interface Bulk {
  /** Nothing begins. */
  preview(tenantKey: string, request: BulkRequest): Promise<BulkPreview>
  /** Of deliveries that were chosen, what the action does not apply to. */
  leftOut(
    tenantId: TenantId,
    action: BulkAction,
    ids: readonly DeliveryId[],
  ): Promise<LeftOutDeliveries[]>
  /** Begins; it goes on by jobs, whichever runners are alive, and is followed and cancelled as a replay. @throws TooManyReplays */
  start(tenantKey: string, request: BulkRequest, who: string): Promise<Replay>
  /** Tries once more what the endpoint was sent in that time without success. @throws TooManyReplays */
  recover(endpoint: EndpointId, time: { since: Date; until: Date }, who: string): Promise<Replay>
}

/** @param options.bounds left out = any number runs */
export function createBulk(options: { database: Kysely<Database>; bounds?: ReplayBounds }): Bulk {
  const { database } = options
  return {
    async preview(tenantKey, request) {
      const { total, delivery_ids: ids } = await call(options, tenantKey, request, null)
      return { count: total, sample: await sampleOf(database, ids ?? []) }
    },
    leftOut: (tenantId, action, ids) => leftOut(database, tenantId, action, ids),
    start: (tenantKey, request, who) => call(options, tenantKey, request, who),
    recover: (endpoint, time, who) => recover(options, endpoint, { ...time, who }),
  }
}

async function recover(
  { database, bounds }: { database: Kysely<Database>; bounds?: ReplayBounds },
  endpoint: EndpointId,
  { since, until, who }: { since: Date; until: Date; who: string },
): Promise<Replay> {
  const { rows } = await sql<Replay>`
    select * from postrider.start_recovery(
      endpoint => ${endpoint}, since => ${since}, until => ${until}, who => ${who},
      rate_per_second => ${defaultRateOf('retry')},
      of_tenant_max => ${bounds?.ofTenant ?? null}, of_requester_max => ${bounds?.ofKey ?? null})`
    .execute(database)
    .catch(refusedFor)
  if (!rows[0]) throw new Error('start_recovery answered nothing')
  return rows[0]
}

/** @param who null = only a preview */
async function call(
  { database, bounds }: { database: Kysely<Database>; bounds?: ReplayBounds },
  tenantKey: string,
  request: BulkRequest,
  who: string | null,
): Promise<Replay> {
  const { rows } = await sql<Replay>`
    select * from postrider.start_bulk(
      tenant => ${tenantKey}, action => ${request.action}, deliveries => ${request.deliveryIds ?? null},
      endpoint => ${request.endpointId ?? null}, event => ${request.eventId ?? null},
      event_types => ${request.eventTypes ?? ['*']}, states => ${request.states ?? null},
      status_class => ${request.statusClass ?? null}, reason => ${request.reason ?? null},
      since => ${request.since ?? null}, until => ${request.until ?? null},
      rate_per_second => ${request.ratePerSecond ?? defaultRateOf(request.action)},
      who => ${who}, preview => ${who === null},
      of_tenant_max => ${bounds?.ofTenant ?? null}, of_requester_max => ${bounds?.ofKey ?? null})`
    .execute(database)
    .catch(refusedFor)
  if (!rows[0]) throw new Error('start_bulk answered nothing')
  return rows[0]
}

/** Cancelling sends nothing; everything else reaches receivers. */
export const defaultRateOf = (action: BulkAction): number => (action === 'cancel' ? 1_000 : 50)

async function sampleOf(database: Kysely<Database>, ids: string[]): Promise<BulkSample[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<BulkSample>`
    select d.id, d.state, d.endpoint_id as "endpointId", e.url, e.description, ev.type as "eventType"
    from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id
    left join lateral (select ev.type from postrider.event ev where ev.id = d.event_id) as ev on true
    where d.id = any (${ids}::uuid[])
    order by d.id`.execute(database)
  return rows
}

/** The complement of what `postrider.covered_deliveries` chooses by state. */
async function leftOut(
  database: Kysely<Database>,
  tenantId: TenantId,
  action: BulkAction,
  ids: readonly DeliveryId[],
): Promise<LeftOutDeliveries[]> {
  const { rows } = await sql<LeftOutDeliveries>`
    select d.state, d.held_reason as "heldReason", count(*)::int
    from postrider.delivery d
    where d.tenant_id = ${tenantId} and d.id = any (${ids}::uuid[])
      and not (d.state = any (postrider.bulk_states(${action}))
        and (${action} <> 'release' or d.held_reason = 'circuit'))
    group by 1, 2
    order by 1, 2`.execute(database)
  return rows
}
