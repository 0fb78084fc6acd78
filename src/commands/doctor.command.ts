import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import type { DoctorOptions } from './run-doctor.ts'

/** Lists every breach of the promises that can be found; ends with 1 if there is any. */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description('check that nothing is lost or stuck; exit code 1 if something is')
    .option('--repair', 'repair what can be repaired, then check again')
    .option('--strict', 'exit code 1 also for a warning about the server')
    .option('--json', 'print one JSON document')
    .action(async (options: DoctorOptions) => {
      // Only now: commands that talk to the API start in half the time without the database's modules.
      const { runDoctor } = await import('./run-doctor.ts')
      await runDoctor(context, options)
    })
}
