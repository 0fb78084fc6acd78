import type { OutcomeColumn } from '../postgres/schema.ts'
import type { AttemptReason } from './reason.ts'

/** Every word of the column `attempt.outcome`; all but the first are ends. */
export const OUTCOMES = [
  'started',
  'delivered',
  'rejected',
  'unreachable',
  'blocked',
  'abandoned',
  'stale',
  'interrupted',
] as const satisfies OutcomeColumn[]

/** What one HTTP try led to; the words are those of the column `attempt.outcome`. */
export type AttemptOutcome =
  /** The receiver returned 2xx. */
  | 'delivered'
  /** The receiver returned anything else, redirects and 101 included. */
  | 'rejected'
  /** No status came: DNS, connection, TLS, timeout, or not HTTP. */
  | 'unreachable'
  /** Nothing was sent: the address or the URL is not allowed, or the data was erased. */
  | 'blocked'
  /**
   * Cut off before the receiver had answered, by a shutdown or with a kept-alive connection; says nothing
   * about the receiver.
   */
  | 'interrupted'

/** Milliseconds per phase; `null` where the phase did not happen (a reused connection dials nothing). */
export interface AttemptTimings {
  dnsMs: number | null
  connectMs: number | null
  tlsMs: number | null
  /** From the end of our request to the head of the answer. */
  firstByteMs: number | null
}

/** Everything the audit log keeps about one HTTP try. */
export interface AttemptResult {
  outcome: AttemptOutcome
  statusCode: number | null
  /** What went wrong, for programs; `null` when delivered. */
  reason: AttemptReason | null
  /**
   * What went wrong in detail, in words for a customer and for nobody else. Next to a status, also of 2xx, what was
   * wrong with the answer otherwise; `null` when nothing was.
   */
  error: string | null
  /** More of it, for operators only, such as the addresses that a name led to. */
  errorDetail?: string
  /** From the call to the end of the answer (or the moment we stopped reading), to 0.1 ms. */
  durationMs: number
  timings: AttemptTimings
  /** As sent, with the values of headers that look like credentials replaced by `***`. */
  requestHeaders: Record<string, string>
  responseHeaders: Record<string, string | string[]> | null
  /** Up to 16 KiB of the answer's bytes, as well-formed text without NUL. */
  responseBody: string | null
  /** Not all of the response's body was read: it was cut off, late, or longer than what is kept. */
  isBodyCut?: boolean
  /** What a 429 or 503 asked for; the caller that schedules caps it. */
  retryAfterSeconds: number | null
}

/**
 * Whether another attempt makes sense.
 *
 * What stands in the URL itself will not become allowed by waiting, and erased data does not come back. A name
 * may lead to a forbidden address for a minute, while its DNS is changed or a resolver answers 0.0.0.0 for a
 * name it is told to block: that is retried as any failure. Nothing is dialled meanwhile, so a tenant who
 * points a name into our network learns no more from ten attempts than from one.
 *
 * 410 Gone is the receiver asking us to stop. 404 is retried: receivers answer it during deploys.
 */
export function isRetryable(
  result: Pick<AttemptResult, 'outcome' | 'statusCode' | 'reason'>,
): boolean {
  switch (result.outcome) {
    case 'delivered':
      return false
    case 'blocked':
      return result.reason === 'blocked_name'
    case 'rejected':
      return result.statusCode !== 410
    case 'unreachable':
    case 'interrupted':
      return true
    default:
      return result.outcome satisfies never
  }
}
