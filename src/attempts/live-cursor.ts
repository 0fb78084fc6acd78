import type { Attempt } from './attempts.ts'

/** Where a reader is. The attempt is that of the last message, if it has had one. */
export interface Cursor {
  /** Everything that ended before this has been told; ms since 1970. */
  settledMs: number
  attemptId: string | null
}

const CURSOR = /^(\d{13})(?:\.([0-9a-f-]{36}))?$/

/**
 * Attempts do not become visible in the order of their ends, so a cursor says up to which end nothing is missing,
 * and which attempt need not come again.
 */
export function formatCursor(
  settledMs: number,
  last?: Pick<Attempt, 'id' | 'finished_at'>,
): string {
  if (!last) return String(Math.floor(settledMs))
  const ms = Math.min(settledMs, last.finished_at?.getTime() ?? settledMs)
  return `${Math.floor(ms)}.${last.id}`
}

/** Null for what is not a cursor. */
export function parseCursor(text: string): Cursor | null {
  const [, ms, attemptId = null] = CURSOR.exec(text) ?? []
  return ms === undefined ? null : { settledMs: Number(ms), attemptId }
}
