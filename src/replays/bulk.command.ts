import { Argument, type Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf, valuesOf, withFields } from '../terminal/option-fields.ts'
import { withExamples, withJsonOption } from '../terminal/request.ts'
import { bulkFields } from './bulk.fields.ts'
import { BULK_ACTIONS } from './bulk.ts'
import { startCounted } from './replay.command.ts'

const { action: _, ...fields } = bulkFields

/** Acts on many deliveries at once, after having said on how many. It is followed and cancelled as a replay. */
export function addBulkCommand(program: Command, context: CommandContext): void {
  const command = withJsonOption(withFields(program.command('bulk'), optionsOf(fields)))
    .description(
      'retry, cancel, release or redeliver many deliveries: count, ask, start, and show the progress',
    )
    .addArgument(new Argument('<action>', 'what to do').choices(BULK_ACTIONS))
    .argument('<tenant>', 'key of the tenant')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not show the progress')
    .action(() => start(context, command))
  withExamples(command, [
    'postrider bulk retry acme --state failed --reason timeout_answer --preview',
    'postrider bulk cancel acme --endpoint <id> --yes',
    'postrider replay cancel acme <id>',
  ])
}

async function start(context: CommandContext, command: Command): Promise<void> {
  const [action = '', tenant = ''] = command.args
  await startCounted(context, command, {
    tenant,
    path: `/api/tenants/${encodeURIComponent(tenant)}/deliveries/bulk`,
    body: { action, ...valuesOf(command) },
    questionOf: (count) => `${action} ${count} of ${tenant}?`,
  })
}
