import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** What is acknowledged between a change and the look at it is judged by what was before. */
const INTERVAL_MS = 1_000

/** Remembers on which timeline the server is, and whether commits wait for a standby, for `postrider doctor`. */
export function startTimeline(deps: { pool: Pool; onError: (error: unknown) => void }): Recurring {
  return every(INTERVAL_MS, () => deps.pool.query('select postrider.note_timeline()'), deps.onError)
}
