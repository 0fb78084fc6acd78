import { type Kysely, type RawBuilder, type Selectable, sql } from 'kysely'
import type { Endpoint } from '../../endpoints/endpoint.fields.ts'
import type { AttemptId, EndpointId, EventId, TenantId } from '../../ids.ts'
import { allOf, directionOf, isInRange, type Range } from '../../postgres/list-query.ts'
import { operate } from '../../postgres/operate.ts'
import { runList } from '../../postgres/run-list.ts'
import { createScan, SCANNED_DEEPLY_MAX, SCANNED_MAX, type ScanPage } from '../../postgres/scan.ts'
import type { AttemptTable, Database, DeliveryState } from '../../postgres/schema.ts'
import { svixNotFound } from '../svix-error.ts'
import type { SvixRange } from '../svix-page.ts'
import { wasAttempted } from './svix-messages.ts'

/** An attempt that has ended, as Svix calls it. */
export type SvixAttempt = Pick<
  Selectable<AttemptTable>,
  'outcome' | 'response_body' | 'status_code' | 'duration_ms' | 'trigger'
> & {
  id: AttemptId
  event_id: EventId
  endpoint_id: EndpointId
  endpoint_svix_id: string | null
  /** That it was sent to, or that its endpoint has now. */
  url: string
}

/** What an event was sent to, which may be deleted by now. */
export interface SvixDestination {
  /** Of the endpoint. */
  id: EndpointId
  endpoint: Endpoint
  state: DeliveryState
  next_attempt_at: Date | null
}

export interface SvixAttemptFilter {
  isDelivered?: boolean | undefined
  /** 4 for answers of 4xx, 0 for none. */
  statusClass?: number | undefined
  channel?: string | undefined
  types?: string[] | undefined
}

type Page = Range<AttemptId> & SvixAttemptFilter & { hasContent: boolean }

/** Within the scope of a tenant. */
export interface SvixAttempts {
  /** To all endpoints, or to one. @throws SearchTooSlow */
  ofMessage(
    eventId: EventId,
    page: Page & { endpointId?: EndpointId | undefined },
  ): Promise<Pick<ScanPage<SvixAttempt>, 'rows' | 'next'>>
  /** A page looks through a bounded number of the tenant's attempts. @throws SearchTooSlow */
  ofEndpoint(tenantId: TenantId, endpointId: EndpointId, page: Page): Promise<ScanPage<SvixAttempt>>
  /** @throws SvixError not_found */
  get(eventId: EventId, id: AttemptId): Promise<SvixAttempt>
  /** Erases what was answered. */
  expunge(id: AttemptId, who: string): Promise<void>
  /** Endpoints that an event was sent to, by their ids. */
  destinations(eventId: EventId, range: SvixRange<EndpointId>): Promise<SvixDestination[]>
  /** One more attempt, also to an endpoint that did not get it. @throws OperationRefused */
  resend(eventId: EventId, endpointId: EndpointId, who: string): Promise<void>
}

interface Options {
  /** Within the scope of a tenant. */
  database: Kysely<Database>
  everyTenant: Kysely<Database>
}

export function createSvixAttempts({ database, everyTenant }: Options): SvixAttempts {
  const scan = createScan<SvixAttempt>(database)
  return {
    ofMessage: (eventId, page) => ofMessage(database, eventId, page),
    ofEndpoint: (tenantId, endpointId, page) =>
      scan(scanOf(tenantId, endpointId, page), (rows, direction) =>
        attemptsOf(rows, direction, page),
      ),
    get: (eventId, id) => get(database, eventId, id),
    async expunge(id, who) {
      await operate(() => sql`select postrider.erase_answer(${id}, ${who})`.execute(everyTenant))
    },
    destinations: (eventId, range) => destinations(database, eventId, range),
    async resend(eventId, endpointId, who) {
      const resent = sql`select postrider.resend(${eventId}, ${endpointId}, ${who})`
      await operate(() => resent.execute(everyTenant))
    },
  }
}

const isOf = ({ isDelivered, statusClass }: SvixAttemptFilter) =>
  allOf([
    sql`r.outcome <> 'started'`,
    isDelivered === undefined
      ? undefined
      : isDelivered
        ? sql`r.outcome = 'delivered'`
        : sql`r.outcome <> 'delivered'`,
    statusClass === undefined ? undefined : sql`coalesce(r.status_code, 0) / 100 = ${statusClass}`,
  ])

