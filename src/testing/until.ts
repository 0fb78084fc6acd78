import type { Pool } from 'pg'

/**
 * Resolves once a question to the database, with one column `holds`, is answered with true.
 *
 * Tables have no way of telling that they have changed, so it asks again, fifty times a second at most
 * lest it takes the processor from what is tested. The time limit of the test bounds it.
 *
 * @example
 * await untilHolds(pool, 'select count(*) = 3 as holds from postrider.event where tenant_id = $1', [id])
 */
export async function untilHolds(
  pool: Pool,
  question: string,
  values: unknown[] = [],
): Promise<void> {
  const asked = `select asked.holds, pg_sleep(0.02) from (${question}) as asked`
  for (;;) {
    const { rows } = await pool.query<{ holds: boolean }>(asked, values)
    if (rows[0]?.holds) return
  }
}
