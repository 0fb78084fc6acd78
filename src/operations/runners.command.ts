import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { renderTable } from '../terminal/output.ts'
import { paintFor } from '../terminal/paint.ts'

const COLUMNS = ['id', 'state', 'host', 'pid', 'startedAt', 'silentSeconds', 'jobs']

/** Lists runners and has one stop, by the database: a runner has no other address. */
export function addRunnersCommand(program: Command, context: CommandContext): void {
  const runners = program.command('runners').description('list and drain runners')
  runners
    .command('list')
    .description('list the runners of the last 7 days')
    .option('--json', 'print one JSON document')
    .action(({ json }: { json?: true }) => list(context, json))
  runners
    .command('drain')
    .description('let a runner finish its deliveries and exit 0, as SIGTERM does')
    .argument('<id>', 'id of the runner')
    .option('--json', 'print one JSON document')
    .action((id: string, { json }: { json?: true }) => drain(context, id, json))
}

async function list(context: CommandContext, json: true | undefined): Promise<void> {
  const { operateRunners, listRunners } = await import('./run-runners.ts')
  const data = await operateRunners(context, listRunners)
  const table = () => renderTable(COLUMNS, data, paintFor(context))
  context.print(json ? `${JSON.stringify({ data })}\n` : table())
}

async function drain(context: CommandContext, id: string, json: true | undefined): Promise<void> {
  const { operateRunners, drainRunner } = await import('./run-runners.ts')
  const jobs = await operateRunners(context, (pool) => drainRunner(pool, id))
  const text = `${id} stops within seconds; it holds ${jobs} ${jobs === 1 ? 'job' : 'jobs'}\n`
  context.print(json ? `${JSON.stringify({ id, jobs })}\n` : text)
}
