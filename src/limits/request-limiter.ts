import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { ApiKeyId, PortalLinkId } from '../ids.ts'
import type { Redis, ScriptArguments } from './redis.ts'

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
}

export interface RequestLimiter {
  /**
   * Counts a request of an API key, or of the bootstrap admin key. Never rejects.
   *
   * Only for keys that were found to exist: without Redis each takes memory until its window ends.
   */
  consume(keyId: ApiKeyId | PortalLinkId | 'admin'): Promise<Consumed>
}

export interface AttemptLimiter {
  /** Counts an attempt of somebody who is known by this name, such as an address. Never rejects. */
  consume(name: string): Promise<Consumed>
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
  return createLimiter({ ...options, keyPrefix: 'postrider:requests' })
}

/** Limits how often the same address tries to sign in, over all API processes. */
export function createSignInLimiter(options: {
  redis: Redis
  limit: number
  windowSeconds: number
}): AttemptLimiter {
  return createLimiter({ ...options, keyPrefix: 'postrider:sign-ins' })
}

function createLimiter(options: {
  redis: Redis
  limit: number
  windowSeconds: number
  keyPrefix: string
}): AttemptLimiter {
  const { redis, limit, windowSeconds, keyPrefix } = options
  const policy = { points: limit, duration: windowSeconds, keyPrefix }
  const inProcess = new RateLimiterMemory(policy)
  const limiter = redis.state === 'off' ? inProcess : shared(redis, policy, inProcess)

  return {
    async consume(name) {
      const { allowed, left } = await outcomeOf(limiter.consume(name))
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
    // Who is over the limit is refused from memory; a client in a loop then costs Redis nothing.
    inMemoryBlockOnConsumed: policy.points + 1,
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
