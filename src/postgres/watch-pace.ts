/** Together with an answer, which takes milliseconds, well below the two seconds within which a zombie is left. */
const LOOK_EVERY_MS = 900
/** While something is wrong: until the new primary is seen nothing is stored, so each moment counts. */
const LOOK_QUICKLY_MS = 200
/** A failover is over by then; an outage that lasts is looked at as rarely as anything else. */
const QUICKLY_MS_MAX = 60_000
/** After so many good looks nothing is wrong any more. */
const GOOD_LOOKS = 5

/** How often the servers of a database are looked at. */
export interface WatchPace {
  /** Something is wrong: looks at once, and more often for a while. */
  hurry(): void
  /** A look found everything in order. */
  isWell(): void
  /** Until the next look is due, or the watch is stopped. */
  pause(): Promise<void>
}

/** @param options.lookEveryMs for tests, in which only `hurry` is to have it look */
export function createWatchPace(options: { signal: AbortSignal; lookEveryMs?: number }): WatchPace {
  const { signal, lookEveryMs = LOOK_EVERY_MS } = options
  let goodLooks = GOOD_LOOKS
  let wrongSince = 0
  const sleeping = new Set<() => void>()
  const wake = () => {
    for (const end of sleeping) end()
  }
  const isQuick = () => goodLooks < GOOD_LOOKS && performance.now() - wrongSince < QUICKLY_MS_MAX
  signal.addEventListener('abort', wake, { once: true })

  return {
    hurry() {
      const isNews = goodLooks >= GOOD_LOOKS
      goodLooks = 0
      if (!isNews) return
      wrongSince = performance.now()
      wake()
    },
    isWell() {
      goodLooks += 1
    },
    pause: () =>
      new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer)
          sleeping.delete(end)
          resolve()
        }
        const timer = setTimeout(end, isQuick() ? LOOK_QUICKLY_MS : lookEveryMs)
        sleeping.add(end)
        if (signal.aborted) end()
      }),
  }
}
