import type { Kysely } from 'kysely'
import type { AttemptId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'
import {
  type AttemptSummary,
  byEnd,
  readSince,
  readUnderWay,
  SUMMARIES_MAX,
} from './live-summaries.ts'
import { createWatermark, HELD_BACK_MS_MAX } from './live-watermark.ts'

/** By then the attempts of a dead runner have been given up; what is still open was deleted. */
const LOST_AFTER_MS = 2 * 3_600_000

export interface Ended {
  /** In the order of their ends, each once. */
  summaries: AttemptSummary[]
  /** Everything that ended before this has been returned by an earlier call. */
  settledMs: number
  /** False when there were too many to be looked through since the call before. */
  isComplete: boolean
}

/** The attempts of every tenant, as they end. */
export interface Feed {
  next(): Promise<Ended>
  /** Everything that ended before this has been returned. */
  settledMs(): number
}

/**
 * Begins to follow attempts: what ends from now on is returned by the next call.
 *
 * Remembers the attempts that are under way, up to 20,000, and those that were returned and can be read again.
 */
export async function openFeed(database: Kysely<Database>): Promise<Feed> {
  const { snapshot, summaries } = await readUnderWay(database, HELD_BACK_MS_MAX)
  const watermark = createWatermark(snapshot)
  const open = new Set<AttemptId>()
  const seen = new Set<AttemptId>()
  for (const { id, outcome } of summaries) (outcome === 'started' ? open : seen).add(id)
  return {
    settledMs: watermark.settled,
    async next() {
      const settledMs = watermark.settled()
      const found = await readSince(database, { sinceMs: settledMs, open: [...open] })
      const ended = take(found.summaries, { open, seen })
      watermark.note(found.snapshot)
      forget({ open, seen }, watermark.settled())
      return { summaries: ended, settledMs, isComplete: found.summaries.length < SUMMARIES_MAX }
    },
  }
}

interface Known {
  open: Set<AttemptId>
  seen: Set<AttemptId>
}

/** Those that had not been seen to have ended. */
function take(found: AttemptSummary[], { open, seen }: Known): AttemptSummary[] {
  const ended: AttemptSummary[] = []
  for (const summary of found) {
    if (summary.outcome === 'started') open.add(summary.id)
    else if (!seen.has(summary.id)) {
      open.delete(summary.id)
      seen.add(summary.id)
      ended.push(summary)
    }
  }
  return ended.sort(byEnd)
}

function forget({ open, seen }: Known, settledMs: number): void {
  const floor = idAt(settledMs)
  for (const id of seen) if (id < floor) seen.delete(id)
  const lost = idAt(settledMs - LOST_AFTER_MS)
  for (const id of open) if (id < lost || open.size > SUMMARIES_MAX) open.delete(id)
}

/** The lowest id of a millisecond, as postrider.id_at() makes it. */
export function idAt(ms: number): string {
  const digits = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`
}
