import { LRUCache } from 'lru-cache'

/** How long a revoked key may go on working in a process that has just seen it. */
const CACHED_MS_MAX = 5_000
/** More keys than one process sees in five seconds; about 2 MB. */
export const CACHED_KEYS_MAX = 10_000

export interface KeyCache<Found> {
  find(hash: Buffer): Promise<Found | null>
  /** Looks it up again from the next time on. */
  forget(hash: Buffer): void
}

/**
 * Remembers keys that were found for five seconds, and lets requests that ask for the same key at
 * the same time share one query. Those not found are forgotten at once, so that a flood of invented
 * keys cannot push out good ones.
 */
export function createKeyCache<Found>(
  find: (hash: Buffer) => Promise<Found | null>,
  now: () => number,
): KeyCache<Found> {
  const cache = new LRUCache<string, Promise<Found | null>>({
    max: CACHED_KEYS_MAX,
    ttl: CACHED_MS_MAX,
    ttlResolution: 0,
    perf: { now },
  })

  return {
    async find(hash) {
      const name = nameOf(hash)
      const cached = cache.get(name)
      if (cached) return cached

      // From the start of the query: what it reads may be revoked before its answer arrives.
      const found = find(hash)
      cache.set(name, found)
      const forget = () => void (cache.peek(name) === found && cache.delete(name))
      found.then((key) => key ?? forget(), forget)
      return found
    },
    forget: (hash) => void cache.delete(nameOf(hash)),
  }
}

const nameOf = (hash: Buffer): string => hash.toString('base64')
