import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { Database, DeliveryState, EventTable } from '../database/schema.ts'
import type { EndpointId, EventId, TenantId } from '../ids.ts'
import { type Delivery, deliveriesOfEvents } from './deliveries.ts'
import { allOf, isInRange, type Range, runList } from './list-query.ts'
import { findNamed, isAbout, searchedRange } from './search.ts'

/** `data` is the producer's JSON text; parsing it would round large numbers. */
export type Event = Selectable<EventTable> & { id: EventId }
export type EventWithDeliveries = Event & { deliveries: Delivery[] }

export class EventNotFound extends Error {
  override readonly name = 'EventNotFound'
  readonly code = 'event_not_found'
  constructor() {
    super('the tenant has no event with this id')
  }
}

export interface Events {
  /** @throws EventNotFound */
  get(tenantId: TenantId, id: EventId): Promise<EventWithDeliveries>
  /** Newest first, from below the id `before` on. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Range<EventId> & EventFilter): Promise<EventWithDeliveries[]>
}

export interface EventFilter {
  /** A name, or a pattern such as `order.*`. */
  type?: string | undefined
  /** Those with a delivery to this endpoint; with `state`, with one in this state. */
  endpointId?: EndpointId | undefined
  state?: DeliveryState | undefined
  /** An id or idempotency key, whenever it was; else text in the data of a bounded time. */
  search?: string | undefined
}

export function createEvents({ database }: { database: Kysely<Database> }): Events {
  return {
    async get(tenantId, id) {
      const event = await database
        .selectFrom('event')
        .selectAll()
        .where('id', '=', id)
        .where('tenant_id', '=', tenantId)
        .$castTo<Event>()
        .executeTakeFirst()
      if (!event) throw new EventNotFound()
      const [complete] = await withDeliveries(database, [event])
      return complete ?? { ...event, deliveries: [] }
    },
    list: (tenantId, page) =>
      runList(database, { isIndexed: !isFiltered(page) }, async (on) => {
        const named =
          page.search !== undefined && page.before === null
            ? await findNamed(on, tenantId, page.search)
            : null
        const condition = named ? sql<SqlBool>`id = ${named}` : conditionOf(page)
        const events = await on
          .selectFrom('event')
          .selectAll()
          .where('tenant_id', '=', tenantId)
          .where(condition)
          .orderBy('id', 'desc')
          .limit(page.limit)
          .$castTo<Event>()
          .execute()
        return withDeliveries(on, events)
      }),
  }
}

const isFiltered = ({ type, endpointId, state, search }: EventFilter): boolean =>
  [type, endpointId, state, search].some((value) => value !== undefined)

function conditionOf({ type, endpointId, state, search, ...page }: Range<EventId> & EventFilter) {
  const range = search === undefined ? {} : searchedRange(page, new Date())
  return allOf([
    isInRange({ ...page, ...range }),
    type === undefined ? undefined : sql`postrider.wants_type(array[${type}], type)`,
    endpointId === undefined && state === undefined ? undefined : hasDelivery(endpointId, state),
    search === undefined ? undefined : isAbout(search),
  ])
}

function hasDelivery(endpointId: EndpointId | undefined, state: DeliveryState | undefined) {
  return sql`exists (
    select from postrider.delivery d
    where d.event_id = event.id and d.id >= postrider.id_floor(event.id)
      and d.id < postrider.id_at(now() + interval '1 hour')
      and ${endpointId === undefined ? sql`true` : sql`d.endpoint_id = ${endpointId}`}
      and ${state === undefined ? sql`true` : sql`d.state = ${state}`})`
}

async function withDeliveries(
  database: Kysely<Database>,
  events: Event[],
): Promise<EventWithDeliveries[]> {
  const deliveries = await deliveriesOfEvents(
    database,
    events.map((event) => event.id),
  )
  return events.map((event) => ({ ...event, deliveries: deliveries.get(event.id) ?? [] }))
}
