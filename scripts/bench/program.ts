import { setTimeout as delay } from 'node:timers/promises'

/** What was started, in order; it is stopped in the opposite order. */
export type Cleanup = AsyncDisposableStack

/** Ends a program that hangs, whatever it waits for: a forgotten one would spoil all that follow. */
const STOP_MS_MAX = 60_000

/**
 * Runs a bench program: whatever it puts into `cleanup` is stopped when it ends, fails, is
 * interrupted, or takes longer than `minutesMax`.
 */
export async function runProgram(
  run: (cleanup: Cleanup) => Promise<void>,
  { minutesMax }: { minutesMax: number },
): Promise<void> {
  const cleanup = new AsyncDisposableStack()
  const late = new AbortController()
  const tooLong = delay(minutesMax * 60_000, undefined, { signal: late.signal }).then(() => {
    throw new Error(`stopped after ${minutesMax} minutes`)
  })
  tooLong.catch(() => undefined) // aborted when the program ends in time
  try {
    await Promise.race([run(cleanup), tooLong, interrupted()])
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  } finally {
    late.abort()
    await Promise.race([cleanup.disposeAsync(), delay(STOP_MS_MAX)])
    process.exit() // connections that nobody waits for must not keep it alive
  }
}

/** Rejects at Ctrl-C and SIGTERM; a second one ends the process at once. */
function interrupted(): Promise<never> {
  return new Promise((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1))
        reject(new Error(`interrupted by ${signal}`))
      })
    }
  })
}
