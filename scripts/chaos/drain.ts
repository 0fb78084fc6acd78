import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { patiently } from './patiently.ts'

const POLL_MS = 500

export interface Drained {
  /** Deliveries that were not final when the time was up. */
  open: number
  /** Seconds that it took. */
  seconds: number
  /** Deliveries that had been put off as poison, and were made due as an operator does. */
  postponed: number
}

/** Waits until every delivery is final, for `secondsMax` at most. */
export async function drain(
  pool: Pool,
  { secondsMax, onProgress }: { secondsMax: number; onProgress(open: number): void },
): Promise<Drained> {
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  let postponed = 0
  for (;;) {
    postponed += await patiently(() => retryPostponed(pool))
    const open = await patiently(() => countOpen(pool))
    onProgress(open)
    if (open === 0 || seconds() > secondsMax) {
      return { open, seconds: Math.round(seconds()), postponed }
    }
    await delay(POLL_MS)
  }
}

async function countOpen(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ open: number }>(
    'select count(*)::int as open from postrider.delivery where finished_at is null',
  )
  return rows[0]?.open ?? 0
}

/** Cut off three times in a row, so put off by ten minutes: here it was not the payload that killed. */
async function retryPostponed(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `select postrider.retry_now(id, 'chaos') from postrider.delivery
     where finished_at is null and state = 'pending' and abandoned_count >= 3
       and next_attempt_at > now() + interval '1 minute'`,
  )
  return rowCount ?? 0
}
