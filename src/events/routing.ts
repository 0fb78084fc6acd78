import { type Kysely, sql } from 'kysely'
import { assertReadable } from '../endpoints/endpoints.ts'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import { PublishRefused } from './publish-refused.ts'

/** Why an endpoint did not get an event; the words are those of `postrider.reason_unmatched`. */
export const REASONS = {
  type: 'its event types do not include this one',
  channel: 'it has channels, and the event was published to none of them',
  filter: 'the data does not pass its filter',
  filter_waiting: 'its filter is not evaluated yet; a runner will do it',
  disabled: 'it was disabled',
  created_later: 'it was created after the event',
  changed_later: 'it was changed after the event; it would match now',
  erased: 'the data of the event was erased, so its filter cannot be evaluated',
  test: 'the event was a test of another endpoint',
} as const

export type Reason = keyof typeof REASONS

/** What became of an event at one endpoint. */
export interface Route {
  endpointId: EndpointId
  url: string
  /** Of the endpoint. */
  description: string
  /** Null where it was not matched. */
  deliveryId: DeliveryId | null
  /** Null where it was matched. */
  reason: Reason | null
  /** Whether people have changed the endpoint since: a reason then speaks of how it is now. */
  changedSince: boolean
}

interface MatchQuery {
  eventTypes: string[]
  filter: string | null
  type: string
  /** JSON text. */
  data: string
  /** Of the event, and of the endpoint; null = none. */
  channels?: { event: string[] | null; endpoint: string[] | null }
}

export interface Match {
  /** Those of the event types that fit. */
  patterns: string[]
  /** Whether channels let the endpoint have it. */
  isInChannels: boolean
  /** Null: it cannot tell, which counts as false; true where there is none. */
  filterResult: boolean | null
  passesFilter: boolean
}

export interface Routing {
  /** Up to 100 endpoints of the tenant; the ones that got the event come first. */
  explain(tenantId: TenantId, id: EventId): Promise<Route[]>
  /** What event types and filter say to an event that was not published. @throws FilterInvalid, PublishRefused */
  match(query: MatchQuery): Promise<Match>
}

export function createRouting({ database }: { database: Kysely<Database> }): Routing {
  return {
    async explain(tenantId, id) {
      const { rows } = await sql<Route>`
        select endpoint_id as "endpointId", url, delivery_id as "deliveryId", reason,
          changed_since as "changedSince",
          (select e.description from postrider.endpoint e where e.id = endpoint_id) as description
        from postrider.explain_route(${tenantId}, ${id})`.execute(database)
      return rows
    },
    match: (query) => match(database, query),
  }
}

async function match(
  database: Kysely<Database>,
  { eventTypes, filter, type, data, channels }: MatchQuery,
): Promise<Match> {
  await assertReadable(database, filter)
  try {
    const { rows } = await sql<Match>`
      select array(
          select pattern from unnest(${eventTypes}::text[]) as pattern
          where postrider.wants_type(array[pattern], ${type})) as patterns,
        postrider.in_channels(${channels?.endpoint ?? null}::text[], ${channels?.event ?? null}::text[]) as "isInChannels",
        case when ${filter}::text is null then true
          else jsonb_path_match(${data}::jsonb, ${filter}::jsonpath, silent => true)
        end as "filterResult",
        postrider.passes_filter(${filter}, ${data}::jsonb) as "passesFilter"`.execute(database)
    return rows[0] ?? fail()
  } catch (error) {
    throw isOfData(error) ? unsupported(error) : error
  }
}

function fail(): never {
  throw new Error('the query answered nothing')
}

/** Classes 22 (data exception) and 54 (program limit): as publish, which parses the data in the same way. */
const isOfData = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(?:22|54)/.test(String(error.code))

function unsupported(cause: unknown): PublishRefused {
  const message = 'data holds something that Postgres cannot store'
  const refused = new PublishRefused({ code: 'data_unsupported', field: 'data', message })
  refused.cause = cause
  return refused
}
