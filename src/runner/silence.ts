/** One runner as it was last seen. */
export interface Seen {
  id: string
  seen_at: Date
}

/**
 * Tells whose heartbeat has stood still for `silenceMs` before our own eyes.
 *
 * Comparing heartbeats with the clock would find everybody dead after an outage of the database, in which
 * nobody could write one. So each watcher counts from when *it* first saw the present heartbeat, and a
 * watcher that lost its connection begins again.
 */
export function createSilenceWatch(silenceMs: number) {
  const firstSeen = new Map<string, { heartbeat: number; atMs: number }>()
  return {
    /** @param nowMs of a monotonic clock */
    observe(runners: readonly Seen[], nowMs: number): string[] {
      forgetOthers(firstSeen, runners)
      return runners.flatMap(({ id, seen_at }) => {
        const known = firstSeen.get(id)
        if (known?.heartbeat === seen_at.getTime())
          return nowMs - known.atMs >= silenceMs ? [id] : []
        firstSeen.set(id, { heartbeat: seen_at.getTime(), atMs: nowMs })
        return []
      })
    },
    /** Milliseconds until the next one would become silent; Infinity when nobody is left who could. */
    nextInMs(nowMs: number): number {
      const ages = [...firstSeen.values()].map(({ atMs }) => nowMs - atMs)
      return Math.min(...ages.filter((age) => age < silenceMs).map((age) => silenceMs - age))
    },
  }
}

function forgetOthers(known: Map<string, unknown>, runners: readonly Seen[]) {
  const ids = new Set(runners.map(({ id }) => id))
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
}
