import { type Kysely, type RawBuilder, type Selectable, sql } from 'kysely'
import type { AnswerOptions, Attempt, Attempts } from '../attempts/attempts.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { allOf, isInRange, type Range, runList } from '../postgres/list-query.ts'
import type { Database, DeliveryState, DeliveryTable, ReasonColumn } from '../postgres/schema.ts'

export type Delivery = Selectable<DeliveryTable> & { id: DeliveryId }

export class DeliveryNotFound extends Error {
  override readonly name = 'DeliveryNotFound'
  readonly code = 'delivery_not_found'
  constructor() {
    super('the tenant has no delivery with this id')
  }
}

/** When the next attempt is made: later than it is due where a limit of the endpoint has put it off. */
export function nextAttemptAt(
  delivery: Pick<Delivery, 'state' | 'next_attempt_at' | 'put_off_until'>,
) {
  const { state, next_attempt_at: due, put_off_until: until } = delivery
  return state === 'pending' && due && until && until > due ? until : due
}

/** Shown with an event. Anyone who has more endpoints lists the deliveries of the event instead. */
export const DELIVERIES_OF_EVENT_MAX = 100

export interface DeliveryFilter {
  state?: DeliveryState | undefined
  endpointId?: EndpointId | undefined
  eventId?: EventId | undefined
  /** Type of the event: a name, or a pattern such as `order.*`. */
  type?: string | undefined
  /** 4 for those whose last attempt was answered 4xx. */
  statusClass?: number | undefined
  /** Why the last attempt did not deliver. */
  reason?: ReasonColumn | undefined
}

export interface Deliveries {
  /** Without its attempts. @throws DeliveryNotFound */
  find(tenantId: TenantId, id: DeliveryId): Promise<Delivery>
  /** @throws DeliveryNotFound */
  get(
    tenantId: TenantId,
    id: DeliveryId,
    options?: AnswerOptions,
  ): Promise<Delivery & { attempts: Attempt[] }>
  /** Newest first, from below the id `before` on. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Range<DeliveryId> & DeliveryFilter): Promise<Delivery[]>
}

export function createDeliveries(options: {
  database: Kysely<Database>
  attempts: Pick<Attempts, 'listOf'>
}): Deliveries {
  const { database, attempts } = options
  const find = async (tenantId: TenantId, id: DeliveryId): Promise<Delivery> => {
    const delivery = await database
      .selectFrom('delivery')
      .selectAll()
      .where('id', '=', id)
      .where('tenant_id', '=', tenantId)
      .$castTo<Delivery>()
      .executeTakeFirst()
    if (!delivery) throw new DeliveryNotFound()
    return delivery
  }
  return {
    find,
    async get(tenantId, id, answers) {
      const delivery = await find(tenantId, id)
      return { ...delivery, attempts: await attempts.listOf(id, answers) }
    },
    list: (tenantId, page) =>
      runList(database, { isIndexed: isIndexed(page) }, (on) =>
        on
          .selectFrom('delivery')
          .selectAll()
          .where('tenant_id', '=', tenantId)
          .where(conditionOf(page))
          .orderBy('id', 'desc')
          .limit(page.limit)
          .$castTo<Delivery>()
          .execute(),
      ),
  }
}

const FINISHED: ReadonlySet<DeliveryState> = new Set(['delivered', 'failed', 'cancelled'])

const isIndexed = ({ state, type, statusClass, reason }: DeliveryFilter): boolean =>
  [state, type, statusClass, reason].every((value) => value === undefined)

function conditionOf(page: Range<DeliveryId> & DeliveryFilter) {
  const { state, endpointId, eventId, type, statusClass, reason } = page
  return allOf([
    isInRange(page),
    state && sql`state = ${state}`,
    // Says nothing new, but open deliveries have indexes of their own.
    state && (FINISHED.has(state) ? sql`finished_at is not null` : sql`finished_at is null`),
    isChildOf('endpoint_id', endpointId),
    isChildOf('event_id', eventId),
    type === undefined ? undefined : isOfType(type),
    statusClass === undefined
      ? undefined
      : sql`${statusClass} = (${lastOf(sql`a.status_code / 100`)})`,
    reason && sql`${reason} = (${lastOf(sql`a.reason`)})`,
  ])
}

/** With the bound on the id that keeps older partitions out of the plan. */
const isChildOf = (column: 'endpoint_id' | 'event_id', parent: string | undefined) =>
  parent === undefined
    ? undefined
    : sql`${sql.ref(column)} = ${parent} and id >= postrider.id_floor(${parent})`

const isOfType = (type: string) => sql`exists (
  select from postrider.event e
  where e.id = delivery.event_id and postrider.wants_type(array[${type}], e.type))`

/** Of the last attempt. */
const lastOf = (value: RawBuilder<unknown>) => sql`
  select ${value} from postrider.attempt a
  where a.delivery_id = delivery.id and a.id >= postrider.id_floor(delivery.id)
    and a.id < postrider.id_at(now() + interval '1 hour')
  order by a.id desc limit 1`

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
