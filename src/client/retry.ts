import type { PostriderError } from './error.ts'

/** First pause at most; each further one is twice as long. */
const PAUSE_MS = 200
const PAUSE_MS_MAX = 5_000
/** Who is asked to wait longer than this is told at once, and can decide. */
const RETRY_AFTER_MS_MAX = 30_000

export interface Failure {
  error: PostriderError
  /** `Retry-After`, as it came. */
  retryAfter?: string | null
}

/** Whether a request may be sent again: the same request twice does what one does. */
export function isRepeatable(method: string, headers: Record<string, unknown> = {}): boolean {
  return method === 'GET' || method === 'PUT' || 'Idempotency-Key' in headers
}

/**
 * Milliseconds until the next try, or `null` when there is to be none.
 *
 * A pause is anything from nothing to its longest, so that clients that failed together do not come back
 * together; `Retry-After` is the least.
 *
 * @param tried how many tries have failed
 * @param random from 0 to below 1
 */
export function pauseMs(
  { error, retryAfter = null }: Failure,
  { tried, isRepeatable, random }: { tried: number; isRepeatable: boolean; random: number },
): number | null {
  if (!isTransient(error, isRepeatable)) return null
  const askedMs = retryAfterMs(retryAfter)
  if (askedMs > RETRY_AFTER_MS_MAX) return null
  const ownMs = random * Math.min(PAUSE_MS * 2 ** (tried - 1), PAUSE_MS_MAX)
  return Math.max(ownMs, askedMs)
}

/** Somebody is publishing with the key at this moment. */
const BUSY: readonly string[] = ['idempotency_key_busy', 'ordering_key_busy']

/** A request over the rate limit was not looked at, so any may be sent again. */
function isTransient({ status, code }: PostriderError, isRepeatable: boolean): boolean {
  if (status === 429) return true
  return isRepeatable && (status === null || status >= 500 || BUSY.includes(code ?? ''))
}

/** Seconds or a date; 0 for anything else. */
function retryAfterMs(value: string | null): number {
  if (value === null) return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? 0 : Math.max(ms, 0)
}
