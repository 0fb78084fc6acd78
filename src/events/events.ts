import { type Kysely, type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import type { Act } from '../audit-log/audit-log.ts'
import { type Delivery, deliveriesOfEvents } from '../deliveries/deliveries.ts'
import { findNamed, isAbout, isInText, isKey, searchedRange } from '../deliveries/searched-range.ts'
import type { EndpointId, EventId, TenantId } from '../ids.ts'
import { allOf, type Condition, isInRange, type Range } from '../postgres/list-query.ts'
import { runList } from '../postgres/run-list.ts'
import {
  createScan,
  EVENTS_SCANNED_MAX,
  SCANNED_DEEPLY_MAX,
  SCANNED_MAX,
  type Scan,
  type ScanPage,
} from '../postgres/scan.ts'
import type { Database, DeliveryState, EventTable } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants, oneOf } from '../tenants/listed-tenants.ts'

/** `data` is the producer's JSON text; parsing it would round large numbers. */
export type Event = Selectable<EventTable> & { id: EventId }
/** With its data as people are shown it. */
type ShownEvent = Event & { isMasked: boolean }
export type EventWithDeliveries = ShownEvent & { deliveries: Delivery[] }

export class EventNotFound extends Error {
  override readonly name = 'EventNotFound'
  readonly code = 'event_not_found'
  constructor() {
    super('the tenant has no event with this id')
  }
}

export interface Events {
  /** The whole of it, with its first deliveries. @throws EventNotFound */
  get(tenantId: TenantId, id: EventId): Promise<EventWithDeliveries>
  /**
   * The same without its deliveries; of more than `charactersMax` characters of data, these and one more.
   *
   * @throws EventNotFound
   */
  find(tenantId: TenantId, id: EventId, options?: { charactersMax?: number }): Promise<ShownEvent>
  /** The JSON text of an event, masked; null once it was erased. @throws EventNotFound */
  dataOf(tenantId: TenantId, id: EventId): Promise<string | null>
  /** The same as it was published; of more than so many characters, these and one more. @throws EventNotFound */
  unmaskedDataOf(
    tenantId: TenantId,
    id: EventId,
    options?: { charactersMax?: number },
  ): Promise<string | null>
  /** The newest, without their deliveries. */
  latest(tenantId: TenantId, options: LatestOptions): Promise<LatestEvent[]>
  /** Newest first, from below the id `before` on; every page is full but the last. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Page): Promise<EventWithDeliveries[]>
  /**
   * The same for people, of one tenant or of several: a page looks through a bounded number of rows.
   *
   * @throws SearchTooSlow
   */
  search(tenants: ListedTenants, query: Page): Promise<ScanPage<FoundEvent>>
}

type Page = Range<EventId> & EventFilter

/** How far the deliveries of an event are. */
export interface FoundEvent extends Omit<Event, 'data'> {
  tenantKey: string
  tenantName: string
  deliveries: number
  delivered: number
  /** Failed for good, or cancelled. */
  ended: number
  /** A newer event was sent instead. */
  collapsed: number
  /** The beginning of its data; null where that was erased or is large. */
  preview: string | null
}

/**
 * Of larger data nothing is shown: all of it would be read for its beginning. That is the size as it is stored, and
 * Postgres compresses data from 2 KB on, so that some that compresses well is read though it is larger.
 */
const PREVIEWED_BYTES_MAX = 4_096
/** About what a line has room for. */
const PREVIEW_CHARACTERS = 160

/** Of one event; anyone who has more endpoints looks at its deliveries. */
const COUNTED_MAX = 1_000

interface LatestOptions {
  limit: number
  /** Otherwise `data` says only whether there is any. */
  withData: boolean
}
type LatestEvent = Pick<Event, 'id' | 'type' | 'data' | 'created_at'>

export interface EventFilter {
  /** A name, or a pattern such as `order.*`. */
  type?: string | undefined
  /** Those with a delivery to this endpoint; with `state`, with one in this state. */
  endpointId?: EndpointId | undefined
  state?: DeliveryState | readonly DeliveryState[] | undefined
  /** Exactly this one; rows are asked for it, since no index leads to it. */
  orderingKey?: string | undefined
  /** An id or idempotency key, whenever it was; otherwise text in the data of a bounded time. */
  search?: string | undefined
}

const WITHOUT_DATA = [
  ...(['id', 'tenant_id', 'type', 'idempotency_key', 'occurred_at', 'deliver_at'] as const),
  ...(['only_endpoint_id', 'traceparent', 'tracestate', 'created_at'] as const),
  ...(['ordering_key', 'position', 'channels', 'as_svix', 'svix'] as const),
] as const satisfies readonly (keyof EventTable)[]

