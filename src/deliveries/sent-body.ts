import { type Kysely, sql } from 'kysely'
import type { EventId, TenantId } from '../ids.ts'
import { messageIdOf } from '../ksuid.ts'
import type { Database, EndpointShape } from '../postgres/schema.ts'
import { completeBody, type ThinLinks } from '../sending/thin-link.ts'

/** A delivery may be there for longer than its event, whose day is dropped first. */
export interface SentBody {
  /** Null where the event is gone. */
  type: string | null
  /** To the byte, or as much of it as was asked for; null where its data was erased or the event is gone. */
  body: string | null
  /** Of the whole body, encoded. */
  bytes: number | null
  /** The `webhook-id` of the request. */
  messageId: string
  /** Of the endpoint: name to template, of other schemes. */
  signatureHeaders: Record<string, string>
  /** Whether members of the data are hidden, so that the signature does not fit. */
  isMasked: boolean
}

/** Which delivery it is about. */
export interface SentTo {
  id: string
  endpointId: string
  charactersMax?: number | null
}

/**
 * Makes the step that builds the body of a request about an event, in the shape that its endpoint has now: the whole
 * of it, or its first `charactersMax` characters and some when it is longer.
 */
export function createSentBody({
  database,
  linkOf,
  isMasked = true,
}: {
  database: Kysely<Database>
  linkOf: ThinLinks['linkOf']
  /** As in `createEvents`. */
  isMasked?: boolean
}) {
  const data = isMasked ? sql`postrider.masked(type, data)` : sql`data`
  return async (
    tenantId: TenantId,
    id: EventId,
    { id: deliveryId, endpointId, charactersMax = null }: SentTo,
  ): Promise<SentBody> => {
    const alone = sql`postrider.shaped_body(e, ev.id, type, occurred_at, ${data}, as_svix)`
    // As a runner puts it into the body of a batch, which has the standard shape.
    const body = sql`case when postrider.shape_for(e, as_svix) = 'standard' and ${wasInBatch(deliveryId)}
      then '{"id":"' || ev.id || '",' || substr(${alone}, 2) else ${alone} end`
    // One more, which tells that there is more.
    const read = charactersMax === null ? sql`whole` : sql`left(whole, ${charactersMax + 1})`
    const { rows } = await sql<
      Omit<SentBody, 'messageId'> & { shape: EndpointShape; timestamp: string | null }
    >`
      select type, postrider.shape_for(e, as_svix) as shape, e.signature_headers as "signatureHeaders",
        case when e.shape = 'thin' then ${lastTimestamp(deliveryId)} end as timestamp, ${read} as body,
        octet_length(whole) as bytes,
        ${isMasked ? sql`postrider.is_masked(type)` : sql`false`} as "isMasked"
      from postrider.event ev join postrider.endpoint e on e.id = ${endpointId}
        cross join lateral (select ${body} as whole offset 0) as built -- offset: otherwise it is built for each use
      where ev.id = ${id} and ev.tenant_id = ${tenantId}`.execute(database)
    const { shape, timestamp, ...sent } = rows[0] ?? {
      shape: 'standard',
      timestamp: null,
      type: null,
      body: null,
      bytes: null,
      signatureHeaders: {},
      isMasked: false,
    }
    const linked = { tenantId, endpointId, eventId: id }
    const complete = completeBody({ shape, body: sent.body }, linked, {
      linkOf,
      timestampSeconds: timestamp === null ? undefined : Number(timestamp),
    })
    return {
      ...sent,
      messageId: shape === 'svix' ? messageIdOf(id) : id,
      body: complete,
      bytes: complete === sent.body ? sent.bytes : Buffer.byteLength(complete ?? ''),
    }
  }
}

/** At its last attempt. */
const wasInBatch = (deliveryId: string) => sql`(
  select a.batch_id from postrider.attempt a
  where a.delivery_id = ${deliveryId} and a.id >= postrider.id_floor(${deliveryId})
  order by a.number desc limit 1) is not null`

/** Of the attempt that is verified by hand; the link of a thin event depends on it. */
const lastTimestamp = (deliveryId: string) => sql`(
  select a.request_headers ->> 'webhook-timestamp' from postrider.attempt a
  where a.delivery_id = ${deliveryId} and a.id >= postrider.id_floor(${deliveryId})
    and a.request_headers is not null
  order by a.number desc limit 1)`
