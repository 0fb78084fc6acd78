import { createProgram } from './commands/program.ts'
import { loadJsx } from './console/load-jsx.ts'
import { EXIT, type ExitCode } from './terminal/exit-code.ts'
import { verdict } from './terminal/verdict.ts'

/**
 * A supervisor kills us anyway then; what still runs hangs. Long enough for attempts to end, or to be written
 * down as interrupted, with the default of SHUTDOWN_SECONDS; with a larger one they are found abandoned.
 */
const STOP_AFTER_FAULT_MS_MAX = 30_000
/**
 * Ctrl-C under npm arrives twice, from the terminal and forwarded by npm; a person who means the
 * second one takes longer.
 */
const SAME_SIGNAL_MS = 500

const stopping = new AbortController()
let fault: unknown

loadJsx()
handleSignals()
handleFaults()
process.exit(await main())

async function main(): Promise<ExitCode> {
  const program = createProgram({
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    print: (text) => process.stdout.write(text),
    note: (text) => process.stderr.write(text),
    hasColours: process.stdout.isTTY === true && process.stdout.hasColors(),
    isWatched: process.stderr.isTTY === true,
    stopSignal: stopping.signal,
  })
  try {
    await program.parseAsync()
    return fault === undefined ? EXIT.ok : EXIT.internal
  } catch (error) {
    return report(error)
  }
}

/** Says on stderr why the process ends, and with which code. */
function report(error: unknown, exitCode = verdict(error).exitCode): ExitCode {
  const { message } = verdict(error)
  if (message !== '') console.error(`postrider: ${message}`)
  return exitCode
}

/** The first signal stops in order, a second one at once. */
function handleSignals(): void {
  let firstAt: number | undefined
  const onSignal = () => {
    const now = performance.now()
    if (firstAt !== undefined && now - firstAt > SAME_SIGNAL_MS) process.exit(EXIT.failed)
    firstAt ??= now
    stopping.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
}

/** After an error that nobody handled the state is unknown: hand back what can be, and end. */
function handleFaults(): void {
  const onFault = (error: unknown) => {
    if (fault !== undefined) return
    fault = error ?? new Error('a promise was rejected without a reason')
    report(fault, EXIT.internal)
    setTimeout(() => process.exit(EXIT.internal), STOP_AFTER_FAULT_MS_MAX).unref()
    stopping.abort()
  }
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)
  // `postrider tenant list | head -1`: anyone who reads has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    onFault(error)
  })
}
