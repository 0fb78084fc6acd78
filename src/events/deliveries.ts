import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { Attempt, Attempts } from '../attempts/attempts.ts'
import type { Database, DeliveryState, DeliveryTable } from '../database/schema.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'

export type Delivery = Selectable<DeliveryTable> & { id: DeliveryId }

export class DeliveryNotFound extends Error {
  override readonly name = 'DeliveryNotFound'
  readonly code = 'delivery_not_found'
  constructor() {
    super('the tenant has no delivery with this id')
  }
}

/** Shown with an event. Whoever has more endpoints lists the deliveries of the event instead. */
export const DELIVERIES_OF_EVENT_MAX = 100

export interface DeliveryFilter {
  state?: DeliveryState | undefined
  endpointId?: EndpointId | undefined
  eventId?: EventId | undefined
}

export interface Deliveries {
  /** @throws DeliveryNotFound */
  get(tenantId: TenantId, id: DeliveryId): Promise<Delivery & { attempts: Attempt[] }>
  /** Newest first, from below the id `before` on. */
  list(
    tenantId: TenantId,
    page: { limit: number; before: DeliveryId | null } & DeliveryFilter,
  ): Promise<Delivery[]>
}

export function createDeliveries(options: {
  database: Kysely<Database>
  attempts: Attempts
}): Deliveries {
  const { database, attempts } = options
  return {
    async get(tenantId, id) {
      const delivery = await database
        .selectFrom('delivery')
        .selectAll()
        .where('id', '=', id)
        .where('tenant_id', '=', tenantId)
        .$castTo<Delivery>()
        .executeTakeFirst()
      if (!delivery) throw new DeliveryNotFound()
      return { ...delivery, attempts: await attempts.listOf(id) }
    },
    list: (tenantId, { limit, before, state, endpointId, eventId }) =>
      database
        .selectFrom('delivery')
        .selectAll()
        .where('tenant_id', '=', tenantId)
        .where(before === null ? notInTheFuture : sql<SqlBool>`id < ${before}`)
        .where((eb) => eb.and(state === undefined ? [] : [eb('state', '=', state)]))
        .where(isChildOf('endpoint_id', endpointId))
        .where(isChildOf('event_id', eventId))
        .orderBy('id', 'desc')
        .limit(limit)
        .$castTo<Delivery>()
        .execute(),
  }
}

/** Leaves out the partitions that are made ahead; an hour more, as in `postrider.id_floor`. */
export const notInTheFuture = sql<SqlBool>`id < postrider.id_at(now() + interval '1 hour')`

/** With the bound on the id that keeps older partitions out of the plan. */
const isChildOf = (column: 'endpoint_id' | 'event_id', parent: string | undefined) =>
  parent === undefined
    ? sql<SqlBool>`true`
    : sql<SqlBool>`${sql.ref(column)} = ${parent} and id >= postrider.id_floor(${parent})`

/** The first deliveries of each event, in one query; the bound is that of the oldest event. */
export async function deliveriesOfEvents(
  database: Kysely<Database>,
  eventIds: EventId[],
): Promise<Map<string, Delivery[]>> {
  const oldest = eventIds.reduce<EventId | undefined>(
    (low, id) => (low === undefined || id < low ? id : low),
    undefined,
  )
  if (oldest === undefined) return new Map()
  const { rows } = await sql<Delivery>`
    select delivery.*
    from unnest(${eventIds}::uuid[]) as wanted (id)
    cross join lateral (
      select *
      from postrider.delivery d
      where d.event_id = wanted.id and d.id >= postrider.id_floor(${oldest})
      order by d.id
      limit ${DELIVERIES_OF_EVENT_MAX}
    ) as delivery`.execute(database)
  return Map.groupBy(rows, (row) => row.event_id)
}
