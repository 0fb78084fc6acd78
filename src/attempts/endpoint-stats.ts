import { type Kysely, sql } from 'kysely'
import type { EndpointId, TenantId } from '../ids.ts'
import type { Database, OutcomeColumn } from '../postgres/schema.ts'

/** The newest of the tenant that are looked at: 0.2 s. A busier tenant gets the figures of a shorter time. */
const ATTEMPTS_READ_MAX = 100_000

/** Attempts that began within a time. */
export interface AttemptStats {
  attempts: number
  /** Outcome → how many; outcomes that did not happen are left out. */
  outcomes: Partial<Record<OutcomeColumn, number>>
  /** Of attempts that were sent and ended; null where there are none. */
  p50Ms: number | null
  p95Ms: number | null
  p99Ms: number | null
}

export interface EndpointStats {
  hour: AttemptStats
  day: AttemptStats
  /** Set where the tenant has had more attempts than are looked at: nothing older is counted. */
  countedSince: Date | null
}

/**
 * Makes the step that counts the attempts of an endpoint in the last hour and day.
 *
 * There is no index on endpoint and time, which every attempt would pay for; the one on tenant and
 * time is read, and never more than two day partitions.
 */
export function createEndpointStats({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId, endpointId: EndpointId): Promise<EndpointStats> => {
    const { rows } = await statsOf(tenantId, endpointId).execute(database)
    const of = (period: string) => toStats(rows.find((row) => row.period === period))
    return { hour: of('hour'), day: of('day'), countedSince: rows[0]?.countedSince ?? null }
  }
}

const statsOf = (tenantId: TenantId, endpointId: EndpointId) =>
  sql<AttemptStats & { period: string; countedSince: Date | null }>`
    with newest as materialized (
      select endpoint_id, id, outcome, duration_ms, started_at
      from postrider.attempt
      where tenant_id = ${tenantId}
        and id >= postrider.id_at(now() - interval '1 day')
        and id < postrider.id_at(now() + interval '1 hour')
      order by id desc
      limit ${ATTEMPTS_READ_MAX}
    ),
    own as materialized (
      select p.period, n.outcome, n.duration_ms
      from newest n
      join (values ('hour', interval '1 hour'), ('day', interval '1 day')) as p (period, length)
        on n.started_at >= now() - p.length
      where n.endpoint_id = ${endpointId}
    )
    select p.period, count(o.outcome)::int as attempts,
      percentile_cont(0.5) within group (order by o.duration_ms) as "p50Ms",
      percentile_cont(0.95) within group (order by o.duration_ms) as "p95Ms",
      percentile_cont(0.99) within group (order by o.duration_ms) as "p99Ms",
      coalesce((
        select jsonb_object_agg(c.outcome, c.attempts)
        from (select outcome, count(*) as attempts from own where own.period = p.period group by outcome) as c
      ), '{}') as outcomes,
      (select min(n.started_at) from newest n having count(*) = ${ATTEMPTS_READ_MAX}) as "countedSince"
    from (values ('hour'), ('day')) as p (period)
    left join own o on o.period = p.period
    group by p.period`

function toStats(row: AttemptStats | undefined): AttemptStats {
  if (!row) throw new Error('a period has no row')
  const { attempts, outcomes, p50Ms, p95Ms, p99Ms } = row
  return { attempts, outcomes, p50Ms, p95Ms, p99Ms }
}
