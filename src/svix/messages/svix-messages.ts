import { createHash } from 'node:crypto'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Publisher, PublishItem } from '../../events/publisher.ts'
import type { EndpointId, EventId, TenantId } from '../../ids.ts'
import { allOf, isInRange, type Range } from '../../postgres/list-query.ts'
import { operate } from '../../postgres/operate.ts'
import { createScan, EVENTS_SCANNED_MAX, SCANNED_MAX, type ScanPage } from '../../postgres/scan.ts'
import type { Database, DeliveryState, EventTable } from '../../postgres/schema.ts'
import { SvixError, svixNotFound } from '../svix-error.ts'
import { mistakeInUid, uuidOf } from '../svix-id.ts'

/** An event as Svix calls it; its data is masked where that is said of its type. */
export type SvixMessage = Pick<EventTable, 'channels' | 'deliver_at' | 'type' | 'data'> & {
  id: EventId
  /** The producer's own id for it. */
  eventId: string | null
  svix: Record<string, unknown> | null
}

/** With the state of its delivery to an endpoint. */
type SvixEndpointMessage = SvixMessage & {
  state: DeliveryState
  next_attempt_at: Date | null
}

export interface NewSvixMessage {
  type: string
  /** JSON text, which is what is sent. */
  payload: string
  eventId: string | null
  channels: string[] | null
  tags: string[] | null
  /** ISO 8601. */
  deliverAt: string | null
  eraseAt: string | null
}

interface SvixMessageFilter {
  channel?: string | undefined
  types?: string[] | undefined
}

type Page = Range<EventId> & SvixMessageFilter & { hasContent: boolean }

export interface SvixMessages {
  /** Within the scope of its tenant, as the others. By its id or the producer's. @throws SvixError not_found */
  find(tenantId: TenantId, named: string, hasContent?: boolean): Promise<SvixMessage>
  /** @throws SvixError not_found */
  get(tenantId: TenantId, id: EventId, hasContent?: boolean): Promise<SvixMessage>
  /** A page looks through a bounded number of rows. @throws SearchTooSlow */
  list(tenantId: TenantId, page: Page): Promise<ScanPage<SvixMessage>>
  /** Those of which the endpoint was sent something. @throws SearchTooSlow */
  listOfEndpoint(
    tenantId: TenantId,
    page: Page & { endpointId: EndpointId; states?: readonly DeliveryState[] | undefined },
  ): Promise<ScanPage<SvixEndpointMessage>>
  /** Erases its payload, and what was answered to it. */
  expunge(id: EventId, who: string): Promise<void>
}

interface Options {
  /** Within the scope of a tenant. */
  database: Kysely<Database>
  everyTenant: Kysely<Database>
}

export function createSvixMessages({ database, everyTenant }: Options): SvixMessages {
  const scan = createScan<SvixMessage>(database)
  const scanWithDeliveries = createScan<SvixEndpointMessage>(database)
  return {
    async find(tenantId, named, hasContent = true) {
      const id = uuidOf('msg', named) ?? (await idOfEventId(database, tenantId, named))
      if (id === null) throw svixNotFound()
      return await get(database, tenantId, { id, hasContent })
    },
    get: (tenantId, id, hasContent = true) => get(database, tenantId, { id, hasContent }),
    list: (tenantId, page) =>
      scan(scanOf(tenantId, page, SCANNED_MAX), (rows, direction) =>
        messagesOf(rows, direction, page),
      ),
    listOfEndpoint: (tenantId, page) =>
      scanWithDeliveries(scanOf(tenantId, page, EVENTS_SCANNED_MAX), (rows, direction) =>
        endpointMessagesOf(rows, direction, page),
      ),
    async expunge(id, who) {
      await operate(() => sql`select postrider.erase_event(${id}, ${who})`.execute(everyTenant))
    },
  }
}

/** Begins the idempotency keys that are no `eventId`, which has no colon in it. */
const REQUEST_PREFIX = 'svix-request:'
/** An `eventId` may be one longer than an idempotency key. */
const LONG_PREFIX = 'svix-id:'
const KEY_LENGTH_MAX = 255

const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** The idempotency key that stands for the producer's own id. */
const keyOfEventId = (eventId: string): string =>
  eventId.length > KEY_LENGTH_MAX ? `${LONG_PREFIX}${hashOf(eventId)}` : eventId

/** Stands for a request of this caller to this URL with this idempotency key. */
export const requestKeyOf = (parts: readonly string[]): string =>
  `${REQUEST_PREFIX}${hashOf(parts.join('\n'))}`

/** @param requestKey null = the request has no idempotency key */
function itemOf(
  tenant: string,
  { type, payload, eventId, ...message }: NewSvixMessage,
  requestKey: string | null,
): PublishItem {
  const { channels, tags, deliverAt, eraseAt } = message
  const kept = {
    ...(tags && { tags }),
    ...(eventId !== null && requestKey !== null && { requestKey }),
    ...(eventId !== null && keyOfEventId(eventId) !== eventId && { eventId }),
  }
  const members = {
    ...{ type, asSvix: true },
    ...(channels && { channels }),
    ...(deliverAt && { deliverAt }),
    ...(eraseAt && { eraseAt }),
    ...(Object.keys(kept).length > 0 && { svix: kept }),
  }
  return {
    body: `${JSON.stringify(members).slice(0, -1)},"data":${payload}}`,
    tenant,
    idempotencyKey: eventId === null ? requestKey : keyOfEventId(eventId),
  }
}

