import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import { runService, stopMsOf } from '../service/run-service.ts'
import type { CommandContext } from '../terminal/context.ts'

export function addRunnerCommand(program: Command, { env, stopSignal }: CommandContext): void {
  program
    .command('runner')
    .description('execute deliveries; run any number of these')
    .action(async () => {
      const { startRunnerProcess } = await import('../service/start-runner.ts')
      const config = readConfig(env, 'runner')
      const runner = await startRunnerProcess(config, createLog(config.logLevel))
      const asked = AbortSignal.any([stopSignal, runner.drained])
      await runService(runner, asked, { stopMsMax: stopMsOf(config) })
    })
}
