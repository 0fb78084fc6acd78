import { LRUCache } from 'lru-cache'
import { isTimeout } from '../postgres/outage.ts'
import { isKeyBusy, PublishRefused } from './publish-refused.ts'
import type { Published, PublishItem } from './publisher.ts'
import { createRoom } from './wait-bounds.ts'

/** With a full batch of a hundred, a thousand deliveries: some 25 ms, which is what others in the batch may wait. */
const NARROW_DELIVERIES_MAX = 10
/** Endpoints may be added meanwhile. */
const KEPT_MS = 10_000
/** The next event of one that is forgotten is a first one again. */
const TENANTS_MAX = 10_000
/** Of what was learned, so much is left after each event that has fewer deliveries. */
const KEPT_OF_EACH = 7 / 8

/** The ways in which an event can be stored. */
interface Ways {
  alone(): Promise<Published>
  /** With the first events of other tenants. */
  first(): Promise<Published>
  together(): Promise<Published>
}

/** What the events of each tenant cost of late, by the deliveries that they have. */
export interface FanOutEstimate {
  /**
   * Stores an event together with others, or alone when it is likely to have many deliveries: others would wait for
   * all of them. The first event of a tenant goes with those of other tenants, each of which brings one: thousands of
   * tenants may have an event a minute, and none would share a commit if all of them went alone. Those of the same
   * tenant that come meanwhile wait until it has told.
   */
  store(item: PublishItem, ways: Ways): Promise<Published>
}

export const createFanOutEstimate = (now = () => performance.now()): FanOutEstimate =>
  new Estimate(now)

class Estimate implements FanOutEstimate {
  readonly #known: LRUCache<string, number>
  /** Resolve with whether those that come meanwhile may go together although nothing is known. */
  readonly #firsts = new Map<string, Promise<boolean>>()
  readonly #inRoom = createRoom()

  constructor(now: () => number) {
    this.#known = new LRUCache({
      max: TENANTS_MAX,
      ttl: KEPT_MS,
      ttlResolution: 0,
      perf: { now },
    })
  }

  async store(item: PublishItem, ways: Ways): Promise<Published> {
    if (this.#widthOf(item.tenant) !== null) return await this.#storeBy(ways, item, 'alone')
    const first = this.#firsts.get(item.tenant)
    if (!first) return await this.#storeFirst(item, ways)
    // Alone, not first: many of one tenant would meet there.
    const ifUnknown = (await this.#inRoom([item], () => first)) ? 'together' : 'alone'
    return await this.#storeBy(ways, item, ifUnknown)
  }

  #widthOf(tenant: string): number | null {
    return this.#known.get(tenant) ?? null
  }

  #learn(tenant: string, { deliveries }: Published): void {
    const before = (this.#widthOf(tenant) ?? 0) * KEPT_OF_EACH
    this.#known.set(tenant, Math.max(deliveries, before))
  }

  async #storeBy(ways: Ways, item: PublishItem, ifUnknown: keyof Ways): Promise<Published> {
    const published = await ways[this.#wayOf(item.tenant) ?? ifUnknown]()
    this.#learn(item.tenant, published)
    return published
  }

  #wayOf(tenant: string): keyof Ways | null {
    const width = this.#widthOf(tenant)
    if (width === null) return null
    return width <= NARROW_DELIVERIES_MAX ? 'together' : 'alone'
  }

  #storeFirst(item: PublishItem, ways: Ways): Promise<Published> {
    const first = this.#storeBy(ways, item, 'first')
    // Its own caller is told why it failed.
    const isOver = first
      .then(() => false, saysNothing)
      .finally(() => this.#firsts.delete(item.tenant))
    this.#firsts.set(item.tenant, isOver)
    return first
  }
}

/**
 * Whether it failed by no fault of its tenant: one that was refused or took too long may be followed by wide ones. To wait
 * alone for keys that somebody holds, one after another, would take too long.
 */
const saysNothing = (error: unknown): boolean =>
  isKeyBusy(error) ||
  !(error instanceof PublishRefused || (error instanceof Error && isTimeout(error.cause)))
