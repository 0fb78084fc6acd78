import { type Kysely, type RawBuilder, type Selectable, sql } from 'kysely'
import type { AnswerOptions, Attempt, Attempts } from '../attempts/attempts.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { allOf, isInRange, type Range } from '../postgres/list-query.ts'
import { runList } from '../postgres/run-list.ts'
import {
  createScan,
  isBehindPlace,
  SCANNED_DEEPLY_MAX,
  SCANNED_MAX,
  type Scan,
  type ScanPage,
} from '../postgres/scan.ts'
import type {
  Database,
  DeliveryState,
  DeliveryTable,
  OutcomeColumn,
  ReasonColumn,
} from '../postgres/schema.ts'
import { type ListedTenants, ofTenants, oneOf } from '../tenants/listed-tenants.ts'
import { idIn } from './searched-range.ts'

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

/** What `allow_one_attempt` and `publish_test` set: beyond the end of every retry schedule. */
const BEYOND_SCHEDULE = 1_000_000

/** Whether its next outcome, or the last one where it has ended, is final whatever it is. */
export const isOneAttempt = ({ schedule_step: step }: Pick<Delivery, 'schedule_step'>): boolean =>
  step >= BEYOND_SCHEDULE

/** Shown with an event. Anyone who has more endpoints lists the deliveries of the event instead. */
export const DELIVERIES_OF_EVENT_MAX = 100

export interface DeliveryFilter {
  /** One, or any of several. */
  state?: DeliveryState | readonly DeliveryState[] | undefined
  endpointId?: EndpointId | undefined
  eventId?: EventId | undefined
  /** Type of the event: a name, or a pattern such as `order.*`. */
  type?: string | undefined
  /** 4 for those whose last attempt was answered 4xx. */
  statusClass?: number | undefined
  /** Why the last attempt did not deliver. */
  reason?: ReasonColumn | undefined
}

type Page = Range<DeliveryId> & DeliveryFilter

export interface DeliverySearch extends Page {
  /** An id of a delivery or its event; with a tenant, an idempotency key as well. */
  search?: string | undefined
  /**
   * `next`: only what waits for an attempt, by when that is; the soonest come first where the oldest would. `before` is
   * then a `next` of the page before.
   */
  by?: 'next' | undefined
}

/** A delivery with what people know it by. */
export interface FoundDelivery extends Delivery {
  tenantKey: string
  tenantName: string
  url: string
  /** Of its endpoint. */
  description: string
  /** Null where the event is gone. */
  eventType: string | null
  /** Of the last attempt; null before there is one. */
  lastOutcome: OutcomeColumn | null
  lastStatusCode: number | null
  lastMs: number | null
  lastReason: ReasonColumn | null
  lastError: string | null
}

/** With what people know its endpoint by, which may have been deleted since, and when that is probed next. */
export type DeliveryWithUrl = Delivery & {
  url: string
  description: string
  probe_at: Date | null
}

export interface Deliveries {
  /** Without its attempts. @throws DeliveryNotFound */
  find(tenantId: TenantId, id: DeliveryId): Promise<DeliveryWithUrl>
  /** @throws DeliveryNotFound */
  get(
    tenantId: TenantId,
    id: DeliveryId,
    options?: AnswerOptions,
  ): Promise<DeliveryWithUrl & { attempts: Attempt[] }>
  /** Newest first, from below the id `before` on; every page is full but the last. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Page): Promise<Delivery[]>
  /**
   * The same for people, of one tenant or of several: a page looks through a bounded number of rows.
   *
   * @throws SearchTooSlow
   */
  search(tenants: ListedTenants, query: DeliverySearch): Promise<ScanPage<FoundDelivery>>
}

export function createDeliveries(options: {
  database: Kysely<Database>
  attempts: Pick<Attempts, 'listOf'>
}): Deliveries {
  const { database, attempts } = options
  const scan = createScan<FoundDelivery>(database)
  return {
    find: (tenantId, id) => find(database, tenantId, id),
    async get(tenantId, id, answers) {
      const delivery = await find(database, tenantId, id)
      return { ...delivery, attempts: await attempts.listOf(id, answers) }
    },
    list: (tenantId, page) =>
      runList(database, { isIndexed: !isDeep(page) && page.state === undefined }, (on) =>
        list(on, tenantId, page),
      ),
    search: (tenants, query) => scan(scanOf(tenants, query), withNames),
  }
}

const scanOf = (tenants: ListedTenants, query: DeliverySearch): Scan => ({
  table: 'delivery',
  ...(query.by === 'next' ? inOrderOfAttempts(tenants, query) : inOrderOfTime(tenants, query)),
  scannedMax: isDeep(query) ? SCANNED_DEEPLY_MAX : SCANNED_MAX,
  limit: query.limit,
  isOldestFirst: query.isOldestFirst,
})

const inOrderOfTime = (tenants: ListedTenants, query: DeliverySearch) => ({
  indexed: allOf([indexedBy(query), isNamed(query, oneOf(tenants)), ofTenants(tenants)]),
  asked: askedBy(query),
})