interface Options {
  database: Kysely<Database>
  /** Whether what event types mask is shown as `***`; it is, unless this is false. */
  isMasked?: boolean
}

/** How data is read: masked, or as it was published. */
interface Reading {
  data: RawBuilder<string | null>
  isMasked: RawBuilder<boolean>
  isAbout(text: string): Condition
}

const MASKED: Reading = {
  data: sql`postrider.masked(type, data)`,
  isMasked: sql`postrider.is_masked(type)`,
  // Only what would be found anyway is masked, which takes longer.
  isAbout: (text) => sql`(${isAbout(text)} and (not postrider.is_masked(type)
    or ${isKey(text)} or ${isInText(text, sql`postrider.masked(type, data)`)}))`,
}
const AS_PUBLISHED: Reading = { data: sql`data`, isMasked: sql`false`, isAbout }

export function createEvents({ database, isMasked = true }: Options): Events {
  const reading = isMasked ? MASKED : AS_PUBLISHED
  const scan = createScan<FoundEvent>(database)
  return {
    async get(tenantId, id) {
      const event = await find(database, reading, tenantId, id)
      const [complete] = await withDeliveries(database, [event])
      return complete ?? { ...event, deliveries: [] }
    },
    find: (tenantId, id, { charactersMax } = {}) =>
      find(database, reading, tenantId, id, charactersMax),
    dataOf: (tenantId, id) => dataOf(database, reading, tenantId, id),
    unmaskedDataOf: (tenantId, id, { charactersMax } = {}) =>
      dataOf(database, AS_PUBLISHED, tenantId, id, charactersMax),
    latest: (tenantId, page) => latest(database, tenantId, page),
    list: (tenantId, page) =>
      runList(database, { isIndexed: !isFiltered(page) }, (on) =>
        list(on, reading, tenantId, page),
      ),
    search: async (tenants, query) =>
      scan(await scanOf(database, reading, tenants, query), withCounts(reading)),
  }
}

/** All of it, or its beginning and one character more, which tells that there is more. */
const textOf = (data: RawBuilder<unknown>, charactersMax?: number) =>
  charactersMax === undefined
    ? sql<string | null>`${data}::text`
    : sql<string | null>`left(${data}::text, ${charactersMax + 1})`

async function dataOf(
  database: Kysely<Database>,
  { data }: Reading,
  tenantId: TenantId,
  id: EventId,
  charactersMax?: number,
): Promise<string | null> {
  const event = await ofTenant(database, tenantId, id)
    .select(textOf(data, charactersMax).as('data'))
    .executeTakeFirst()
  if (!event) throw new EventNotFound()
  return event.data
}

async function find(
  database: Kysely<Database>,
  { data, isMasked }: Reading,
  tenantId: TenantId,
  id: EventId,
  charactersMax?: number,
): Promise<ShownEvent> {
  const event = await ofTenant(database, tenantId, id)
    .select(WITHOUT_DATA)
    .select(isMasked.as('isMasked'))
    .select(textOf(data, charactersMax).as('data'))
    .$castTo<ShownEvent>()
    .executeTakeFirst()
  if (!event) throw new EventNotFound()
  return event
}

async function scanOf(
  database: Kysely<Database>,
  reading: Reading,
  tenants: ListedTenants,
  query: Page,
): Promise<Scan> {
  const named = await namedBy(database, tenants, query)
  return {
    table: 'event',
    indexed: named ? isOne(named) : allOf([isInRange(query), ofTenants(tenants)]),
    asked: askedBy(reading, named ? { ...query, search: undefined } : query),
    scannedMax: scannedMaxOf(query),
    limit: query.limit,
    isOldestFirst: query.isOldestFirst,
  }
}

const ofTenant = (database: Kysely<Database>, tenantId: TenantId, id: EventId) =>
  database.selectFrom('event').where('id', '=', id).where('tenant_id', '=', tenantId)

const latest = (
  database: Kysely<Database>,
  tenantId: TenantId,
  { limit, withData }: Parameters<Events['latest']>[1],
) =>
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
    .execute()

async function list(
  on: Kysely<Database>,
  reading: Reading,
  tenantId: TenantId,
  page: Parameters<Events['list']>[1],
) {
  const named = await namedBy(on, tenantId, page)
  const range = page.search === undefined ? page : { ...page, ...searchedRange(page, new Date()) }
  const events = await on
    .selectFrom('event as r')
    .select(WITHOUT_DATA)
    .select([reading.isMasked.as('isMasked'), sql`${reading.data}::text`.as('data')])
    .where('tenant_id', '=', tenantId)
    .where(named ? isOne(named) : allOf([isInRange(range), askedBy(reading, page)]))
    .orderBy('id', page.isOldestFirst ? 'asc' : 'desc')
    .limit(page.limit)
    .$castTo<ShownEvent>()
    .execute()
  return withDeliveries(on, events)
}

