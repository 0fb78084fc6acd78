import { type Redis, RedisAway } from './redis.ts'

/**
 * Calls `primary`, and `fallback` while Redis is away or when it turns out to be.
 *
 * With Redis away each process limits by itself, so N processes together let through up to N times
 * the limit. Refusing everything instead would turn a cache outage into a delivery outage.
 */
export function withFallback<Arguments extends unknown[], Result>(
  redis: Redis,
  primary: (...args: Arguments) => Promise<Result>,
  fallback: (...args: Arguments) => Promise<Result> | Result,
): (...args: Arguments) => Promise<Result> {
  return async (...args) => {
    // Known beforehand, so that no error has to be made: half a microsecond instead of six.
    if (redis.state !== 'ok') return fallback(...args)
    try {
      return await primary(...args)
    } catch (error) {
      if (error instanceof RedisAway) return fallback(...args)
      throw error
    }
  }
}
