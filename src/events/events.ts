import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import { type Delivery, deliveriesOfEvents } from '../deliveries/deliveries.ts'
import type { EndpointId, EventId, TenantId } from '../ids.ts'
import { allOf, isInRange, type Range, runList } from '../postgres/list-query.ts'
import type { Database, DeliveryState, EventTable } from '../postgres/schema.ts'
import { findNamed, isAbout, searchedRange } from '../postgres/searched-range.ts'

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
  /**
   * The whole of it, or with the first `charactersMax` characters of its data, and one more where there are more.
   *
   * @throws EventNotFound
   */
  get(
    tenantId: TenantId,
    id: EventId,
    options?: { charactersMax?: number },
  ): Promise<EventWithDeliveries>
  /** The JSON text of an event; null once it was erased. @throws EventNotFound */
  dataOf(tenantId: TenantId, id: EventId): Promise<string | null>
  /** The newest, without their deliveries. */
  latest(tenantId: TenantId, options: LatestOptions): Promise<LatestEvent[]>
  /** Newest first, from below the id `before` on. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Range<EventId> & EventFilter): Promise<EventWithDeliveries[]>
}

export interface LatestOptions {
  limit: number
  /** Otherwise `data` says only whether there is any. */
  withData: boolean
}
export type LatestEvent = Pick<Event, 'id' | 'type' | 'data' | 'created_at'>

export interface EventFilter {
  /** A name, or a pattern such as `order.*`. */
  type?: string | undefined
  /** Those with a delivery to this endpoint; with `state`, with one in this state. */
  endpointId?: EndpointId | undefined
  state?: DeliveryState | undefined
  /** An id or idempotency key, whenever it was; otherwise text in the data of a bounded time. */
  search?: string | undefined
}

const WITHOUT_DATA = [
  ...(['id', 'tenant_id', 'type', 'idempotency_key', 'occurred_at', 'deliver_at'] as const),
  ...(['only_endpoint_id', 'traceparent', 'tracestate', 'created_at'] as const),
] as const satisfies readonly (keyof EventTable)[]

const beginningOfData = (charactersMax: number) =>
  sql<string | null>`left(data::text, ${charactersMax + 1})`.as('data')

export function createEvents({ database }: { database: Kysely<Database> }): Events {
  return {
    async get(tenantId, id, { charactersMax } = {}) {
      const event = await database
        .selectFrom('event')
        .select(WITHOUT_DATA)
        .select(charactersMax === undefined ? 'data' : beginningOfData(charactersMax))
        .where('id', '=', id)
        .where('tenant_id', '=', tenantId)
        .$castTo<Event>()
        .executeTakeFirst()
      if (!event) throw new EventNotFound()
      const [complete] = await withDeliveries(database, [event])
      return complete ?? { ...event, deliveries: [] }
    },
    async dataOf(tenantId, id) {
      const event = await database
        .selectFrom('event')
        .select('data')
        .where('id', '=', id)
        .where('tenant_id', '=', tenantId)
        .executeTakeFirst()
      if (!event) throw new EventNotFound()
      return event.data
    },
    latest: (tenantId, { limit, withData }) =>
      database
        .selectFrom('event')
        .select(['id', 'type', 'created_at'])
        .select(
          withData
            ? 'data'
            : sql<string | null>`case when data is null then null else 'null' end`.as('data'),
        )
        .where('tenant_id', '=', tenantId)
        .orderBy('id', 'desc')
        .limit(limit)
        .$castTo<LatestEvent>()
        .execute(),
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
