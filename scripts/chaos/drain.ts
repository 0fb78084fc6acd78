import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { patiently } from './patiently.ts'

const POLL_MS = 500

export interface Drained {
  /** Deliveries that were not final when nothing went on any more. */
  open: number
  /** Seconds that it took. */
  seconds: number
  /** Deliveries that had been put off as poison, and were made due as an operator does. */
  postponed: number
}

/**
 * Waits until every delivery is final and every attempt has ended.
 *
 * @param options.secondsMax without one more of them: how long all take together depends on the machine
 */
export async function drain(
  pool: Pool,
  { secondsMax, onProgress }: { secondsMax: number; onProgress(open: number): void },
): Promise<Drained> {
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  let postponed = 0
  let fewest = { count: Number.POSITIVE_INFINITY, at: 0 }
  for (;;) {
    postponed += await patiently(() => retryPostponed(pool))
    const { open, started } = await patiently(() => countUnfinished(pool))
    onProgress(open)
    const count = open + started
    if (count < fewest.count) fewest = { count, at: seconds() }
    if (count === 0 || seconds() - fewest.at > secondsMax) {
      return { open, seconds: Math.round(seconds()), postponed }
    }
    await delay(POLL_MS)
  }
}

/**
 * A delivery that is cancelled while it is sent is final at once. When its runner dies then, the reconciler ends
 * the attempt, a minute or two later.
 */
async function countUnfinished(pool: Pool): Promise<{ open: number; started: number }> {
  const { rows } = await pool.query<{ open: number; started: number }>(
    `select (select count(*)::int from postrider.delivery where finished_at is null) as open,
       (select count(*)::int from postrider.attempt where outcome = 'started') as started`,
  )
  return rows[0] ?? { open: 0, started: 0 }
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
