import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** Until then each fetch of a queue that has filled may take a second. */
const INTERVAL_MS = 1_000

/** Tells the planner, every second, when the queue is no longer as the last vacuum found it. */
export function startQueueStatistics(deps: {
  pool: Pool
  onError: (error: unknown) => void
}): Recurring {
  return every(INTERVAL_MS, () => deps.pool.query('select postrider.analyze_queue()'), deps.onError)
}
