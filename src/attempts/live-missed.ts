import type { Kysely } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import type { ListedTenants } from '../tenants/listed-tenants.ts'
import { formatCursor, parseCursor } from './live-cursor.ts'
import { readDetails } from './live-details.ts'
import { isOfType, type LiveFilter, type LiveMessage, mayWant } from './live-reader.ts'
import { type AttemptSummary, readEnded } from './live-summaries.ts'

/** What a reader that was away can catch up with; more is a matter of the lists. */
const MISSED_MS_MAX = 15 * 60_000
const MISSED_MAX = 1_000

export interface ReadOptions extends LiveFilter {
  tenants: ListedTenants
  /** Whether the bodies of requests are wanted. */
  withBody?: boolean | undefined
  /** Whether the answers are wanted; they are unless this is false. */
  withAnswers?: boolean | undefined
  /** Cursor of the last message that was received: what was missed since comes first, and may repeat some. */
  after?: string | undefined
}

export interface Missed {
  isAny: boolean
  messages: AsyncIterable<LiveMessage>
  /** Whether there was more: longer ago than 15 minutes, or more than 1,000 attempts. */
  hasGap: boolean
}

/** What ended since a reader's cursor, in the order of the ends; nothing for a reader without one. */
export async function readMissed(
  database: Kysely<Database>,
  options: ReadOptions,
  now: number,
): Promise<Missed> {
  const { after, tenants } = options
  if (after === undefined) {
    return { isAny: false, messages: toMessages(database, [], options), hasGap: false }
  }
  const cursor = parseCursor(after)
  const earliest = now - MISSED_MS_MAX
  const sinceMs = Math.max(cursor?.settledMs ?? 0, earliest)
  const { summaries, isComplete } = await readEnded(database, {
    sinceMs,
    tenants,
    limit: MISSED_MAX,
    isWanted: (summary) => summary.id !== cursor?.attemptId && mayWant(options, tenants, summary),
  })
  const isTooOld = (cursor?.settledMs ?? 0) < earliest
  return {
    isAny: summaries.length > 0,
    messages: toMessages(database, summaries, options),
    hasGap: isTooOld || !isComplete,
  }
}

async function* toMessages(
  database: Kysely<Database>,
  summaries: AttemptSummary[],
  { withBody = false, withAnswers = true, ...filter }: ReadOptions,
): AsyncGenerator<LiveMessage> {
  for await (const found of readDetails(database, summaries, { withBody, withAnswers })) {
    if (!isOfType(filter, found)) continue
    yield { ...found, cursor: formatCursor(Number.MAX_SAFE_INTEGER, found.attempt) }
  }
}
