import { type Kysely, sql } from 'kysely'
import type { Database, OutcomeColumn } from '../postgres/schema.ts'

/** Of each endpoint: as many as are told apart at a glance. */
const STRIP_ATTEMPTS = 20
/** The newest of the tenants together that are looked at: some 50 ms. */
const ATTEMPTS_READ_MAX = 20_000

/** One attempt of a strip. */
export interface StripAttempt {
  outcome: OutcomeColumn
  statusCode: number | null
  startedAt: Date
}

/** By the id of the endpoint, oldest first; an endpoint without an attempt is left out. */
export type Strips = ReadonlyMap<string, readonly StripAttempt[]>
export type StripsOf = (
  endpoints: readonly { tenant_id: string; endpoint_id: string }[],
) => Promise<Strips>

/**
 * Makes the step that finds the last attempts of some endpoints, within a week. There is no index on endpoint and
 * time, which every attempt would pay for: the one on tenant and time is read, of each tenant an equal share. So
 * quiet endpoints of a busy tenant can lack their strip.
 */
export function createAttemptStrips({ database }: { database: Kysely<Database> }): StripsOf {
  return async (endpoints) => {
    if (endpoints.length === 0) return new Map()
    const tenantIds = [...new Set(endpoints.map((one) => one.tenant_id))]
    const endpointIds = endpoints.map((one) => one.endpoint_id)
    const share = Math.floor(ATTEMPTS_READ_MAX / tenantIds.length)
    const { rows } = await sql<StripAttempt & { endpointId: string }>`
      select numbered.endpoint_id as "endpointId", numbered.outcome, numbered.status_code as "statusCode",
        numbered.started_at as "startedAt"
      from (
        select a.*, row_number() over (partition by a.endpoint_id order by a.id desc) as back
        from unnest(${tenantIds}::uuid[]) as t (id)
        cross join lateral (
          select id, endpoint_id, outcome, status_code, started_at
          from postrider.attempt
          where tenant_id = t.id and id >= postrider.id_at(now() - interval '7 days')
            and id < postrider.id_at(now() + interval '1 hour')
          order by id desc limit ${share}) as a
        where a.endpoint_id = any (${endpointIds}::uuid[])
      ) as numbered
      where numbered.back <= ${STRIP_ATTEMPTS}
      order by numbered.id`.execute(database)
    return Map.groupBy(rows, ({ endpointId }) => endpointId)
  }
}
