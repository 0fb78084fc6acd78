import { type Kysely, sql } from 'kysely'
import type { EndpointId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** The newest that are looked at: some 50 ms. A busier service gets the figures of a shorter time. */
const ATTEMPTS_READ_MAX = 20_000

/** A minute of attempts, or several. */
export interface RateStep {
  /** When it begins, seconds since 1970. */
  at: number
  delivered: number
  /** Rejected, unreachable, blocked: what the receiver is to blame for. */
  failed: number
  /** First attempts of their deliveries that ended in one of these ways, and those of them that were delivered. */
  firstTries: number
  firstDelivered: number
  p50Ms: number | null
  p95Ms: number | null
}

export interface AttemptRates {
  /** Oldest first, without gaps. */
  steps: RateStep[]
  stepSeconds: number
  /** Set where there were more attempts than are looked at: nothing older is counted. */
  countedSince: Date | null
}

export interface RatesQuery {
  /** How far back. */
  minutes: number
  /** Minutes in a step. */
  stepMinutes: number
  /** Only attempts of this tenant, and of this endpoint of it. */
  of?: { tenantId: TenantId; endpointId?: EndpointId | undefined } | undefined
}

/**
 * Makes the step that counts attempts over time: by all tenants, or by one. It reads the newest attempts by
 * the index on the id, or on tenant and id, and no partition of another day.
 */
export function createAttemptRates({ database }: { database: Kysely<Database> }) {
  return async (query: RatesQuery): Promise<AttemptRates> => {
    const stepSeconds = query.stepMinutes * 60
    const { rows } = await ratesOf(query, stepSeconds).execute(database)
    const steps = rows.map(({ countedSince: _, ...step }) => step)
    return { steps, stepSeconds, countedSince: rows[0]?.countedSince ?? null }
  }
}

const ratesOf = ({ minutes, of }: RatesQuery, stepSeconds: number) =>
  sql<RateStep & { countedSince: Date | null }>`
    with newest as materialized (
      select a.endpoint_id, a.outcome, a.number, a.duration_ms, a.started_at
      from postrider.attempt a
      where a.id >= postrider.id_at(now() - make_interval(mins => ${minutes}))
        and a.id < postrider.id_at(now() + interval '1 hour')
        and ${of ? sql`a.tenant_id = ${of.tenantId}` : sql`true`}
      order by a.id desc
      limit ${ATTEMPTS_READ_MAX}
    ),
    step as (
      select floor(extract(epoch from n.started_at) / ${stepSeconds})::int as number,
        count(*) filter (where n.outcome = 'delivered')::int as delivered,
        count(*) filter (where n.outcome in ('rejected', 'unreachable', 'blocked'))::int as failed,
        count(*) filter (where n.number = 1 and n.outcome in ('delivered', 'rejected', 'unreachable', 'blocked'))::int
          as first_tries,
        count(*) filter (where n.number = 1 and n.outcome = 'delivered')::int as first_delivered,
        percentile_cont(0.5) within group (order by n.duration_ms) as p50,
        percentile_cont(0.95) within group (order by n.duration_ms) as p95
      from newest n
      where ${of?.endpointId === undefined ? sql`true` : sql`n.endpoint_id = ${of.endpointId}`}
      group by 1
    )
    select s.number * ${stepSeconds} as at, coalesce(step.delivered, 0) as delivered,
      coalesce(step.failed, 0) as failed, coalesce(step.first_tries, 0) as "firstTries",
      coalesce(step.first_delivered, 0) as "firstDelivered", step.p50 as "p50Ms", step.p95 as "p95Ms",
      (select min(n.started_at) from newest n having count(*) = ${ATTEMPTS_READ_MAX}) as "countedSince"
    from generate_series(
      floor(extract(epoch from now() - make_interval(mins => ${minutes})) / ${stepSeconds})::int + 1,
      floor(extract(epoch from now()) / ${stepSeconds})::int
    ) as s (number)
    left join step on step.number = s.number
    order by s.number`
