import { createHash } from 'node:crypto'
import { z } from 'zod'
import { eventId } from '../ids.ts'
import type { Expiration, Redis } from '../redis/redis.ts'

/** A producer repeats within minutes, if at all; each entry costs Redis about 270 bytes until then. */
const KEPT_SECONDS = 3_600
/** As long as Postgres remembers a key; past that, a repeat is a new event. */
const KEPT_SECONDS_MAX = 7 * 86_400

const remembered = z.object({ eventId, requestHash: z.string() })
type Remembered = z.infer<typeof remembered>

export interface DedupCache {
  /**
   * What was published under this idempotency key of late; `null` = not known, which says nothing.
   *
   * Confirm a hit by the primary key of the event and its time before you rely on it: Redis may remember
   * what Postgres lost in a failover.
   */
  get(tenantKey: string, idempotencyKey: string): Promise<Remembered | null>
  /** To be called once Postgres has the event. Replaces what was remembered. Never rejects. */
  remember(tenantKey: string, idempotencyKey: string, entry: Remembered): Promise<void>
}

/**
 * Recent idempotency keys in Redis: a shortcut before the unique index, never instead of it. Without Redis
 * nothing is remembered, and every publish takes the long way.
 */
export function createDedupCache(options: { redis: Redis; keptSeconds?: number }): DedupCache {
  const { redis, keptSeconds = KEPT_SECONDS } = options
  const keptMs = Math.min(keptSeconds, KEPT_SECONDS_MAX) * 1000
  const expiration: Expiration = { type: 'PX', value: keptMs }

  return {
    get(tenantKey, idempotencyKey) {
      if (redis.state !== 'ok') return Promise.resolve(null)
      const key = keyOf(tenantKey, idempotencyKey)
      return redis.ask((commands) => commands.get(key)).then(read, () => null)
    },
    async remember(tenantKey, idempotencyKey, entry) {
      if (redis.state !== 'ok') return
      const key = keyOf(tenantKey, idempotencyKey)
      const value = JSON.stringify(entry)
      await redis.ask((commands) => commands.set(key, value, { expiration })).catch(() => undefined)
    },
  }
}

/** Of one length whatever the producer sends. JSON, as no character is forbidden in either part. */
function keyOf(tenantKey: string, idempotencyKey: string): string {
  const text = JSON.stringify([tenantKey, idempotencyKey])
  return `postrider:seen:${createHash('sha256').update(text).digest('base64url')}`
}

/** Another version of the program may have written it. */
function read(text: string | null): Remembered | null {
  if (text === null) return null
  try {
    return remembered.parse(JSON.parse(text))
  } catch {
    return null
  }
}
