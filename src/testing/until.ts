import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'

/** Between two questions: soon at first, then less often, which leaves the processor to what is tested. */
const FIRST_PAUSE_MS = 10
const PAUSE_MS_MAX = 100

function* pauses(): Generator<number, never> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) yield Math.min(pauseMs, PAUSE_MS_MAX)
}

/**
 * Resolves once a question to the database, with one column `holds`, is answered with true.
 *
 * Tables have no way of telling that they have changed, so it asks again after a pause. The time limit of the test bounds it.
 *
 * @example
 * await untilHolds(pool, 'select count(*) = 3 as holds from postrider.event where tenant_id = $1', [id])
 */
export async function untilHolds(
  pool: Pool,
  question: string,
  values: unknown[] = [],
): Promise<void> {
  for (const pauseMs of pauses()) {
    const { rows } = await pool.query<{ holds: boolean }>(question, values)
    if (rows[0]?.holds) return
    await delay(pauseMs)
  }
}

/**
 * Resolves with the first answer that is the wanted one.
 *
 * For what tells nobody when it changes, such as a probe; where a service says a line or closes a connection,
 * wait for that. The time limit of the test bounds it.
 *
 * @example
 * await untilAnswer(() => fetch(`${api.url}/ready`), ({ status }) => status === 200)
 */
export async function untilAnswer<Answer>(
  ask: () => Promise<Answer>,
  isWanted: (answer: Answer) => boolean,
): Promise<Answer> {
  const pause = pauses()
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await delay(pause.next().value)
  }
}
