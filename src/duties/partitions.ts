import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** Partitions are made 40 days ahead, so that a service may miss this for weeks; hourly costs nothing. */
const INTERVAL_MS = 3_600_000

/**
 * Makes partitions ahead, now and every hour, for as long as it runs. Every runner does: whichever is alive
 * makes them, one at a time does (the duty `partitions`), and there is nothing to do but once a day.
 */
export function startPartitionKeeper(deps: {
  pool: Pool
  onError: (error: unknown) => void
}): Recurring {
  return every(
    INTERVAL_MS,
    () => deps.pool.query('select postrider.create_partitions()'),
    deps.onError,
  )
}
