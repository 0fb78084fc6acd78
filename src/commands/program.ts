import { Command } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { addKeyCommand } from '../api-keys/api-key.command.ts'
import { addTableCommand } from '../attached-tables/table.command.ts'
import { addDeliveryCommand } from '../deliveries/delivery.command.ts'
import { addEndpointCommand } from '../endpoints/endpoint.command.ts'
import { addEventTypeCommand } from '../event-types/event-type.command.ts'
import { addEventCommand } from '../events/event.command.ts'
import { addPublishCommand } from '../events/publish.command.ts'
import { addIncidentCommand } from '../incidents/incident.command.ts'
import { addAdoptCommand } from '../operations/adopt.command.ts'
import { addServiceCommand } from '../operations/pause-all.command.ts'
import { addRunnersCommand } from '../operations/runners.command.ts'
import { addOrderingCommand } from '../ordering/ordering-key.command.ts'
import { addPortalLinkCommand } from '../portal-links/portal-link.command.ts'
import { addBulkCommand } from '../replays/bulk.command.ts'
import { addReplayCommand } from '../replays/replay.command.ts'
import { addSearchCommand } from '../search/search.command.ts'
import { addRotateEncryptionCommand, addSecretsCommand } from '../secrets/secret.command.ts'
import { addImportCommand } from '../svix/import/svix-import.command.ts'
import { addTenantCommand } from '../tenants/tenant.command.ts'
import type { CommandContext } from '../terminal/context.ts'
import { EXIT_MEANINGS } from '../terminal/exit-code.ts'
import { addApiCommand } from './api.command.ts'
import { addCompletionCommand } from './completion.command.ts'
import { addConfigCommand } from './config.command.ts'
import { addDevCommand } from './dev.command.ts'
import { addDoctorCommand } from './doctor.command.ts'
import { addInboxCommand } from './inbox.command.ts'
import { addListenCommand } from './listen.command.ts'
import { addMigrateCommand } from './migrate.command.ts'
import { addRunnerCommand } from './runner.command.ts'
import { addTailCommand } from './tail.command.ts'

/**
 * The command line: `postrider <noun> <verb> [tenant] …`. Throws instead of exiting.
 *
 * Commands that run a service import `app.ts` when they are called: the rest starts in half the time
 * (0.2 s instead of 0.45 s).
 */
export function createProgram(context: CommandContext): Command {
  const program = new Command('postrider')
    .description('Sends webhooks from your Postgres.')
    .version(packageJson.version)
    .exitOverride()
    .configureOutput({ writeOut: context.print, writeErr: context.note })
    .showSuggestionAfterError()
    .addHelpText('after', `\nExit codes:\n${exitCodes()}`)

  addDevCommand(program, context)
  addApiCommand(program, context)
  addRunnerCommand(program, context)
  addMigrateCommand(program, context)
  addDoctorCommand(program, context)
  addConfigCommand(program, context)
  addPublishCommand(program, context)
  addTenantCommand(program, context)
  addEndpointCommand(program, context)
  addKeyCommand(program, context)
  addPortalLinkCommand(program, context)
  addEventTypeCommand(program, context)
  addEventCommand(program, context)
  addDeliveryCommand(program, context)
  addReplayCommand(program, context)
  addBulkCommand(program, context)
  addIncidentCommand(program, context)
  addSearchCommand(program, context)
  addOrderingCommand(program, context)
  addServiceCommand(program, context)
  addTailCommand(program, context)
  addListenCommand(program, context)
  addRunnersCommand(program, context)
  addTableCommand(program, context)
  addImportCommand(program, context)
  addAdoptCommand(program, context)
  addSecretsCommand(program, context)
  addRotateEncryptionCommand(program, context)
  addInboxCommand(program, context)
  addCompletionCommand(program, context)
  showUsageAfterErrors(program)
  return program
}

/** Below what is wrong with a command line stands how the command is used. */
function showUsageAfterErrors(command: Command): void {
  const usage = command.createHelp().commandUsage(command)
  command.showHelpAfterError(`Usage: ${usage}\nMore with --help.`)
  for (const inner of command.commands) showUsageAfterErrors(inner)
}

function exitCodes(): string {
  return Object.entries(EXIT_MEANINGS)
    .map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}\n`)
    .join('')
}
