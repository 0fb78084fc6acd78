import { type Kysely, sql } from 'kysely'
import type { EndpointId } from '../ids.ts'
import type { Database, EndpointState } from '../postgres/schema.ts'

/** A screenful; anyone who has more looks at the list of endpoints. */
const SHOWN_MAX = 20

/** An endpoint of any tenant that does not get what it should. */
export interface TroubledEndpoint {
  id: EndpointId
  tenantKey: string
  url: string
  state: EndpointState
  disabledReason: string | null
  /** Failed attempts in a row. */
  failures: number
  failingSince: Date | null
  /** Attempts since its last success that it answered with a refusal of the event. */
  refusals: number
  refusingSince: Date | null
  /** Since when deliveries are held but for a probe now and then. */
  circuitOpenedAt: Date | null
  /** Since when its deliveries are held because no key opens its secret or client key. */
  unreadableSince: Date | null
}

/**
 * Makes the step that finds the endpoints in trouble, the worst first: unreadable secrets, open circuits, disabled ones,
 * then by failures and refusals. Healthy endpoints have no row in `circuit`, and cost nothing.
 */
export function createTroubledEndpoints({ database }: { database: Kysely<Database> }) {
  return async (): Promise<TroubledEndpoint[]> => {
    const { rows } = await sql<TroubledEndpoint>`
      select e.id, t.key as "tenantKey", e.url, e.state, e.disabled_reason as "disabledReason",
        coalesce(c.failures, 0) as failures, c.failing_since as "failingSince",
        coalesce(c.refusals, 0) as refusals, c.refusing_since as "refusingSince", c.opened_at as "circuitOpenedAt",
        e.unreadable_since as "unreadableSince"
      from (
        select endpoint_id from postrider.circuit
        union
        select id from postrider.endpoint where deleted_at is null and state <> 'active'
        union
        select id from postrider.endpoint where unreadable_since is not null
      ) as troubled
      join postrider.endpoint e on e.id = troubled.endpoint_id and e.deleted_at is null
      join postrider.tenant t on t.id = e.tenant_id
      left join postrider.circuit c on c.endpoint_id = e.id
      order by e.unreadable_since is null, c.opened_at is null, e.state <> 'disabled', coalesce(c.failures + c.refusals, 0) desc, e.id
      limit ${SHOWN_MAX}`.execute(database)
    return rows
  }
}
