import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { ApiKeyId, PortalLinkId } from '../ids.ts'
import type { Redis, ScriptArguments } from '../redis/redis.ts'

/** What a request was told, in the terms of the `RateLimit` and `Retry-After` headers. */
export interface Consumed {
  allowed: boolean
  /** Requests in a window: `q` of `RateLimit-Policy`. */
  limit: number
  /** `w` of `RateLimit-Policy`. */
  windowSeconds: number
  /** `r` of `RateLimit`. */
  remaining: number
  /** Until the window ends and all are available again: `t` of `RateLimit`. */
  resetSeconds: number
  /** `Retry-After`; `null` when the request was allowed. */
  retryAfterSeconds: number | null
}

interface Policy {
  points: number
  /** Seconds. */
  duration: number
  keyPrefix: string
  inMemoryBlockOnConsumed: number
}

export interface RequestLimiter {
  /**
   * Counts a request of an API key, or of the bootstrap admin key. Never rejects.
   *
   * Only for keys that were found to exist: without Redis each takes memory until its window ends.
   */
  consume(keyId: ApiKeyId | PortalLinkId | 'admin'): Promise<Consumed>
}

export interface FailureLimiter {
  /** Seconds until somebody who is known by this name may try again; null = now. Counts nothing. Never rejects. */
  secondsToWait(name: string): Promise<number | null>
  /** They were wrong. Never rejects. */
  count(name: string): Promise<void>
}

/**
 * Limits the requests of each API key, over all API processes: `limit` in a window that begins with the
 * key's first request. While Redis is away, each process allows that many.
 */
export function createRequestLimiter(options: {
  redis: Redis
  limit: number
  windowSeconds: number
}): RequestLimiter {
  const { limit } = options
  const limiter = createLimiter({
    ...options,
    keyPrefix: 'postrider:requests',
    // Who is over the limit is refused from memory; a client in a loop then costs Redis nothing.
    inMemoryBlockOnConsumed: limit + 1,
  })
  return { consume: (keyId) => limiter.consume(keyId) }
}

interface FailureLimiterOptions {
  redis: Redis
  limit: number
  windowSeconds: number
  what: string
}

/**
 * Limits how often somebody may be wrong, such as with a key, over all API processes: after `limit` mistakes in a
 * window that begins with the first, they wait until it ends.
 *
 * @param options.what the mistakes are, for the names in Redis
 */
export function createFailureLimiter(options: FailureLimiterOptions): FailureLimiter {
  const { what, limit } = options
  const limiter = createLimiter({
    ...options,
    keyPrefix: `postrider:${what}`,
    // Asking is counted as nothing, so who has reached the limit is never above it.
    inMemoryBlockOnConsumed: limit,
  })
  return {
    async secondsToWait(name) {
      const { remaining, resetSeconds } = await limiter.consume(name, 0)
      return remaining > 0 ? null : resetSeconds
    },
    count: async (name) => void (await limiter.consume(name)),
  }
}

interface LimiterOptions {
  redis: Redis
  limit: number
  windowSeconds: number
  keyPrefix: string
  inMemoryBlockOnConsumed: number
}

function createLimiter(options: LimiterOptions) {
  const { redis, limit, windowSeconds, keyPrefix, inMemoryBlockOnConsumed } = options
  const policy = { points: limit, duration: windowSeconds, keyPrefix, inMemoryBlockOnConsumed }
  const inProcess = new RateLimiterMemory(policy)
  const limiter = redis.state === 'off' ? inProcess : shared(redis, policy, inProcess)

  return {
    async consume(name: string, points = 1): Promise<Consumed> {
      const { allowed, left } = await outcomeOf(limiter.consume(name, points))
      const resetSeconds = Math.max(Math.ceil(left.msBeforeNext / 1000), 1)
      const remaining = allowed ? left.remainingPoints : 0
      const retryAfterSeconds = allowed ? null : resetSeconds
      return { allowed, limit, windowSeconds, remaining, resetSeconds, retryAfterSeconds }
    },
  }
}

function shared(redis: Redis, policy: Policy, insuranceLimiter: RateLimiterMemory) {
  return new RateLimiterRedis({
    ...policy,
    storeClient: storeOn(redis),
    useRedisPackage: true,
    insuranceLimiter,
  })
}

/** The limiter rejects with its figures when the limit is reached. */
async function outcomeOf(consumed: Promise<RateLimiterRes>) {
  try {
    return { allowed: true, left: await consumed }
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error
    return { allowed: false, left: error }
  }
}

/** All that the limiter asks of its Redis client, through our timeout and circuit. */
function storeOn(redis: Redis) {
  return {
    eval: (script: string, given: ScriptArguments) =>
      redis.ask((commands) => commands.eval(script, given)),
  }
}
