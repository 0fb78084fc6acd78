import { type Command, Option } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import type { AdoptOptions } from './run-adopt.ts'

const OPEN = ['cancel', 'hold', 'send']

/** Lets this environment send from a database that is a copy. */
export function addAdoptCommand(program: Command, context: CommandContext): void {
  program
    .command('adopt')
    .description('let this environment send from a database that is a copy')
    .addOption(
      new Option('--open <choice>', 'what happens to open deliveries; hold pauses all deliveries')
        .choices(OPEN)
        .makeOptionMandatory(),
    )
    .option('--environment <name>', 'its new name; default: POSTRIDER_ENVIRONMENT')
    .option('--json', 'print one JSON document')
    .action(async (options: AdoptOptions) => {
      // Only now: commands that talk to the API start in half the time without the database's modules.
      const { runAdopt } = await import('./run-adopt.ts')
      await runAdopt(context, options)
    })
}
