import { Command } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { addApiCommand } from './api.ts'
import { addCompletionCommand } from './completion.ts'
import { addConfigCommand } from './config.ts'
import type { CommandContext } from './context.ts'
import { addDeliveryCommand } from './delivery.ts'
import { addDevCommand } from './dev.ts'
import { addDoctorCommand } from './doctor.ts'
import { addEndpointCommand } from './endpoint.ts'
import { addEventCommand } from './event.ts'
import { addEventTypeCommand } from './event-type.ts'
import { EXIT_MEANINGS } from './exit-code.ts'
import { addKeyCommand } from './key.ts'
import { addListenCommand } from './listen.ts'
import { addMigrateCommand } from './migrate.ts'
import { addPortalLinkCommand } from './portal-link.ts'
import { addPublishCommand } from './publish.ts'
import { addReplayCommand } from './replay.ts'
import { addRunnerCommand } from './runner.ts'
import { addRunnersCommand } from './runners.ts'
import { addRotateEncryptionCommand, addSecretsCommand } from './secrets.ts'
import { addTailCommand } from './tail.ts'
import { addTenantCommand } from './tenant.ts'

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
  addTailCommand(program, context)
  addListenCommand(program, context)
  addRunnersCommand(program, context)
  addSecretsCommand(program, context)
  addRotateEncryptionCommand(program, context)
  addCompletionCommand(program, context)
  return program
}

function exitCodes(): string {
  return Object.entries(EXIT_MEANINGS)
    .map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}\n`)
    .join('')
}
