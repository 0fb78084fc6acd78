import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import { runService } from '../service/run-service.ts'
import type { CommandContext } from '../terminal/context.ts'

export function addApiCommand(program: Command, { env, stopSignal }: CommandContext): void {
  program
    .command('api')
    .description('serve the HTTP API')
    .action(async () => {
      const { startApi } = await import('../service/start-api.ts')
      const config = readConfig(env, 'api')
      await runService(await startApi(config, createLog(config.logLevel)), stopSignal)
    })
}
