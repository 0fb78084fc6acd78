import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'

/** Soon enough for anyone who is called at night; a failure is counted when it happens, and shown then. */
const INTERVAL_MS = 2_000

/** Opens, updates and closes incidents; why a duty does it is said in sql/functions/incidents/keep_incidents.sql. */
export function startIncidentKeeper(deps: {
  pool: Pool
  onError: (error: unknown) => void
}): Recurring {
  return every(
    INTERVAL_MS,
    () => deps.pool.query('select postrider.keep_incidents()'),
    deps.onError,
  )
}
