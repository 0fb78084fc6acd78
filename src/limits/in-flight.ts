import type { EndpointId, TenantId } from '../ids.ts'
import type { Redis } from '../redis/redis.ts'
import { withFallback } from '../redis/with-fallback.ts'
import {
  type Acquired,
  EndpointPermits,
  type PermitsOfEndpoint,
  type ShareShrunk,
} from './endpoint-permits.ts'
import { acquireFromRedis, type Lease } from './leases.ts'
import { PutOffEndpoints } from './put-off.ts'
import { type TenantAcquired, TenantPermits } from './tenant-permits.ts'

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

/**
 * Limits how many requests an endpoint has in flight: in this runner by its share of the permits and by that of its
 * tenant, over all runners by its own `maxInFlight`. While Redis is away each runner allows that many; and a Redis that was
 * restarted empty knows nothing of those that are in flight at that time.
 */
export class InFlight {
  readonly #permits: EndpointPermits
  readonly #tenants: TenantPermits
  /** Those that found no permit here. */
  readonly putOff: PutOffEndpoints
  readonly #lease: (id: EndpointId, max: number, forMs: number) => Promise<Lease | null> | Lease

  /**
   * @param options.concurrency permits of this runner, `RUNNER_CONCURRENCY`
   * @param options.onShrunk hears of each endpoint whose share has become smaller
   */
  constructor(options: {
    redis: Redis
    concurrency: number
    onShrunk?: (shrunk: ShareShrunk) => void
  }) {
    this.#permits = new EndpointPermits(options)
    this.#tenants = new TenantPermits(options)
    this.putOff = new PutOffEndpoints({ endpoints: this.#permits, tenants: this.#tenants })
    // The permits here are counted in any case, so nothing has to be counted a second time.
    const { redis } = options
    this.#lease = withFallback(redis, acquireFromRedis(redis), (): Lease | null => NO_LEASE)
  }

  /**
   * Takes a permit for one request, or says when to try again. Never rejects. Answers without a promise for
   * an endpoint that has a permit free and no limit; may wait a moment for a permit here.
   *
   * @example
   * const { release, retryInMs } = await inFlight.acquire(endpointId, { maxInFlight: null, timeoutMs: 15_000 })
   * if (!release) return snooze(retryInMs)
   */
  acquire(id: EndpointId, limits: InFlightLimits): Acquired | Promise<Acquired> {
    const acquired = this.#acquire(id, limits)
    return acquired instanceof Promise
      ? acquired.then((one) => this.#noted(one, id, limits))
      : this.#noted(acquired, id, limits)
  }

  #noted(acquired: Acquired, id: EndpointId, { tenantId, maxInFlight }: InFlightLimits): Acquired {
    if (acquired.release) return acquired
    const { retryInMs } = acquired
    const max = maxInFlight ?? Number.POSITIVE_INFINITY
    this.putOff.note(id, { tenantId: tenantId ?? id, maxInFlight: max, retryInMs })
    return acquired
  }

  #acquire(id: EndpointId, limits: InFlightLimits): Acquired | Promise<Acquired> {
    const ofTenant = this.#tenants.acquireSoon(limits.tenantId ?? id, this.#permits.isSlow(id))
    return ofTenant instanceof Promise
      ? ofTenant.then((acquired) => this.#acquireWithin(acquired, id, limits))
      : this.#acquireWithin(ofTenant, id, limits)
  }

  /** Of the endpoints that something was sent to in the last minute, by this runner. */
  inUse(): PermitsOfEndpoint[] {
    return this.#permits.inUse()
  }

  #acquireWithin(ofTenant: TenantAcquired, id: EndpointId, limits: InFlightLimits) {
    const { release } = ofTenant
    if (!release) return ofTenant
    const acquired = this.#acquireEndpoint(id, limits)
    return acquired instanceof Promise
      ? acquired.then((one) => both(one, release))
      : both(acquired, release)
  }

  #acquireEndpoint(id: EndpointId, { maxInFlight, timeoutMs }: InFlightLimits) {
    return maxInFlight === null
      ? this.#permits.acquireSoon(id)
      : this.#acquireShared(id, maxInFlight, timeoutMs + AROUND_REQUEST_MS)
  }

  async #acquireShared(id: EndpointId, max: number, forMs: number): Promise<Acquired> {
    const acquired = await this.#permits.acquireSoon(id, max)
    if (!acquired.release) return acquired
    const lease = await this.#lease(id, max, forMs)
    if (lease) return both(acquired, lease.release)
    this.putOff.noteElsewhere(id)
    acquired.release('other')
    return { release: null, retryInMs: this.#permits.retryInMs(id, max) }
  }
}

/** A permit of the endpoint, with what is given back along with it: one of its tenant, or a lease. */
function both(acquired: Acquired, releaseOther: (tookMs?: number) => void): Acquired {
  if (!acquired.release) {
    releaseOther()
    return acquired
  }
  const release: typeof acquired.release = (result, tookMs, connectMs) => {
    acquired.release(result, tookMs, connectMs)
    releaseOther(tookMs)
  }
  return { ...acquired, release }
}

const NO_LEASE: Lease = { release: () => undefined }
