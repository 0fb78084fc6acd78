import type { Pool } from 'pg'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { operate } from '../postgres/operate.ts'
import { retryConflicts } from '../postgres/outage.ts'
import { createPool } from '../postgres/pool.ts'
import { findDatabase } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'

/** One pass over the jobs, millions of them included. */
const STATEMENT_MS_MAX = 60_000
const NO_DATA_FOUND = 'P0002'

export class RunnerNotFound extends Error {
  override readonly name = 'RunnerNotFound'
  readonly code = 'runner_not_found'
}

/** Runs statements of an operator on the database that the command finds. */
export async function onDatabase<T>(
  context: CommandContext,
  work: (pool: Pool) => Promise<T>,
): Promise<T> {
  const { databaseUrl } = await findDatabase(context)
  const pool = createPool({
    connectionString: databaseUrl,
    max: 1,
    applicationName: 'postrider runners',
    statementTimeoutMs: STATEMENT_MS_MAX,
  })
  try {
    await assertSchema(pool)
    return await work(pool)
  } finally {
    await pool.end()
  }
}

/** Newest first. */
export async function listRunners(pool: Pool): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query(`
    select id, state, host, pid, started_at as "startedAt", seen_at as "seenAt",
      silent_s::float8 as "silentSeconds", jobs_locked::int as jobs,
      stopped_at as "stoppedAt", reaped_at as "reapedAt", drain_requested_at as "drainRequestedAt"
    from postrider.runner_health order by started_at desc`)
  return rows.map((row) => JSON.parse(JSON.stringify(row)))
}

/** @throws RunnerNotFound, OperationRefused */
export async function drainRunner(pool: Pool, id: string): Promise<number> {
  try {
    const drain = () =>
      pool.query<{ jobs: number }>('select postrider.drain_runner($1) as jobs', [id])
    const { rows } = await operate(() => retryConflicts(drain))
    return rows[0]?.jobs ?? 0
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_DATA_FOUND) throw error
    throw new RunnerNotFound(`there is no runner ${id}; see postrider runners list`, {
      cause: error,
    })
  }
}
