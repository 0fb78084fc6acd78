import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'

/** Lists every breach of the promises that can be found; ends with 1 if there is any. */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description('check that nothing is lost or stuck; exit code 1 if something is')
    .option('--repair', 'heal what can be healed, then check again')
    .option('--json', 'print one JSON document')
    .action(async (options: { repair?: true; json?: true }) => {
      // Only now: commands that talk to the API start in half the time without the database's modules.
      const { runDoctor } = await import('./run-doctor.ts')
      await runDoctor(context, options)
    })
}