/**
 * Publishes it once. With an `eventId`, one that is there is refused, but where it is the same request again.
 *
 * @param findStored the message that is stored under an id
 * @throws SvixError conflict, PublishRefused
 */
export async function publishOnce(
  publish: Publisher['publish'],
  {
    tenant,
    message,
    requestKey,
  }: { tenant: string; message: NewSvixMessage; requestKey: string | null },
  findStored: (id: EventId) => Promise<SvixMessage>,
): Promise<SvixMessage> {
  const published = await publish(itemOf(tenant, message, requestKey))
  const id = published.id as EventId
  if (!published.duplicate) return newMessage(id, message)
  const stored = await findStored(id)
  const isSameRequest = requestKey !== null && stored.svix?.['requestKey'] === requestKey
  if (message.eventId === null || isSameRequest) return stored
  throw new SvixError(409, 'conflict', 'A message with this eventId already exists')
}

const newMessage = (id: EventId, message: NewSvixMessage): SvixMessage => ({
  id,
  type: message.type,
  data: message.payload,
  eventId: message.eventId,
  channels: message.channels,
  deliver_at: message.deliverAt === null ? null : new Date(message.deliverAt),
  svix: message.tags && { tags: message.tags },
})

async function get(
  database: Kysely<Database>,
  tenantId: TenantId,
  { id, hasContent }: { id: string; hasContent: boolean },
): Promise<SvixMessage> {
  const { rows } = await messagesOf(
    sql`select * from postrider.event where id = ${id} and tenant_id = ${tenantId}`,
    sql`asc`,
    { hasContent },
  ).execute(database)
  const [found] = rows
  if (!found) throw svixNotFound()
  return found
}

async function idOfEventId(database: Kysely<Database>, tenantId: TenantId, eventId: string) {
  if (mistakeInUid('msg', eventId) !== null) return null
  const row = await database
    .selectFrom('idempotency')
    .select('event_id')
    .where('tenant_id', '=', tenantId)
    .where('key', '=', keyOfEventId(eventId))
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst()
  return row?.event_id ?? null
}

interface ListedOf extends Page {
  endpointId?: EndpointId
  states?: readonly DeliveryState[] | undefined
}

const scanOf = (tenantId: TenantId, page: ListedOf, scannedMax: number) => ({
  table: 'event' as const,
  indexed: allOf([isInRange(page), sql`tenant_id = ${tenantId}`]),
  asked: allOf([isOfTypes(page.types), isInChannel(page.channel), wasSent(page)]),
  scannedMax,
  limit: page.limit,
  isOldestFirst: page.isOldestFirst,
})

/** What an event is asked; it is called `r`, as in every scan. */
const isOfTypes = (types: string[] | undefined) => types && sql`r.type = any (${types}::text[])`
const isInChannel = (channel: string | undefined) =>
  channel === undefined ? undefined : sql`${channel} = any (r.channels)`

const wasSent = ({ endpointId, states }: ListedOf) =>
  endpointId &&
  sql`exists (select from postrider.delivery d where ${isDeliveryOf(endpointId)}
    ${states ? sql`and d.state = any (${states}::text[])` : sql``})`

/** One that has an attempt that has ended, of the event `r`. */
const isDeliveryOf = (endpointId: EndpointId) => sql`
  d.event_id = r.id and d.endpoint_id = ${endpointId} and ${wasAttempted}
  and d.id >= postrider.id_floor(r.id) and d.id < postrider.id_at(now() + interval '1 hour')`

/** Svix has no row of a message for an endpoint before the first attempt has ended; the delivery is called `d`. */
export const wasAttempted = sql`(d.attempt_count > 1 or (d.attempt_count = 1 and d.claim is null))`

const dataOf = (hasContent: boolean) =>
  hasContent ? sql`postrider.masked(r.type, r.data)::text` : sql`null::text`

/** What the producer called it, as far as Svix would have let it. */
const eventIdOf = sql`coalesce(r.svix ->> 'eventId',
  case when r.idempotency_key ~ '^[A-Za-z0-9._-]+$' and r.idempotency_key !~ '^msg_' then r.idempotency_key end)`

const columns = (hasContent: boolean) => sql`
  r.id, r.type, r.channels, r.deliver_at, r.svix, ${eventIdOf} as "eventId", ${dataOf(hasContent)} as data`

const messagesOf = (
  rows: RawBuilder<unknown>,
  direction: RawBuilder<unknown>,
  { hasContent }: { hasContent: boolean },
) => sql<SvixMessage>`
  select ${columns(hasContent)} from (${rows}) as r order by r.id ${direction}`

const endpointMessagesOf = (
  rows: RawBuilder<unknown>,
  direction: RawBuilder<unknown>,
  { hasContent, endpointId }: { hasContent: boolean; endpointId: EndpointId },
) => sql<SvixEndpointMessage>`
  select ${columns(hasContent)}, s.state, s.next_attempt_at
  from (${rows}) as r
  cross join lateral (
    select d.state, d.next_attempt_at from postrider.delivery d
    where ${isDeliveryOf(endpointId)} order by d.id desc limit 1) as s
  order by r.id ${direction}`
