import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import { createProgram } from '../../commands/program.ts'
import { verdict } from '../../terminal/verdict.ts'
import { type CliOptions, type CliResult, processEnvironment } from './cli.ts'

/**
 * Runs the command line in this process, to its end, and tells what `cli.ts` would print and end with.
 *
 * Its own process takes half a second of the processor: `runCli` is for what belongs to the process, as
 * signals, terminals and closed pipes do.
 */
export async function runCommand(
  args: string[],
  options: CliOptions & { stopSignal?: AbortSignal } = {},
): Promise<CliResult> {
  const said = { stdout: '', stderr: '' }
  const program = createProgram({
    env: { ...processEnvironment(), ...options.env },
    cwd: options.cwd ?? tmpdir(),
    stdin: Readable.from(options.input === undefined ? [] : [options.input]),
    print: (text) => {
      said.stdout += text
    },
    note: (text) => {
      said.stderr += text
    },
    hasColours: false,
    isWatched: false,
    stopSignal: options.stopSignal ?? new AbortController().signal,
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return { exitCode: 0, ...said }
  } catch (error) {
    const { exitCode, message } = verdict(error)
    if (message !== '') said.stderr += `postrider: ${message}\n`
    return { exitCode, ...said }
  }
}
