import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** A burst is noticed after a second; what it published until then keeps the priority of everybody. */
const INTERVAL_MS = 1_000

/** Samples who has how much due, every second, so that one tenant's burst waits behind the others. */
export function startFairness(deps: { pool: Pool; onError: (error: unknown) => void }): Recurring {
  return every(INTERVAL_MS, () => deps.pool.query('select postrider.share_queue()'), deps.onError)
}
