import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { DeliveryId, TenantId } from '../ids.ts'
import { allOf, isInRange, type Range } from '../postgres/list-query.ts'
import { createScan, SCANNED_DEEPLY_MAX, SCANNED_MAX, type ScanPage } from '../postgres/scan.ts'
import type { Database, OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'
import type { Delivery, DeliveryFilter } from './deliveries.ts'

/** A delivery with what people know it by. */
export interface FoundDelivery extends Delivery {
  tenantKey: string
  url: string
  /** Null where the event is gone. */
  eventType: string | null
  /** Of the last attempt; null before there is one. */
  lastOutcome: OutcomeColumn | null
  lastStatusCode: number | null
  lastReason: ReasonColumn | null
  lastError: string | null
}

export type AllDeliveriesQuery = Range<DeliveryId> &
  DeliveryFilter & {
    tenantId?: TenantId | undefined
    /** An id of a delivery or its event; with a tenant, an idempotency key as well. */
    search?: string | undefined
  }

/** Makes the list of the deliveries of every tenant, for operators: newest first. @throws SearchTooSlow */
export function createAllDeliveries({ database }: { database: Kysely<Database> }) {
  const scan = createScan<FoundDelivery>(database)
  return async (query: AllDeliveriesQuery): Promise<ScanPage<FoundDelivery>> =>
    scan(
      {
        table: 'delivery',
        indexed: indexedBy(query),
        asked: askedBy(query),
        scannedMax: isDeep(query) ? SCANNED_DEEPLY_MAX : SCANNED_MAX,
        limit: query.limit,
      },
      withNames,
    )
}

const isDeep = ({ type, statusClass, reason }: DeliveryFilter): boolean =>
  [type, statusClass, reason].some((value) => value !== undefined)

function indexedBy({ tenantId, endpointId, eventId, search, ...page }: AllDeliveriesQuery) {
  return allOf([
    isInRange(page),
    tenantId && sql`tenant_id = ${tenantId}`,
    endpointId && sql`endpoint_id = ${endpointId} and id >= postrider.id_floor(${endpointId})`,
    eventId && sql`event_id = ${eventId} and id >= postrider.id_floor(${eventId})`,
    search === undefined ? undefined : isNamed(search, tenantId),
  ])
}

/** A text that is no id may be the idempotency key of a tenant's event. */
function isNamed(text: string, tenantId: TenantId | undefined): RawBuilder<unknown> {
  const id = UUID.test(text) ? text.toLowerCase() : null
  const byId = id && sql`id = ${id} or (event_id = ${id} and id >= postrider.id_floor(${id}))`
  const byKey =
    tenantId &&
    sql`event_id = (select event_id from postrider.idempotency where tenant_id = ${tenantId} and key = ${text})`
  return sql`(${byId ?? byKey ?? sql`false`})`
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function askedBy({ state, type, statusClass, reason }: DeliveryFilter) {
  return allOf([
    state && sql`r.state = ${state}`,
    type === undefined ? undefined : isOfType(type),
    statusClass === undefined
      ? undefined
      : sql`${statusClass} = (select a.status_code / 100 ${lastAttempt})`,
    reason && sql`${reason} = (select a.reason ${lastAttempt})`,
  ])
}

const isOfType = (type: string) => sql`exists (
  select from postrider.event e
  where e.id = r.event_id and postrider.wants_type(array[${type}], e.type))`

const lastAttempt = sql`
  from postrider.attempt a
  where a.delivery_id = r.id and a.id >= postrider.id_floor(r.id)
    and a.id < postrider.id_at(now() + interval '1 hour')
  order by a.id desc limit 1`

/** Only the rows of the page are looked up. */
const withNames = (rows: RawBuilder<unknown>) => sql<FoundDelivery>`
  select r.*, t.key as "tenantKey", e.url, ev.type as "eventType", a.outcome as "lastOutcome",
    a.status_code as "lastStatusCode", a.reason as "lastReason", a.error as "lastError"
  from (${rows}) as r
  join postrider.tenant t on t.id = r.tenant_id
  join postrider.endpoint e on e.id = r.endpoint_id
  left join lateral (select ev.type from postrider.event ev where ev.id = r.event_id) as ev on true
  left join lateral (select a.outcome, a.status_code, a.reason, a.error ${lastAttempt}) as a on true
  order by r.id desc`
