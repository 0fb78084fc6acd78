import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** A burst is noticed after a second; what it published until then stands in the line. */
const INTERVAL_MS = 1_000

/** Keeps the order of the queue every second, so that one tenant's burst waits behind the others. */
export function startFairness(deps: { pool: Pool; onError: (error: unknown) => void }): Recurring {
  return every(INTERVAL_MS, () => deps.pool.query('select postrider.share_queue()'), deps.onError)
}
