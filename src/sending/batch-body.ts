import { z } from 'zod'

/** Ids of 1,000 events, with quotes and commas, and some words around them. */
export const BATCH_ANSWER_BYTES_MAX = 65_536
/** What the audit log keeps of the answer for each event of a batch at least. */
export const BATCH_ANSWER_BYTES_KEPT_MIN = 1_024

/**
 * The body of a batch.
 *
 * @param items each event as it would be sent alone, with its id in front, and a comma between
 */
export const batchBody = (items: string): string => `{"events":[${items}]}`

const answer = z.object({ failed: z.array(z.string()) })

/** The events that a receiver names as failed; nothing where it says something else, since 2xx takes all. */
export function failedItems(responseBody: string | null): ReadonlySet<string> {
  if (!responseBody?.includes('"failed"')) return new Set()
  try {
    const { success, data } = answer.safeParse(JSON.parse(responseBody))
    return new Set(success ? data.failed.map((id) => id.toLowerCase()) : [])
  } catch {
    return new Set()
  }
}
