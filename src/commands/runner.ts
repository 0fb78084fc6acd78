import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import type { CommandContext } from './context.ts'
import { runService, stopMsOf } from './run-service.ts'

export function addRunnerCommand(program: Command, { env, stopSignal }: CommandContext): void {
  program
    .command('runner')
    .description('execute deliveries; any number of these work together')
    .action(async () => {
      const { startRunnerProcess } = await import('../app.ts')
      const config = readConfig(env, 'runner')
      const runner = await startRunnerProcess(config, createLog(config.logLevel))
      const asked = AbortSignal.any([stopSignal, runner.drained])
      await runService(runner, asked, { stopMsMax: stopMsOf(config) })
    })
}
