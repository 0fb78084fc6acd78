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

const answer = z.object({ failed: z.unknown() })

/**
 * The ids that a receiver of a batch names as failed: all that are anywhere within `failed`, so those of
 * `[{"id": …, "error": …}]` too. None where it says something else, since 2xx takes all.
 *
 * `null` where nobody can tell: the answer was cut off, late or too long before the end of such a list, or names some and is not JSON.
 */
export function failedItems(
  responseBody: string | null,
  { isCut = false, isCompressed = false }: { isCut?: boolean; isCompressed?: boolean } = {},
): ReadonlySet<string> | null {
  const text = responseBody?.replace(BYTE_ORDER_MARK, '') ?? ''
  try {
    const { data } = answer.safeParse(JSON.parse(text))
    return new Set((JSON.stringify(data?.failed) ?? '').toLowerCase().match(IDS))
  } catch {
    const isList = text.includes('"failed"')
    const couldBe = isCut ? isCompressed || BEGINNING.test(text) : isTooLong(text)
    return isList || couldBe ? null : new Set()
  }
}

/** Text that was decompressed is cut here, before a character that does not fit. */
const isTooLong = (text: string): boolean =>
  BEGINNING.test(text) && Buffer.byteLength(text) > BATCH_ANSWER_BYTES_MAX - 4

/** Of an object, whatever comes next. */
const BEGINNING = /^\s*(?:\{|$)/
/** What else looks like an id is none of the batch's, and is left out there. */
const IDS = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g
/** JSON must not begin with it; some frameworks write it anyway. */
const BYTE_ORDER_MARK = /^\uFEFF/
