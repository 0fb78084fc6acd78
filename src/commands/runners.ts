import type { Command } from 'commander'
import type { Pool } from 'pg'
import { assertSchema } from '../database/migrate.ts'
import { operate } from '../database/operate.ts'
import { createPool } from '../database/pool.ts'
import { findDatabase } from './connection.ts'
import type { CommandContext } from './context.ts'
import { renderTable } from './output.ts'
import { paintFor } from './paint.ts'

/** One pass over the jobs, millions of them included. */
const STATEMENT_MS_MAX = 60_000
const COLUMNS = ['id', 'state', 'host', 'pid', 'startedAt', 'silentSeconds', 'jobs']
const NO_DATA_FOUND = 'P0002'

export class RunnerNotFound extends Error {
  override readonly name = 'RunnerNotFound'
  readonly code = 'runner_not_found'
}

/** Lists runners and has one stop, by the database: a runner has no other address. */
export function addRunnersCommand(program: Command, context: CommandContext): void {
  const runners = program.command('runners').description('the processes that execute deliveries')

  runners
    .command('list')
    .description('list the runners of the last 7 days')
    .option('--json', 'print one JSON document')
    .action(async ({ json }: { json?: true }) => {
      const data = await onDatabase(context, listRunners)
      context.print(
        json ? `${JSON.stringify({ data })}\n` : renderTable(COLUMNS, data, paintFor(context)),
      )
    })

  runners
    .command('drain')
    .description('have a runner finish what it has and exit 0, as SIGTERM does')
    .argument('<id>', 'id of the runner')
    .option('--json', 'print one JSON document')
    .action(async (id: string, { json }: { json?: true }) => {
      const jobs = await onDatabase(context, (pool) => drain(pool, id))
      const text = `${id} stops within seconds; it holds ${jobs} jobs\n`
      context.print(json ? `${JSON.stringify({ id, jobs })}\n` : text)
    })
}

async function onDatabase<T>(context: CommandContext, work: (pool: Pool) => Promise<T>) {
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

async function listRunners(pool: Pool): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query(`
    select id, state, host, pid, started_at as "startedAt", seen_at as "seenAt",
      silent_s::float8 as "silentSeconds", jobs_locked::int as jobs,
      stopped_at as "stoppedAt", reaped_at as "reapedAt", drain_requested_at as "drainRequestedAt"
    from postrider.runner_health order by started_at desc`)
  return rows.map((row) => JSON.parse(JSON.stringify(row)))
}

/** @throws RunnerNotFound, OperationRefused */
async function drain(pool: Pool, id: string): Promise<number> {
  try {
    const { rows } = await operate(() =>
      pool.query<{ jobs: number }>('select postrider.drain_runner($1) as jobs', [id]),
    )
    return rows[0]?.jobs ?? 0
  } catch (error) {
    if ((error as { code?: unknown }).code !== NO_DATA_FOUND) throw error
    throw new RunnerNotFound(`there is no runner ${id}; see postrider runners list`, {
      cause: error,
    })
  }
}
