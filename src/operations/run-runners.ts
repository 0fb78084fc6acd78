import type { Pool } from 'pg'
import { operate } from '../postgres/operate.ts'
import { retryConflicts } from '../postgres/outage.ts'
import { findDatabase } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'
import { onDatabase } from '../terminal/database.ts'

const SESSION = {
  applicationName: 'postrider runners',
  // One pass over the jobs, millions of them included.
  statementTimeoutMs: 60_000,
}
const NO_DATA_FOUND = 'P0002'

class RunnerNotFound extends Error {
  override readonly name = 'RunnerNotFound'
  readonly code = 'runner_not_found'
}

/** On the database that the command finds. */
export async function operateRunners<T>(
  context: CommandContext,
  work: (pool: Pool) => Promise<T>,
): Promise<T> {
  return await onDatabase({ ...(await findDatabase(context)), ...SESSION }, work)
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
