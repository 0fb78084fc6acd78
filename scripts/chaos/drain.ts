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
 * Waits until every delivery is final, every attempt has ended, and no job is locked.
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
    const { open, started, locked } = await patiently(() => countUnfinished(pool))
    onProgress(open)
    const count = open + started + locked
    if (count < fewest.count) fewest = { count, at: seconds() }
    if (count === 0 || seconds() - fewest.at > secondsMax) {
      return { open, seconds: Math.round(seconds()), postponed }
    }
    await delay(POLL_MS)
  }
}

interface Unfinished {
  /** Deliveries. */
  open: number
  /** Attempts. */
  started: number
  /** Jobs. */
  locked: number
}

/**
 * A delivery that is cancelled while it is sent is final at once. When its runner dies then, the reconciler ends
 * the attempt, a minute or two later. Its job stays locked until the runner has been found dead, some seconds later.
 */
async function countUnfinished(pool: Pool): Promise<Unfinished> {
  const { rows } = await pool.query<Unfinished>(
    `select (select count(*)::int from postrider.delivery where finished_at is null) as open,
       (select count(*)::int from postrider.attempt where outcome = 'started') as started,
       (select count(*)::int from graphile_worker.jobs where locked_at is not null) as locked`,
  )
  return rows[0] ?? { open: 0, started: 0, locked: 0 }
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