/** The index on what is open leads in this order, for all tenants together; each row is asked everything else. */
function inOrderOfAttempts(tenants: ListedTenants, query: DeliverySearch) {
  const { before, isOldestFirst } = query
  const column = 'next_attempt_at' as const
  const behind = before === null ? undefined : isBehindPlace(column, { before, isOldestFirst })
  return {
    by: column,
    indexed: allOf([
      isInRange({ ...query, before: null, isOldestFirst: false }),
      sql`r.finished_at is null and r.state = 'pending' and r.next_attempt_at is not null`,
      behind === null ? sql`false` : behind,
    ]),
    asked: allOf([
      ofTenants(tenants, 'r.tenant_id'),
      isChildOf('endpoint_id', query.endpointId),
      isChildOf('event_id', query.eventId),
      isNamed(query, oneOf(tenants)),
      askedBy(query),
    ]),
  }
}

const list = (on: Kysely<Database>, tenantId: TenantId, page: Page): Promise<Delivery[]> =>
  on
    .selectFrom('delivery as r')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where(allOf([indexedBy(page), askedBy(page)]))
    .orderBy('id', page.isOldestFirst ? 'asc' : 'desc')
    .limit(page.limit)
    .$castTo<Delivery>()
    .execute()

const circuits = sql<{ endpoint_id: string; probe_at: Date | null }>`postrider.circuit`.as('c')

async function find(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: DeliveryId,
): Promise<DeliveryWithUrl> {
  const delivery = await database
    .selectFrom('delivery as d')
    .innerJoin('endpoint as e', 'e.id', 'd.endpoint_id')
    .leftJoin(circuits, 'c.endpoint_id', 'd.endpoint_id')
    .selectAll('d')
    .select(['e.url', 'e.description', 'c.probe_at'])
    .where('d.id', '=', id)
    .where('d.tenant_id', '=', tenantId)
    .$castTo<DeliveryWithUrl>()
    .executeTakeFirst()
  if (!delivery) throw new DeliveryNotFound()
  return delivery
}

const FINISHED: ReadonlySet<DeliveryState> = new Set([
  ...(['delivered', 'failed', 'cancelled', 'collapsed'] as const),
])

/** Whether each row costs a look into another table. */
const isDeep = ({ type, statusClass, reason }: DeliveryFilter): boolean =>
  [type, statusClass, reason].some((value) => value !== undefined)

/** What an index leads to. */
const indexedBy = ({ endpointId, eventId, ...page }: Page) =>
  allOf([isInRange(page), isChildOf('endpoint_id', endpointId), isChildOf('event_id', eventId)])

/** With the bound on the id that keeps older partitions out of the plan. */
const isChildOf = (column: 'endpoint_id' | 'event_id', parent: string | undefined) =>
  parent === undefined
    ? undefined
    : sql`${sql.ref(column)} = ${parent} and id >= postrider.id_floor(${parent})`

/** A text that is no id may be the idempotency key of a tenant's event. */
function isNamed({ search: text }: DeliverySearch, tenantId: TenantId | null) {
  if (text === undefined) return undefined
  const id = idIn(text)
  if (id) return sql`(id = ${id} or (event_id = ${id} and id >= postrider.id_floor(${id})))`
  if (tenantId === null) return sql`false`
  return sql`event_id = (
    select event_id from postrider.idempotency where tenant_id = ${tenantId} and key = ${text})`
}

/** What each row is asked; the table is called `r`. */
function askedBy({ state, type, statusClass, reason }: DeliveryFilter) {
  return allOf([
    state && isInState([state].flat()),
    type === undefined ? undefined : isOfType(type),
    statusClass === undefined
      ? undefined
      : sql`${statusClass} = (select a.status_code / 100 ${lastAttempt})`,
    reason && sql`${reason} = (select a.reason ${lastAttempt})`,
  ])
}

function isInState(states: DeliveryState[]) {
  const finished = new Set(states.map((state) => FINISHED.has(state)))
  return allOf([
    states.length === 1 ? sql`r.state = ${states[0]}` : sql`r.state = any (${states}::text[])`,
    // Says nothing new, but open deliveries have separate indexes.
    finished.size === 1
      ? finished.has(true)
        ? sql`r.finished_at is not null`
        : sql`r.finished_at is null`
      : undefined,
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
const withNames = (
  rows: RawBuilder<unknown>,
  _: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
) => sql<FoundDelivery>`
  select r.*, t.key as "tenantKey", t.name as "tenantName", e.url, e.description, ev.type as "eventType", a.outcome as "lastOutcome",
    a.status_code as "lastStatusCode", a.duration_ms as "lastMs", a.reason as "lastReason", a.error as "lastError"
  from (${rows}) as r
  join postrider.tenant t on t.id = r.tenant_id
  join postrider.endpoint e on e.id = r.endpoint_id
  left join lateral (select ev.type from postrider.event ev where ev.id = r.event_id) as ev on true
  left join lateral (
    select a.outcome, a.status_code, a.duration_ms, a.reason, a.error ${lastAttempt}) as a on true
  ${order}`

/** The first deliveries of each event, in one query; the bound is that of the oldest event. */
export async function deliveriesOfEvents(
  database: Kysely<Database>,
  eventIds: EventId[],
): Promise<Map<string, Delivery[]>> {
  const [oldest] = eventIds.toSorted()
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
