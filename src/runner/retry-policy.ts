/** ±10 %: spreads the deliveries that one outage failed together, without surprising anyone. */
export const DEFAULT_RETRY_JITTER = 0.1
/** A day, the longest delay of the default RETRY_SCHEDULE: nobody can park our queue for longer than we would. */
export const RETRY_AFTER_SECONDS_MAX = 86_400

export interface RetrySchedule {
  /** Seconds before the 2nd, 3rd, … attempt. */
  delaysSeconds: readonly number[]
  /** Part of a delay that chance may add or take, 0 to 1. */
  jitter: number
  retryAfterMaxSeconds: number
}

/**
 * Seconds until the next attempt, or `null` once the schedule is used up. Between
 * `delay × (1 − jitter)` and `delay × (1 + jitter)`, not rounded.
 *
 * `Retry-After` may stretch a delay up to `retryAfterMaxSeconds`, so that a receiver can ask for
 * air without being able to park our queue for a week. It never shortens one, and never adds an
 * attempt after the last.
 *
 * @param step 1 after the first attempt since the delivery was opened or reopened
 * @param chance.random 0 ≤ random < 1, as of `Math.random`
 * @example
 * const schedule = { delaysSeconds: [5, 300], jitter: 0, retryAfterMaxSeconds: 3600 }
 * nextDelaySeconds(schedule, 2, { random: 0 }) // 300
 */
export function nextDelaySeconds(
  schedule: RetrySchedule,
  step: number,
  { random, retryAfterSeconds = null }: { random: number; retryAfterSeconds?: number | null },
): number | null {
  const base = schedule.delaysSeconds[step - 1]
  if (base === undefined) return null

  const jittered = base * (1 + schedule.jitter * (2 * random - 1))
  return Math.max(jittered, Math.min(retryAfterSeconds ?? 0, schedule.retryAfterMaxSeconds))
}
