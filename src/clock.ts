/** Something done again and again while a process runs. */
export interface Recurring {
  /** Does no more, and resolves once nothing is under way. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Does `work` now and then every `intervalMs`, never twice at a time: what takes longer than the interval
 * skips turns.
 */
export function every(
  intervalMs: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): Recurring {
  let last: Promise<unknown>
  const run = oneAtATime(() => work().catch(onError))
  const turn = () => {
    last = run()
  }
  turn()
  const timer = setInterval(turn, intervalMs)
  return {
    async stop() {
      clearInterval(timer)
      await last
    },
  }
}

/** Runs it at the first call; every call gets what that one got. */
export function once<T extends object>(run: () => T): () => T {
  let got: T | undefined
  return () => {
    got ??= run()
    return got
  }
}

/** Runs it when it is not under way; who calls meanwhile gets what comes of that. */
export function oneAtATime<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= run().finally(() => {
      running = undefined
    })
    return running
  }
}

/** What has been begun and has not ended yet. */
export function createUnderWay() {
  const all = new Set<Promise<unknown>>()
  return {
    add<T>(one: Promise<T>): Promise<T> {
      const ended = one.finally(() => all.delete(ended))
      all.add(ended)
      return ended
    },
    async idle() {
      while (all.size > 0) await Promise.allSettled(all)
    },
  }
}
