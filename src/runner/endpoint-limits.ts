import DataLoader from 'dataloader'
import { LRUCache } from 'lru-cache'
import type { Pool } from 'pg'
import type { EndpointId, TenantId } from '../ids.ts'

/** How long a changed limit may go unnoticed; asking for each delivery would double its reads. */
const KEPT_MS = 5_000
/** A row has some 100 bytes; more endpoints than this are asked for again. */
const ENDPOINTS_MAX = 20_000

export interface EndpointLimits {
  /** Has a share of the concurrency of a runner; `null` = the endpoint is gone. */
  tenantId: TenantId | null
  /** Requests per second over all runners; `null` = no limit. */
  ratePerSecond: number | null
  /** Counts the changes of the rate: slots that were reserved under another are void. */
  rateVersion: number
  /** Requests in flight over all runners; `null` = no limit. */
  maxInFlight: number | null
  /** `null` = that of the service. */
  timeoutSeconds: number | null
  /** Its events go together. */
  isBatched?: boolean
  /** At most so many; `null` = it has no batches. */
  batchEventsMax?: number | null
}

const UNLIMITED: EndpointLimits = {
  tenantId: null,
  ratePerSecond: null,
  rateVersion: 0,
  maxInFlight: null,
  timeoutSeconds: null,
}

export interface KeptEndpointLimits {
  /** @param rateVersion a version that is known to exist: older limits than that are looked up again */
  of(endpointId: EndpointId, rateVersion?: number): EndpointLimits | Promise<EndpointLimits>
  /** They have changed: look them up before they are used again. */
  forget(endpointIds: readonly EndpointId[]): void
}

/** Makes the lookup of an endpoint's limits. Answers are kept for a few seconds. */
export function createEndpointLimits(
  pool: Pool,
  now: () => number = () => performance.now(),
): KeptEndpointLimits {
  const known = new LRUCache<EndpointId, EndpointLimits>({
    max: ENDPOINTS_MAX,
    ttl: KEPT_MS,
    ttlResolution: 0,
    perf: { now },
  })
  const loader = new DataLoader((ids: readonly EndpointId[]) => load(pool, ids), { cache: false })

  return {
    of(endpointId, rateVersion = 0) {
      const kept = known.get(endpointId)
      if (kept && kept.rateVersion >= rateVersion) return kept
      return loader.load(endpointId).then((limits) => {
        known.set(endpointId, limits)
        return limits
      })
    },
    forget(endpointIds) {
      for (const id of endpointIds) known.delete(id)
    },
  }
}

async function load(pool: Pool, ids: readonly EndpointId[]): Promise<EndpointLimits[]> {
  const { rows } = await pool.query<EndpointLimits & { id: EndpointId }>({
    name: 'postrider_endpoint_limits',
    text: `select id, tenant_id as "tenantId", rate_per_second::float8 as "ratePerSecond", rate_version as "rateVersion",
             max_in_flight as "maxInFlight", timeout_seconds as "timeoutSeconds",
             batch_bounds is not null as "isBatched", (batch_bounds ->> 'maxEvents')::int as "batchEventsMax"
           from postrider.endpoint where id = any ($1::uuid[])`,
    values: [ids],
  })
  const found = new Map(rows.map((row) => [row.id, row]))
  // Of an endpoint that is gone the claim will say so.
  return ids.map((id) => found.get(id) ?? UNLIMITED)
}
