import type { Environment } from '../config.ts'

/** What a command may touch of the process it runs in; only `cli.ts` has the process itself. */
export interface CommandContext {
  env: Environment
  /** Where relative paths, and the search for a running service, begin. */
  cwd: string
  stdin: AsyncIterable<Buffer | string>
  /** Writes to stdout as it is; a command's result and nothing else. */
  print(text: string): void
  /** Aborted when the process was asked to stop. */
  stopSignal: AbortSignal
}
