import { z } from 'zod'
import type { EndpointId } from '../ids.ts'
import type { Redis } from '../redis/redis.ts'
import { withFallback } from '../redis/with-fallback.ts'
import { type Pace, type TakeSlot, takeFromRedis, takeInProcess } from './gcra.ts'

/** How much may go at once after a silence: a tenth of a second's worth, at least one. */
const BURST_SECONDS = 0.1
/** A slot is reserved so far ahead at most, so that what is cancelled leaves no long gap. */
const AHEAD_MS_MAX = 3_600_000
/** The queue looks for due jobs once a second; anyone who comes later than this has missed its slot. */
const LATE_MS_MAX = 10_000
/** Bounds of the arithmetic; a rate beyond them is as good as none. */
const INTERVAL_US_MIN = 1
const INTERVAL_US_MAX = 30 * 86_400_000_000

/** Stands in the payload of the job that waits for the slot. */
export const reservation = z.object({
  /** Milliseconds since 1970, by the clock of the runner that reserved. */
  at: z.number(),
  /** Of the rate that it was reserved at. */
  rateVersion: z.int().default(0),
})
export type Reservation = z.infer<typeof reservation>

/** `waitMs: 0` = send now. Otherwise come back then, with the reservation if there is one. */
export interface Slot {
  waitMs: number
  reservation: Reservation | null
}

interface Rate {
  ratePerSecond: number
  /** Another number with each change of the rate. */
  rateVersion: number
}

export interface RateLimiter {
  /**
   * Asks for the next free slot of an endpoint. Never rejects.
   *
   * @param reservation what the last answer for this delivery brought, once its time has come
   */
  reserve(endpointId: EndpointId, rate: Rate, reservation?: Reservation | null): Promise<Slot>
}

const NOW: Slot = { waitMs: 0, reservation: null }

interface RateLimiterOptions {
  redis: Redis
  now?: () => number
  random?: () => number
}

/**
 * Spreads the deliveries of an endpoint at its `ratePerSecond`, over all runners together.
 *
 * Over the limit the next free slot is reserved, and the caller snoozes its job once, until then. So of
 * 10,000 that wait each has its own slot, and there is no moment when all of them ask again.
 *
 * - Coming back with the reservation is enough: nothing is asked.
 * - Who comes back later than `LATE_MS_MAX`, say after an outage of all runners, has missed its slot and
 *   takes another from a row for the late. It is as fast as the first, so an endpoint sees up to twice its
 *   rate until they are through. One row for all would be exact, but then runners that are behind by
 *   more than that would send nothing any more: each delivery would be put at the end again and again.
 * - A reservation of another version of the rate is void, and each version has its own row: nobody waits for
 *   slots that were taken at the rate before. Who waits when it changes is planned again (delivery/replan.ts).
 * - What is reserved and not used (the delivery was cancelled) is lost.
 * - If the next slot is over `AHEAD_MS_MAX` ahead, none is reserved: ask again, in half of it or later.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { redis, now = Date.now, random = Math.random } = options
  const take = withFallback<Parameters<TakeSlot>, Awaited<ReturnType<TakeSlot>>>(
    redis,
    takeFromRedis(redis),
    takeInProcess(() => now() * 1000),
  )

  return {
    async reserve(endpointId, { ratePerSecond, rateVersion }, held = null) {
      const isHeld = held?.rateVersion === rateVersion
      if (isHeld && now() - held.at <= LATE_MS_MAX) return NOW

      const row = `${endpointId}:${rateVersion}${isHeld ? ':late' : ''}`
      const { waitMs, isTaken } = await take(row, paceOf(ratePerSecond))
      if (!isTaken) return { waitMs: askAgainInMs(random()), reservation: null }
      return waitMs === 0 ? NOW : { waitMs, reservation: { at: now() + waitMs, rateVersion } }
    },
  }
}

/** @example paceOf(50) // every 20 ms, five at once */
export function paceOf(ratePerSecond: number): Pace {
  const interval = Math.round(1_000_000 / ratePerSecond)
  const intervalUs = Math.min(Math.max(interval, INTERVAL_US_MIN), INTERVAL_US_MAX)
  const burst = Math.max(Math.floor(ratePerSecond * BURST_SECONDS), 1)
  return { intervalUs, toleranceUs: (burst - 1) * intervalUs, aheadUs: AHEAD_MS_MAX * 1000 }
}

function askAgainInMs(random: number): number {
  return Math.round((AHEAD_MS_MAX * (1 + random)) / 2)
}
