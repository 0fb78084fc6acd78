import type { Environment } from '../config/config.ts'

/** What a command may touch of the process it runs in; only `cli.ts` has the process itself. */
export interface CommandContext {
  env: Environment
  /** Where relative paths, and the search for a running service, begin. */
  cwd: string
  stdin: AsyncIterable<Buffer | string>
  /** Writes to stdout as it is; a command's result and nothing else. */
  print(text: string): void
  /** Writes to stderr as it is: what people want to know meanwhile. */
  note(text: string): void
  /** Whether stdout is a terminal with colours, and NO_COLOR is not set. */
  hasColours: boolean
  /** Whether somebody watches stderr, for progress. */
  isWatched: boolean
  /** Aborted when the process was asked to stop. */
  stopSignal: AbortSignal
}
