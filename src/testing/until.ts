import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'

/** Between two questions: they come soon enough, and leave the processor to what is tested. */
const PAUSE_MS = 20

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
  const asked = `select asked.holds, pg_sleep(${PAUSE_MS / 1000}) from (${question}) as asked`
  for (;;) {
    const { rows } = await pool.query<{ holds: boolean }>(asked, values)
    if (rows[0]?.holds) return
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
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    await delay(PAUSE_MS)
  }
}