const isOfEvent = ({ channel, types }: SvixAttemptFilter) =>
  channel === undefined && types === undefined
    ? undefined
    : sql`exists (
        select from postrider.delivery d join postrider.event e on e.id = d.event_id
        where d.id = r.delivery_id and ${allOf([
          types && sql`e.type = any (${types}::text[])`,
          channel === undefined ? undefined : sql`${channel} = any (e.channels)`,
        ])})`

/** No index leads to the attempts of an endpoint, which every attempt would pay for: those of its tenant are looked through. */
const scanOf = (tenantId: TenantId, endpointId: EndpointId, page: Page) => ({
  table: 'attempt' as const,
  indexed: allOf([isInRange(page), sql`tenant_id = ${tenantId}`]),
  asked: allOf([sql`r.endpoint_id = ${endpointId}`, isOf(page), isOfEvent(page)]),
  scannedMax: isOfEvent(page) ? SCANNED_DEEPLY_MAX : SCANNED_MAX,
  limit: page.limit,
  isOldestFirst: page.isOldestFirst,
})

const attemptsOf = (
  rows: RawBuilder<unknown>,
  direction: RawBuilder<unknown>,
  { hasContent }: { hasContent: boolean },
) => sql<SvixAttempt>`
  select r.id, d.event_id, r.endpoint_id, e.svix_id as endpoint_svix_id, coalesce(r.url, e.url) as url, r.outcome,
    ${hasContent ? sql`r.response_body` : sql`null`} as response_body, r.status_code, r.duration_ms, r.trigger
  from (${rows}) as r
  join postrider.delivery d on d.id = r.delivery_id
  join postrider.endpoint e on e.id = r.endpoint_id
  order by r.id ${direction}`

/** As far as the index on deliveries of an event, and that on attempts of a delivery, lead. */
async function ofMessage(
  database: Kysely<Database>,
  eventId: EventId,
  { endpointId, ...page }: Page & { endpointId?: EndpointId | undefined },
) {
  const { limit, hasContent } = page
  const deliveries = sql`
    select d.id from postrider.delivery d where d.event_id = ${eventId} and d.id >= postrider.id_floor(${eventId})
      ${endpointId ? sql`and d.endpoint_id = ${endpointId}` : sql``}`
  const rows = sql`
    select r.* from postrider.attempt as r
    where r.delivery_id in (${deliveries}) and r.id >= postrider.id_floor(${eventId})
      and ${allOf([isInRange(page), isOf(page), isOfEvent(page)])}
    order by r.id ${directionOf(page)} limit ${limit + 1}`
  const found = await runList(database, { isIndexed: false }, (on) =>
    attemptsOf(rows, directionOf(page), { hasContent }).execute(on),
  )
  const shown = found.rows.slice(0, limit)
  return { rows: shown, next: found.rows.length > limit ? (shown.at(-1)?.id ?? null) : null }
}

async function get(
  database: Kysely<Database>,
  eventId: EventId,
  id: AttemptId,
): Promise<SvixAttempt> {
  const row = sql`select * from postrider.attempt where id = ${id} and outcome <> 'started'`
  const { rows } = await attemptsOf(row, sql`asc`, { hasContent: true }).execute(database)
  const [attempt] = rows
  if (attempt?.event_id !== eventId) throw svixNotFound()
  return attempt
}

async function destinations(
  database: Kysely<Database>,
  eventId: EventId,
  { limit, before, ...order }: SvixRange<EndpointId>,
): Promise<SvixDestination[]> {
  const behind = order.isOldestFirst
    ? sql`d.endpoint_id > ${before}`
    : sql`d.endpoint_id < ${before}`
  const { rows } = await sql<Omit<SvixDestination, 'endpoint'>>`
    select distinct on (d.endpoint_id) d.endpoint_id as id, d.state, d.next_attempt_at
    from postrider.delivery d
    where d.event_id = ${eventId} and d.id >= postrider.id_floor(${eventId}) and ${wasAttempted}
      ${before === null ? sql`` : sql`and ${behind}`}
    order by d.endpoint_id ${directionOf(order)}, d.id desc
    limit ${limit}`.execute(database)
  const endpoints = await database
    .selectFrom('endpoint')
    .selectAll()
    .where('id', 'in', rows.length > 0 ? rows.map(({ id }) => id) : [eventId])
    .$castTo<Endpoint>()
    .execute()
  const byId = new Map(endpoints.map((endpoint) => [endpoint.id as string, endpoint]))
  return rows.flatMap((row) => {
    const endpoint = byId.get(row.id)
    return endpoint ? [{ ...row, endpoint }] : []
  })
}
