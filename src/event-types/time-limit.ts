import vm from 'node:vm'

/** The code took longer than it may; nothing that it did counts. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong'
  readonly code = 'took_too_long'
}

/** @throws TookTooLong */
export type TimeLimit = <T>(msMax: number, run: () => T) => T

/** Of the second try, which is the last: while it runs nobody else in the process is served. */
const SECOND_TRY = 3
/** What of its time code has had the processor for on an idle machine; the rest goes to starting it. */
const HAD_ITS_TIME = 0.8

/**
 * Makes a caller of synchronous code that ends it after a time, also in the middle of a regular
 * expression; it costs 0.15 ms a call.
 *
 * What counts is the time of the processor. On a busy machine the thread stands still meanwhile, and an event
 * would be refused for what others do: code that was ended without having had its time runs once more, from
 * the beginning, so it must change nothing.
 *
 * A schema can make validation take for ever in more ways than one can list: expressions that backtrack,
 * references that double at each level of the data. The clock knows them all.
 */
export function createTimeLimit(): TimeLimit {
  const context = vm.createContext({ run: undefined })
  const script = new vm.Script('run()')
  const runOnce = <T>(msMax: number, run: () => T): T => {
    context['run'] = run
    try {
      return script.runInContext(context, { timeout: msMax })
    } finally {
      context['run'] = undefined
    }
  }
  const runWithin = <T>(msMax: number, share: number, run: () => T): T => {
    const before = process.threadCpuUsage()
    try {
      return runOnce(msMax * share, run)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause
      const hadItsTime = msSince(before) >= msMax * HAD_ITS_TIME
      if (share === 1 && !hadItsTime) return runWithin(msMax, SECOND_TRY, run)
      throw new TookTooLong(`it took longer than ${msMax} ms`, { cause })
    }
  }
  return (msMax, run) => runWithin(msMax, 1, run)
}

/** Of the processor, by this thread. */
function msSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
