import { LRUCache } from 'lru-cache'
import { FairSemaphore, TooManyAtOnce } from '../limits/fair-semaphore.ts'
import { createMistakeLimiter, type MistakeLimiter } from '../limits/request-limiter.ts'
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
/** Before it is known that they are wrong, they have so few turns; a probe takes a millisecond. */
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
    super('too many keys were wrong; one that worked here within the last hour still does', options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** Stands between strangers and whatever finds out whether a key, link or cookie is right. */
export interface KeyGuard {
  /**
   * What `find` finds by the key, unless there were too many wrong ones before.
   *
   * @param client address it came from
   * @param find null = it is wrong
   * @throws TooManyWrongKeys
   */
  find<T>(client: string, key: string, find: () => Promise<T | null>): Promise<T | null>
}

/**
 * Holds up clients that show wrong keys. They are counted for each client, an IPv6 network as one, and for all
 * together. Anyone who shares the address of such a client (a proxy that is not among `TRUSTED_PROXIES`, an office)
 * is not shut out with a key that has been right in this process within the last hour; others wait.
 *
 * @param options.known SHA-256 of keys that are compared here and cost no look-up
 * @param options.limits for tests
 */
export function createKeyGuard(options: {
  redis: Redis
  known?: readonly Buffer[]
  limits?: { ofClient?: number; inAll?: number; what?: string }
  now?: () => number
}): KeyGuard {
  const { redis, known: always = [], now = Date.now } = options
  const { ofClient = WRONG_OF_CLIENT_MAX, inAll = WRONG_IN_ALL_MAX } = options.limits ?? {}
  const { what = 'wrong-keys' } = options.limits ?? {}
  const window = { redis, windowSeconds: WINDOW_SECONDS, what }
  const [clients, all] = [ofClient, inAll].map((limit) =>
    createMistakeLimiter({ ...window, limit }),
  )
  const known = createKnown(new Set(always.map(nameOf)), now)
  const lookUps = new FairSemaphore(LOOK_UPS)

  const refuseTooMany = async (client: string) => {
    await refuseIfOver(all, EVERYBODY)
    await refuseIfOver(clients, client)
  }
  const count = (client: string) => Promise.all([all?.count(EVERYBODY), clients?.count(client)])

  /** Looks a key up that may be wrong. */
  const tryOut = async <T>(client: string, name: string, find: () => Promise<T | null>) => {
    await refuseTooMany(client)
    const release = await permitOf(lookUps.acquire({ key: client }))
    try {
      // Of those who have waited, others were wrong meanwhile.
      await refuseTooMany(client)
      const found = known.note(name, await find())
      if (found === null) await count(client)
      return found
    } finally {
      release()
    }
  }
  const underWay = new Map<string, Promise<void>>()
  const noteUnderWay = (name: string, trying: Promise<unknown>) => {
    const forget = () => void underWay.delete(name)
    underWay.set(name, trying.then(forget, forget))
  }

  return {
    async find(address, key, find) {
      const name = nameOf(hashApiKey(key))
      // Requests that come together with a key that is new here let the first of them find out. Once: with a wrong
      // one they would wake each other without an end.
      if (!known.has(name) && underWay.has(name)) await underWay.get(name)
      if (known.has(name)) return known.note(name, await find())
      const trying = tryOut(networkOf(address), name, find)
      if (!underWay.has(name)) noteUnderWay(name, trying)
      return await trying
    },
  }
}

async function refuseIfOver(limiter: MistakeLimiter | undefined, name: string): Promise<void> {
  const seconds = await limiter?.secondsToWait(name)
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
