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
  let running: Promise<unknown> | undefined
  const turn = () => {
    running ??= work()
      .catch(onError)
      .finally(() => {
        running = undefined
      })
  }
  turn()
  const timer = setInterval(turn, intervalMs)
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
