import type { OutcomeColumn } from '../database/schema.ts'

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
  /** The receiver answered 2xx. */
  | 'delivered'
  /** The receiver answered anything else, redirects and 101 included. */
  | 'rejected'
  /** No complete head of an answer came: DNS, connection, TLS, timeout, or not HTTP. */
  | 'unreachable'
  /** The address may not be dialled; nothing was sent. */
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
  /**
   * What went wrong, in words for a customer; `null` when delivered. Begins with one of the codes
   * `status: timeout: dns: connection: tls: protocol: request: proxy: blocked: interrupted:`.
   */
  error: string | null
  /** From the call to the end of the answer (or the moment we stopped reading), to 0.1 ms. */
  durationMs: number
  timings: AttemptTimings
  /** As sent, with the values of headers that look like credentials replaced by `***`. */
  requestHeaders: Record<string, string>
  responseHeaders: Record<string, string | string[]> | null
  /** Up to 16 KiB of the answer's bytes, as well-formed text without NUL. */
  responseBody: string | null
  /** What a 429 or 503 asked for; whoever schedules caps it. */
  retryAfterSeconds: number | null
}

/**
 * Whether another attempt makes sense.
 *
 * A blocked address is final: it will not become public by waiting, and trying again for three
 * days would let a tenant probe our network at leisure. After DNS was mended a person retries.
 *
 * 410 Gone is the receiver asking us to stop. 404 is retried: receivers answer it during deploys.
 */
export function isRetryable(result: Pick<AttemptResult, 'outcome' | 'statusCode'>): boolean {
  switch (result.outcome) {
    case 'delivered':
    case 'blocked':
      return false
    case 'rejected':
      return result.statusCode !== 410
    case 'unreachable':
    case 'interrupted':
      return true
    default:
      return result.outcome satisfies never
  }
}
