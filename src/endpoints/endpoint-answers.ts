import { type Kysely, sql } from 'kysely'
import type { DeliveryId, EndpointId, TenantId } from '../ids.ts'
import type { Database, OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'

/** The newest of the tenant that are looked at: some 50 ms. */
const ATTEMPTS_READ_MAX = 20_000
const ANSWERS_SHOWN = 5
/** Enough to recognise an answer. */
const BODY_SHOWN = 120

/** What an endpoint answered, or what came in place of it. */
export interface EndpointAnswer {
  id: string
  deliveryId: DeliveryId
  number: number
  outcome: OutcomeColumn
  statusCode: number | null
  reason: ReasonColumn | null
  error: string | null
  durationMs: number | null
  startedAt: Date
  /** Beginning of what the receiver returned, on one line. */
  body: string | null
}

/** Failures that had the same status, or the same reason where there was none. */
export interface FailureCause {
  statusCode: number | null
  reason: ReasonColumn | null
  count: number
}

export interface EndpointAnswers {
  /** The newest first. */
  last: EndpointAnswer[]
  /** Of all failures in a day, the most frequent first. */
  causes: FailureCause[]
}

/** Makes the step that finds what an endpoint answered last, and why attempts failed, within a day. */
export function createEndpointAnswers({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId, endpointId: EndpointId): Promise<EndpointAnswers> => {
    const { rows } = await answersOf(tenantId, endpointId).execute(database)
    return { last: rows.map(({ causes: _, ...answer }) => answer), causes: rows[0]?.causes ?? [] }
  }
}

/** There is no index on endpoint and time, which every attempt would pay for; that on tenant and time is read. */
const answersOf = (tenantId: TenantId, endpointId: EndpointId) =>
  sql<EndpointAnswer & { causes: FailureCause[] | null }>`
    with newest as materialized (
      select a.id, a.endpoint_id, a.outcome, a.status_code, a.reason
      from postrider.attempt a
      where a.tenant_id = ${tenantId} and a.id >= postrider.id_at(now() - interval '1 day')
        and a.id < postrider.id_at(now() + interval '1 hour')
      order by a.id desc
      limit ${ATTEMPTS_READ_MAX}
    ),
    own as materialized (
      select * from newest n where n.endpoint_id = ${endpointId} and n.outcome <> 'started'
    ),
    cause as (
      select o.status_code as "statusCode", case when o.status_code is null then o.reason end as reason,
        count(*)::int as count
      from own o where o.outcome in ('rejected', 'unreachable', 'blocked')
      group by 1, 2
    )
    select a.id, a.delivery_id as "deliveryId", a.number, a.outcome, a.status_code as "statusCode", a.reason, a.error,
      a.duration_ms as "durationMs", a.started_at as "startedAt",
      left(regexp_replace(left(a.response_body, 1000), '\\s+', ' ', 'g'), ${BODY_SHOWN}) as body,
      (select jsonb_agg(c order by c.count desc, c."statusCode") from cause c) as causes
    from (select o.id from own o order by o.id desc limit ${ANSWERS_SHOWN}) as o
    join postrider.attempt a on a.id = o.id
    order by a.id desc`
