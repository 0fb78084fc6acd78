import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { EventId, TenantId } from '../ids.ts'
import { allOf, isInRange, type Range } from '../postgres/list-query.ts'
import {
  createScan,
  EVENTS_SCANNED_MAX,
  SCANNED_DEEPLY_MAX,
  SCANNED_MAX,
  type ScanPage,
} from '../postgres/scan.ts'
import type { Database } from '../postgres/schema.ts'
import { findNamed, isAbout } from '../postgres/searched-range.ts'
import type { Event, EventFilter } from './events.ts'

/** Of one event; anyone who has more endpoints looks at its deliveries. */
const COUNTED_MAX = 1_000

/** How far the deliveries of an event are. */
export interface FoundEvent extends Omit<Event, 'data'> {
  tenantKey: string
  deliveries: number
  delivered: number
  /** Failed for good, or cancelled. */
  ended: number
}

export type AllEventsQuery = Range<EventId> & EventFilter & { tenantId?: TenantId | undefined }

/** Makes the list of the events of every tenant, for operators: newest first. @throws SearchTooSlow */
export function createAllEvents({ database }: { database: Kysely<Database> }) {
  const scan = createScan<FoundEvent>(database)
  return async (query: AllEventsQuery): Promise<ScanPage<FoundEvent>> => {
    const { tenantId, type, search, before } = query
    const named =
      search !== undefined && before === null ? await findNamed(database, tenantId, search) : null
    return scan(
      {
        table: 'event',
        indexed: named
          ? sql`id = ${named}`
          : allOf([isInRange(query), tenantId && sql`tenant_id = ${tenantId}`]),
        asked: allOf([
          type === undefined ? undefined : sql`postrider.wants_type(array[${type}], r.type)`,
          hasDelivery(query),
          search === undefined || named ? undefined : isAbout(search),
        ]),
        scannedMax: scannedMaxOf(query),
        limit: query.limit,
      },
      withCounts,
    )
  }
}

function scannedMaxOf({ endpointId, state, search }: EventFilter): number {
  if (endpointId !== undefined || state !== undefined) return EVENTS_SCANNED_MAX
  return search === undefined ? SCANNED_MAX : SCANNED_DEEPLY_MAX
}

function hasDelivery({ endpointId, state }: EventFilter): RawBuilder<unknown> | undefined {
  if (endpointId === undefined && state === undefined) return undefined
  return sql`exists (
    select from postrider.delivery d
    where ${ofRow} and ${allOf([
      endpointId && sql`d.endpoint_id = ${endpointId}`,
      state && sql`d.state = ${state}`,
    ])})`
}

const ofRow = sql`d.event_id = r.id and d.id >= postrider.id_floor(r.id)
  and d.id < postrider.id_at(now() + interval '1 hour')`

/** Without the data, of which a list shows nothing and which may be large. */
const withCounts = (rows: RawBuilder<unknown>) => sql<FoundEvent>`
  select r.id, r.tenant_id, r.type, r.idempotency_key, r.occurred_at, r.deliver_at,
    r.only_endpoint_id, r.created_at, t.key as "tenantKey", d.deliveries, d.delivered, d.ended
  from (${rows}) as r
  join postrider.tenant t on t.id = r.tenant_id
  cross join lateral (
    select count(*)::int as deliveries,
      count(*) filter (where d.state = 'delivered')::int as delivered,
      count(*) filter (where d.state in ('failed', 'cancelled'))::int as ended
    from (select d.state from postrider.delivery d where ${ofRow} limit ${COUNTED_MAX}) as d
  ) as d
  order by r.id desc`
