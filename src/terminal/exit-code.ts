/** Exit codes from 64 on are those of sysexits.h. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unavailable: 69,
  internal: 70,
  temporary: 75,
  config: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What supervisors and scripts may rely on; docs/reference/exit-codes.md shows the same. */
export const EXIT_MEANINGS: Record<ExitCode, string> = {
  0: 'Done, or stopped by SIGINT or SIGTERM',
  1: 'Refused, by the API or because a check failed; or a second signal ended the process',
  2: 'The command line is wrong',
  69: 'The API that a client command talks to cannot be reached',
  70: 'Internal error; its stack is on stderr',
  75: 'The database was lost, the worker pool ended unexpectedly, or stopping took too long; restart it',
  78: 'The configuration is wrong; every error is listed on stderr',
}

/** The command line is wrong in a way that commander does not see. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A long-running command ended although nobody had asked it to. */
export class EndedUnasked extends Error {
  override readonly name = 'EndedUnasked'
}
