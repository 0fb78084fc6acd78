import type { Command } from 'commander'
import type { CommandContext } from '../../terminal/context.ts'
import type { ImportOptionsGiven } from './run-svix-import.ts'

/** Takes over what another system has, by its API and our database. */
export function addImportCommand(program: Command, context: CommandContext): void {
  program
    .command('import')
    .description('take over what another system has')
    .command('svix')
    .description(
      'take over applications, endpoints and event types of a Svix server; SVIX_TOKEN is its API token',
    )
    .option('--url <url>', 'URL of the Svix server (default: SVIX_SERVER_URL)')
    .option('--application <ids...>', 'only these, by id or uid (default: all)')
    .option('--given <file>', 'JSON with what the server does not give out, by endpoint')
    .option(
      '--with-deleted',
      'also applications that were deleted here (default: they stay deleted)',
    )
    .option('--apply', 'write to the database; without it, only a preview is printed')
    .option('--json', 'print one JSON document')
    .action(async (options: ImportOptionsGiven) => {
      // What reads the server and the database is imported when it is called, as by the other commands.
      const { runSvixImport } = await import('./run-svix-import.ts')
      await runSvixImport(context, options)
    })
}
