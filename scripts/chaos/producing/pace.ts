import { setTimeout as delay } from 'node:timers/promises'

/** After a stall of ours the turns that were missed are left out, not made up for in one burst. */
const BEHIND_MS_MAX = 1_000

/** Calls `turn` at a steady rate until the signal; does not wait for it. */
export async function steadily(
  perSecond: number,
  signal: AbortSignal,
  turn: () => void,
): Promise<void> {
  const intervalMs = 1000 / perSecond
  let dueAt = performance.now()
  while (!signal.aborted) {
    turn()
    dueAt = Math.max(dueAt + intervalMs, performance.now() - BEHIND_MS_MAX)
    const pauseMs = dueAt - performance.now()
    if (pauseMs > 0) await delay(pauseMs, undefined, { signal }).catch(() => undefined)
  }
}
