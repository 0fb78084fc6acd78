/** Jobs that become due within it are fetched together. */
const TOGETHER_MS = 100
/** What is put off for longer is found by polling: it hardly matters then that it comes up to a second later. */
const AHEAD_MS_MAX = 1_000

export interface WakeUpTimer {
  /** Something becomes due in so many milliseconds. */
  set(inMs: number): void
}

/**
 * Has jobs fetched when they become due that this runner has put off for a moment: by polling alone the end of a burst
 * would wait for up to a second.
 *
 * @param ring called at most ten times a second
 */
export function createWakeUpTimer(ring: () => void): WakeUpTimer {
  const pending = new Set<number>()
  return {
    set(inMs) {
      if (inMs > AHEAD_MS_MAX) return
      const now = performance.now()
      const slot = Math.ceil((now + inMs) / TOGETHER_MS)
      if (pending.has(slot)) return
      pending.add(slot)
      const ringAt = () => {
        pending.delete(slot)
        ring()
      }
      setTimeout(ringAt, slot * TOGETHER_MS - now).unref()
    },
  }
}
