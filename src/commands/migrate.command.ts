import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { UsageError } from '../terminal/exit-code.ts'
import type { MigrateOptions } from './run-migrate.ts'

/** Brings the database up to date; many at once do it once. */
export function addMigrateCommand(program: Command, context: CommandContext): void {
  program
    .command('migrate')
    .description('update the database; safe to run concurrently and repeatedly')
    .option('--plan', 'print the SQL that would run, and change nothing')
    .option('--roles', 'also create the group roles, or bring their grants up to date')
    .option('--json', 'print one JSON document')
    .action(async (options: MigrateOptions) => {
      if (options.plan && options.roles) {
        throw new UsageError('--plan and --roles do not go together')
      }
      // Only now: commands that talk to the API start in half the time without the database's modules.
      const { runMigrate } = await import('./run-migrate.ts')
      await runMigrate(context, options)
    })
}
