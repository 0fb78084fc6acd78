import type { Context } from 'hono'
import { type Caller, countedAs } from '../access/caller.ts'
import type { Consumed, RequestLimiter } from '../limits/request-limiter.ts'
import { Problem } from '../problem.ts'

/** Lets a caller in, or refuses; comes once the key is known and before its scopes are looked at. */
export type Admit = (c: Context, caller: Caller) => Promise<void>

/** Of the one policy there is. */
const POLICY = '"default"'

/**
 * Counts the requests of each key, and says on every answer what is left (`RateLimit` and
 * `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers). Requests without a valid key count for
 * nobody: there would be no end of names to count under.
 *
 * @param limiter null = no limit, and no headers
 */
export function createAdmit(limiter: RequestLimiter | null): Admit {
  if (!limiter) return async () => undefined
  return async (c, caller) => {
    const consumed = await limiter.consume(countedAs(caller))
    for (const [name, value] of Object.entries(headersOf(consumed))) c.header(name, value)
    if (!consumed.allowed) throw rateLimited(consumed)
  }
}

function headersOf({ limit, windowSeconds, remaining, resetSeconds }: Consumed) {
  return {
    'RateLimit-Policy': `${POLICY};q=${limit};w=${windowSeconds}`,
    RateLimit: `${POLICY};r=${remaining};t=${resetSeconds}`,
  }
}

function rateLimited({ limit, windowSeconds, retryAfterSeconds }: Consumed): Problem {
  const window = windowSeconds === 1 ? 'second' : `${windowSeconds} seconds`
  return new Problem('rate_limited', {
    detail: `At most ${limit} requests per ${window} with one API key.`,
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
}
