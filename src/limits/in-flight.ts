import type { EndpointId, TenantId } from '../ids.ts'
import type { Redis } from '../redis/redis.ts'
import { withFallback } from '../redis/with-fallback.ts'
import { acquireFromRedis, type Lease } from './leases.ts'
import { createPlaces, type Entry, type PlacesOfEndpoint, type ShareShrunk } from './places.ts'
import { createTenants, type TenantEntry } from './tenant-limits.ts'

/** The claim before the request and the outcome after it, on a database that is slow today. */
const AROUND_REQUEST_MS = 15_000

export interface InFlightLimits {
  /** Whose endpoint it is; `null` = nobody's any more. */
  tenantId: TenantId | null
  /** The endpoint's own limit, over all runners; `null` = none. */
  maxInFlight: number | null
  /** How long its requests take at most. */
  timeoutMs: number
}

export interface InFlight {
  /**
   * Takes a place for one request, or says when to try again. Never rejects. Answers without a promise for
   * an endpoint that has a place free and no limit; may wait a moment for a place here.
   *
   * @example
   * const { leave, retryInMs } = await inFlight.enter(endpointId, { maxInFlight: null, timeoutMs: 15_000 })
   * if (!leave) return snooze(retryInMs)
   */
  enter(endpointId: EndpointId, limits: InFlightLimits): Entry | Promise<Entry>
  /** Of the endpoints that something was sent to in the last minute, by this runner. */
  inUse(): PlacesOfEndpoint[]
}

/**
 * Limits how many requests an endpoint has in flight: in this runner by its share of the places and by that of its
 * tenant, over all runners by its own `maxInFlight`. While Redis is away each runner allows that many; and a Redis that was
 * restarted empty knows nothing of those that are in flight at that time.
 *
 * @param options.concurrency places of this runner, `RUNNER_CONCURRENCY`
 * @param options.onShrunk hears of each endpoint whose share has become smaller
 */
export function createInFlight(options: {
  redis: Redis
  concurrency: number
  onShrunk?: (shrunk: ShareShrunk) => void
}): InFlight {
  const places = createPlaces(options)
  const tenants = createTenants(options)
  // The places here are counted in any case, so nothing has to be counted a second time.
  const { redis } = options
  const acquire = withFallback(redis, acquireFromRedis(redis), (): Lease | null => NO_LEASE)

  const enterShared = async (id: EndpointId, max: number, forMs: number): Promise<Entry> => {
    const entry = await places.enterSoon(id, max)
    if (!entry.leave) return entry
    const lease = await acquire(id, max, forMs)
    if (!lease) {
      entry.leave('other')
      return { leave: null, retryInMs: places.retryInMs(id, max) }
    }
    const leave: typeof entry.leave = (result, tookMs) => {
      entry.leave(result, tookMs)
      lease.release()
    }
    return { leave, retryInMs: null }
  }

  const enterEndpoint = (id: EndpointId, { maxInFlight, timeoutMs }: InFlightLimits) =>
    maxInFlight === null
      ? places.enterSoon(id)
      : enterShared(id, maxInFlight, timeoutMs + AROUND_REQUEST_MS)

  const enterOf = (ofTenant: TenantEntry, id: EndpointId, limits: InFlightLimits) => {
    if (!ofTenant.leave) return ofTenant
    const { leave } = ofTenant
    const entry = enterEndpoint(id, limits)
    return entry instanceof Promise
      ? entry.then((entered) => both(entered, leave))
      : both(entry, leave)
  }

  return {
    inUse: places.inUse,
    enter(id, limits) {
      const ofTenant = tenants.enterSoon(limits.tenantId ?? id, places.isSlow(id))
      return ofTenant instanceof Promise
        ? ofTenant.then((entry) => enterOf(entry, id, limits))
        : enterOf(ofTenant, id, limits)
    },
  }
}

/** A place of the endpoint, for which one of its tenant was taken before. */
function both(entry: Entry, leaveTenant: () => void): Entry {
  if (!entry.leave) {
    leaveTenant()
    return entry
  }
  const leave: typeof entry.leave = (result, tookMs) => {
    entry.leave(result, tookMs)
    leaveTenant()
  }
  return { leave, retryInMs: null }
}

const NO_LEASE: Lease = { release: () => undefined }
