import { LRUCache } from 'lru-cache'
import { FairSemaphore, TooManyAtOnce } from '../limits/fair-semaphore.ts'
import { createFailureLimiter, type FailureLimiter } from '../limits/request-limiter.ts'
import type { Redis } from '../redis/redis.ts'
import { hashApiKey } from './caller.ts'
import { networkOf } from './client-address.ts'

/** Keys that were found right are not held up for so long, whatever other requests come from the same place. */
const KNOWN_MS_MAX = 3_600_000
/** About 2 MB. */
const KNOWN_MAX = 10_000
const WINDOW_SECONDS = 60
/** A program that has a wrong key, and tries again each second. */
const WRONG_OF_CLIENT_MAX = 60
/** Of all clients together: a hundred index probes a second, which nobody notices. */
const WRONG_IN_ALL_MAX = 6_000
/** Before it is known that they are wrong, so few are looked up at once; a probe takes a millisecond. */
const LOOK_UPS = {
  ...{ atOnce: 4, atOncePerKey: 2 },
  ...{ waiting: 2_000, waitingPerKey: 500, waitMs: 2_000 },
}
/** All clients as one name. */
const EVERYBODY = 'everybody'

/** Too many keys were wrong, of one client or in all. */
export class TooManyWrongKeys extends Error {
  override readonly name = 'TooManyWrongKeys'
  readonly code = 'too_many_wrong_keys'
  readonly retryAfterSeconds: number
  constructor(retryAfterSeconds: number, options?: ErrorOptions) {
    super('too many wrong keys; keys that worked within the last hour are still accepted', options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/**
 * Stands between strangers and whatever finds out whether a key, link or cookie is right: holds up clients that show
 * wrong keys. They are counted for each client, an IPv6 network as one, and for all together. Anyone who shares the
 * address of such a client (a proxy that is not among `TRUSTED_PROXIES`, an office) is not shut out with a key that
 * has been right in this process within the last hour; others wait.
 */
export class KeyGuard {
  readonly #clients: FailureLimiter
  readonly #all: FailureLimiter
  readonly #known: ReturnType<typeof createKnown>
  readonly #lookUps = new FairSemaphore(LOOK_UPS)
  readonly #underWay = new Map<string, Promise<void>>()

  /**
   * @param options.known SHA-256 of keys that are compared here and cost no look-up
   * @param options.limits for tests
   */
  constructor(options: {
    redis: Redis
    known?: readonly Buffer[]
    limits?: { ofClient?: number; inAll?: number; what?: string }
    now?: () => number
  }) {
    const { redis, known = [], limits = {}, now = Date.now } = options
    const { ofClient = WRONG_OF_CLIENT_MAX, inAll = WRONG_IN_ALL_MAX, what = 'wrong-keys' } = limits
    const window = { redis, windowSeconds: WINDOW_SECONDS, what }
    this.#clients = createFailureLimiter({ ...window, limit: ofClient })
    this.#all = createFailureLimiter({ ...window, limit: inAll })
    this.#known = createKnown(new Set(known.map(nameOf)), now)
  }

  /**
   * What `find` finds by the key, unless there were too many wrong ones before.
   *
   * @param address the client's
   * @param find null = it is wrong
   * @throws TooManyWrongKeys
   */
  async find<T>(address: string, key: string, find: () => Promise<T | null>): Promise<T | null> {
    const name = nameOf(hashApiKey(key))
    // Requests that come together with a key that is new here let the first of them find out. Once: with a wrong
    // one they would wake each other without an end.
    const twin = this.#underWay.get(name)
    if (twin && !this.#known.has(name)) await twin
    if (this.#known.has(name)) return this.#known.note(name, await find())
    const trying = this.#tryOut(networkOf(address), name, find)
    if (!this.#underWay.has(name)) this.#noteUnderWay(name, trying)
    return await trying
  }

  /** Looks a key up that may be wrong. */
  async #tryOut<T>(client: string, name: string, find: () => Promise<T | null>) {
    await this.#refuseTooMany(client)
    const release = await permitOf(this.#lookUps.acquire({ key: client }))
    try {
      // Of those who have waited, others were wrong meanwhile.
      await this.#refuseTooMany(client)
      const found = this.#known.note(name, await find())
      if (found === null) {
        await Promise.all([this.#all.count(EVERYBODY), this.#clients.count(client)])
      }
      return found
    } finally {
      release()
    }
  }

  #noteUnderWay(name: string, trying: Promise<unknown>): void {
    const forget = () => void this.#underWay.delete(name)
    this.#underWay.set(name, trying.then(forget, forget))
  }

  async #refuseTooMany(client: string): Promise<void> {
    await refuseIfOver(this.#all, EVERYBODY)
    await refuseIfOver(this.#clients, client)
  }
}

async function refuseIfOver(limiter: FailureLimiter, name: string): Promise<void> {
  const seconds = await limiter.secondsToWait(name)
  if (seconds) throw new TooManyWrongKeys(seconds)
}

async function permitOf(taking: Promise<() => void>): Promise<() => void> {
  try {
    return await taking
  } catch (error) {
    if (error instanceof TooManyAtOnce)
      throw new TooManyWrongKeys(error.retryAfterSeconds, { cause: error })
    throw error
  }
}

/** Keys that were right. */
function createKnown(always: ReadonlySet<string>, now: () => number) {
  const lately = new LRUCache<string, true>({
    max: KNOWN_MAX,
    ttl: KNOWN_MS_MAX,
    ttlResolution: 0,
    perf: { now },
  })
  return {
    has: (name: string): boolean => always.has(name) || lately.has(name),
    /** Remembers what was found, or forgets what was not; answers it. */
    note<T>(name: string, found: T | null): T | null {
      if (found === null) lately.delete(name)
      else if (!always.has(name)) lately.set(name, true)
      return found
    },
  }
}

const nameOf = (hash: Buffer): string => hash.toString('base64')
