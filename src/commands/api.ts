import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import type { CommandContext } from './context.ts'
import { runService } from './run-service.ts'

export function addApiCommand(program: Command, { env, stopSignal }: CommandContext): void {
  program
    .command('api')
    .description('serve the HTTP API')
    .action(async () => {
      const { startApi } = await import('../app.ts')
      const config = readConfig(env, 'api')
      await runService(await startApi(config, createLog(config.logLevel)), stopSignal)
    })
}
