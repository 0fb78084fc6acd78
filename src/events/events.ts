import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { Database, EventTable } from '../database/schema.ts'
import type { EventId, TenantId } from '../ids.ts'
import { type Delivery, deliveriesOfEvents, notInTheFuture } from './deliveries.ts'

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
  /** Newest first, from below the id `before` on. */
  list(
    tenantId: TenantId,
    page: { limit: number; before: EventId | null },
  ): Promise<EventWithDeliveries[]>
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
    async list(tenantId, { limit, before }) {
      const events = await database
        .selectFrom('event')
        .selectAll()
        .where('tenant_id', '=', tenantId)
        .where(before === null ? notInTheFuture : sql<SqlBool>`id < ${before}`)
        .orderBy('id', 'desc')
        .limit(limit)
        .$castTo<Event>()
        .execute()
      return withDeliveries(database, events)
    },
  }
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
