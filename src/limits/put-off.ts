import type { EndpointId } from '../ids.ts'
import type { EndpointPermits } from './endpoint-permits.ts'
import type { TenantPermits } from './tenant-permits.ts'

/** What is put off for less comes soon by itself. */
const PUT_OFF_MS_MIN = 1_000
/** Of one endpoint at a time: about what a runner delivers in a quarter of a second, and one short statement. */
const COUNT_MAX = 250

/** Where other runners have the permits of an endpoint, it is asked so seldom. */
const ELSEWHERE_MS = 5_000

/** Of an endpoint whose deliveries found no permit. */
interface PutOff {
  /** Whose permits it takes. */
  tenantId: string
  maxInFlight: number
  /** When the last of them comes by itself. */
  until: number
}

export interface Room {
  endpointId: EndpointId
  /** So many more may come now. */
  count: number
}

interface PutOffOptions {
  endpoints: Pick<EndpointPermits, 'roomWithin' | 'isSlow'>
  tenants: Pick<TenantPermits, 'roomWithin'>
  now?: () => number
}

/**
 * Knows the endpoints whose deliveries were put off for want of a permit, and for which of them there are permits now.
 *
 * How long one is put off for is estimated by the share of that moment, and by how long permits were held: for minutes,
 * where a receiver hung. It may answer quickly a moment later, and what was put off would wait for nothing.
 */
export class PutOffEndpoints {
  readonly #options: PutOffOptions
  readonly #putOff = new Map<EndpointId, PutOff>()
  /** Until when there are permits here which nobody may use. */
  readonly #elsewhere = new Map<EndpointId, number>()

  constructor(options: PutOffOptions) {
    this.#options = options
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now()
  }

  note(endpointId: EndpointId, found: Omit<PutOff, 'until'> & { retryInMs: number }): void {
    const { retryInMs, ...whose } = found
    if (retryInMs < PUT_OFF_MS_MIN) return
    const until = Math.max(this.#now() + retryInMs, this.#putOff.get(endpointId)?.until ?? 0)
    this.#putOff.set(endpointId, { ...whose, until })
  }

  /** There was a permit here, but other runners have all that the endpoint allows. */
  noteElsewhere(endpointId: EndpointId): void {
    this.#elsewhere.set(endpointId, this.#now() + ELSEWHERE_MS)
  }

  /** None of it is put off any more. */
  forget(endpointId: EndpointId): void {
    this.#putOff.delete(endpointId)
  }

  /** @param withinMs permits that are likely to be given back by then count as well */
  room(withinMs: number): Room[] {
    this.#forgetOver()
    const { endpoints, tenants } = this.#options
    const taken = new Map<string, number>()
    const rooms: Room[] = []
    for (const [endpointId, { tenantId, maxInFlight }] of this.#putOff) {
      if (this.#elsewhere.has(endpointId)) continue
      const own = endpoints.roomWithin(withinMs, endpointId, maxInFlight)
      if (own === 0) continue
      const ofTenant = tenants.roomWithin(withinMs, tenantId, endpoints.isSlow(endpointId))
      const others = taken.get(tenantId) ?? 0
      const count = Math.min(own, ofTenant - others, COUNT_MAX)
      if (count <= 0) continue
      taken.set(tenantId, others + count)
      rooms.push({ endpointId, count })
    }
    return rooms
  }

  #forgetOver(): void {
    const now = this.#now()
    for (const [id, { until }] of this.#putOff) if (until < now) this.#putOff.delete(id)
    for (const [id, until] of this.#elsewhere) if (until < now) this.#elsewhere.delete(id)
  }
}
