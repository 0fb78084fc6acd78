import type { Pool } from 'pg'
import type { DeliveryId, EndpointId } from '../ids.ts'
import type { RateLimiter, Slot } from '../limits/rate-limiter.ts'
import type { EndpointLimits } from './endpoint-limits.ts'
import type { Snoozed } from './snooze.ts'

/** One statement to find them, and three to move them. */
const BATCH = 500
const FIRST_ID = '00000000-0000-0000-0000-000000000000'
/** Between those that are due at once, so that the older stays before the newer. */
const STEP_MS = 0.001

export interface ReplanDependencies {
  pool: Pool
  rateLimiter: RateLimiter
  snooze(snoozed: Snoozed): Promise<void>
  /** As they are now. */
  limitsOf(endpointId: EndpointId): EndpointLimits | Promise<EndpointLimits>
}

interface PutOff {
  delivery_id: DeliveryId
  due_attempt: number
}

/**
 * Makes the replan step: plans what the limits of an endpoint have put off by its present limits, the oldest first.
 *
 * With a rate each takes the next slot, before any that comes later asks for one. Where the slots of the next hour
 * are taken, the others stay as they are, and ask when they come. Without one all are due at once, and what finds no
 * permit is put off again. What has become due since this began needs no planning: it was asked by these limits.
 *
 * Before that, what waits for a full batch is due when its endpoint says now; so is what waits for newer events, if it
 * `hastens`.
 */
export function createReplan({ pool, rateLimiter, snooze, limitsOf }: ReplanDependencies) {
  return async function replan(
    endpointId: EndpointId,
    hastens: boolean,
    signal?: AbortSignal,
  ): Promise<number> {
    await pool.query('select postrider.replan_waits($1, $2)', [endpointId, hastens])
    const limits = await limitsOf(endpointId)
    const before = await newestId(pool)
    let planned = 0
    for (let after = FIRST_ID; ; ) {
      signal?.throwIfAborted()
      const batch = await findPutOff(pool, [endpointId, after, before, BATCH])
      const plan = await planOf(rateLimiter, endpointId, limits, batch)
      await Promise.all(plan.map((one) => snooze({ ...one, endpointId, limits, isInHand: false })))
      planned += plan.length
      const last = batch.at(-1)
      if (!last || plan.length < batch.length) return planned
      after = last.delivery_id
    }
  }
}

/** As many of the batch as there are slots for. */
async function planOf(
  rateLimiter: RateLimiter,
  endpointId: EndpointId,
  { ratePerSecond, rateVersion }: EndpointLimits,
  batch: readonly PutOff[],
): Promise<(Pick<Snoozed, 'wakeUp'> & Slot)[]> {
  const wakeUps = batch.map(({ delivery_id, due_attempt }) => ({
    deliveryId: delivery_id,
    dueAttempt: due_attempt,
  }))
  if (ratePerSecond === null) {
    return wakeUps.map((wakeUp, nth) => ({ wakeUp, waitMs: nth * STEP_MS, reservation: null }))
  }
  const plan = []
  for (const wakeUp of wakeUps) {
    const { waitMs, reservation } = await rateLimiter.reserve(endpointId, {
      ratePerSecond,
      rateVersion,
    })
    if (waitMs > 0 && !reservation) break
    // The slot of one that may be sent at once is taken as well: it is not to ask for another.
    plan.push({ wakeUp, waitMs, reservation: reservation ?? { at: Date.now(), rateVersion } })
  }
  return plan
}

async function newestId(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ id: string }>('select postrider.uuidv7() as id')
  return rows[0]?.id ?? FIRST_ID
}

async function findPutOff(pool: Pool, values: unknown[]): Promise<PutOff[]> {
  const { rows } = await pool.query<PutOff>(
    'select delivery_id, due_attempt from postrider.put_off($1, $2, $3, $4)',
    values,
  )
  return rows
}
