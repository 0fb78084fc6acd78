import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { readNumber } from '../terminal/option-fields.ts'
import { renderRecord, renderTable } from '../terminal/output.ts'
import { paintFor } from '../terminal/paint.ts'
import { cancelBackfill, listBackfills, listTables } from './attached-tables.ts'

const TABLE_COLUMNS = ['table', 'type', 'events', 'problem', 'owner', 'attachedAt']
const BACKFILL_COLUMNS = [
  'id',
  'table',
  'state',
  'read',
  'total',
  'published',
  'error',
  'createdAt',
]

interface Json {
  json?: true
}

interface BackfillOptions extends Json {
  where?: string
  rate?: number
  event?: string
  wait: boolean
}

/** Lists the tables that publish by themselves, and publishes the rows that one has already; by the database. */
export function addTableCommand(program: Command, context: CommandContext): void {
  const table = program.command('table').description('list and backfill attached tables')
  const verb = (name: string, about: string) =>
    table.command(name).description(about).option('--json', 'print one JSON document')
  verb('list', 'list the attached tables').action(({ json }: Json) =>
    list(context, json, { columns: TABLE_COLUMNS, of: 'tables' }),
  )
  verb('backfills', 'list the backfills, newest first').action(({ json }: Json) =>
    list(context, json, { columns: BACKFILL_COLUMNS, of: 'backfills' }),
  )
  verb('backfill', 'publish the existing rows of an attached table; as its owner')
    .argument('<table>', 'name of the table, with its schema')
    .option('--where <condition>', 'only rows for which this SQL condition holds')
    .option('--rate <events>', 'max events per second (default: 500)', readNumber)
    .option('--event <name>', 'last part of the event type (default: created)')
    .option('--no-wait', 'only start it; runners or `table continue` do the work')
    .action((name: string, options: BackfillOptions) => backfill(context, name, options))
  verb('continue', 'continue a backfill that was interrupted; as the owner of the table')
    .argument('<id>', 'id of the backfill')
    .action((id: string, { json }: Json) => resume(context, id, json))
  verb('cancel', 'cancel a backfill; published events are still delivered')
    .argument('<id>', 'id of the backfill')
    .action((id: string, { json }: Json) => cancel(context, id, json))
}

// The database's modules are imported when they are called: commands that talk to the API start in half the time.
const runTables = () => import('./run-tables.ts')

async function list(
  context: CommandContext,
  json: true | undefined,
  { columns, of }: { columns: string[]; of: 'tables' | 'backfills' },
): Promise<void> {
  const { onTables } = await runTables()
  const text = await onTables(context, async (pool) =>
    JSON.stringify({ data: await (of === 'tables' ? listTables(pool) : listBackfills(pool)) }),
  )
  const rendered = () => renderTable(columns, JSON.parse(text).data, paintFor(context))
  context.print(json ? `${text}\n` : rendered())
}

async function backfill(
  context: CommandContext,
  table: string,
  { where, rate, event, wait, json }: BackfillOptions,
): Promise<void> {
  const { onTables, beginBackfill, continueBackfill } = await runTables()
  await onTables(context, async (pool) => {
    const id = await beginBackfill(pool, { table, where, rate, event })
    print(context, json, wait ? { ...(await continueBackfill(context, pool, id)) } : { id })
  })
}

async function resume(context: CommandContext, id: string, json: true | undefined): Promise<void> {
  const { onTables, continueBackfill } = await runTables()
  await onTables(context, async (pool) => {
    print(context, json, { ...(await continueBackfill(context, pool, id)) })
  })
}

async function cancel(context: CommandContext, id: string, json: true | undefined): Promise<void> {
  const { onTables } = await runTables()
  await onTables(context, (pool) => cancelBackfill(pool, id))
  print(context, json, { id, state: 'cancelled' })
}

function print(
  context: CommandContext,
  json: true | undefined,
  record: Record<string, unknown>,
): void {
  context.print(json ? `${JSON.stringify(record)}\n` : renderRecord(record, paintFor(context)))
}