const isFiltered = ({ type, endpointId, state, orderingKey, search }: EventFilter): boolean =>
  [type, endpointId, state, orderingKey, search].some((value) => value !== undefined)

function scannedMaxOf({ endpointId, state, search }: EventFilter): number {
  if (endpointId !== undefined || state !== undefined) return EVENTS_SCANNED_MAX
  return search === undefined ? SCANNED_MAX : SCANNED_DEEPLY_MAX
}

/** The one event that the text names, which stands on the first page. */
async function namedBy(
  on: Kysely<Database>,
  tenants: ListedTenants,
  { search, before }: Page,
): Promise<EventId | null> {
  if (search === undefined || before !== null) return null
  return await findNamed(on, { isOurs: allOf([ofTenants(tenants)]), ofKey: oneOf(tenants) }, search)
}

const isOne = (id: EventId) => sql<SqlBool>`id = ${id}`

/** What each row is asked; the table is called `r`. */
function askedBy(reading: Reading, { type, endpointId, state, orderingKey, search }: EventFilter) {
  return allOf([
    type === undefined ? undefined : sql`postrider.wants_type(array[${type}], r.type)`,
    orderingKey === undefined ? undefined : sql`r.ordering_key = ${orderingKey}`,
    hasDelivery(endpointId, state),
    search === undefined ? undefined : reading.isAbout(search),
  ])
}

function hasDelivery(endpointId: EndpointId | undefined, state: EventFilter['state']) {
  if (endpointId === undefined && state === undefined) return undefined
  return sql`exists (
    select from postrider.delivery d
    where ${ofRow} and ${allOf([
      endpointId && sql`d.endpoint_id = ${endpointId}`,
      state && sql`d.state = any (${[state].flat()}::text[])`,
    ])})`
}

const ofRow = sql`d.event_id = r.id and d.id >= postrider.id_floor(r.id)
  and d.id < postrider.id_at(now() + interval '1 hour')`

/** Only the beginning of the data, which can be large. */
const withCounts =
  ({ data }: Reading) =>
  (rows: RawBuilder<unknown>, direction: RawBuilder<unknown>) =>
    sql<FoundEvent>`
  select r.id, r.tenant_id, r.type, r.idempotency_key, r.ordering_key, r.channels, r.occurred_at, r.deliver_at,
    r.only_endpoint_id, r.created_at, t.key as "tenantKey", t.name as "tenantName", d.deliveries, d.delivered, d.ended, d.collapsed,
    (select left(${data}::text, ${PREVIEW_CHARACTERS}) from (select r.type, r.data) as one (type, data)
     where pg_column_size(data) <= ${PREVIEWED_BYTES_MAX}) as preview
  from (${rows}) as r
  join postrider.tenant t on t.id = r.tenant_id
  cross join lateral (
    select count(*)::int as deliveries,
      count(*) filter (where d.state = 'delivered')::int as delivered,
      count(*) filter (where d.state in ('failed', 'cancelled'))::int as ended,
      count(*) filter (where d.state = 'collapsed')::int as collapsed
    from (select d.state from postrider.delivery d where ${ofRow} limit ${COUNTED_MAX}) as d
  ) as d
  order by r.id ${direction}`

async function withDeliveries(
  database: Kysely<Database>,
  events: ShownEvent[],
): Promise<EventWithDeliveries[]> {
  const deliveries = await deliveriesOfEvents(
    database,
    events.map((event) => event.id),
  )
  return events.map((event) => ({ ...event, deliveries: deliveries.get(event.id) ?? [] }))
}

/** The data of an event without its mask; null once it was erased. Nobody sees it without leaving a trace. @throws EventNotFound */
export type RevealEvent = (
  tenantId: TenantId,
  id: EventId,
  who: string,
  options?: { charactersMax?: number },
) => Promise<string | null>

export function createRevealEvent(options: {
  events: Pick<Events, 'unmaskedDataOf'>
  audit: (act: Act) => Promise<void>
}): RevealEvent {
  const { events, audit } = options
  return async (tenantId, id, who, options) => {
    const data = await events.unmaskedDataOf(tenantId, id, options)
    await audit({ who, action: 'reveal_event', targetKind: 'event', targetId: id, tenantId })
    return data
  }
}
