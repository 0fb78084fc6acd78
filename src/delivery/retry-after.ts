/** `Sun, 06 Nov 1994 08:49:37 GMT`, the form RFC 9110 requires senders to use. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
/** 300 years in seconds; longer digits are noise and would stop being exact. */
const SECONDS_DIGITS_MAX = 10

/**
 * Seconds that a `Retry-After` header asks for, or `null` when it is absent, in the past or not
 * understood: a receiver's mistake must not decide our schedule.
 *
 * @param now milliseconds since 1970, to which a date is compared
 */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d+$/.test(text) && text.length <= SECONDS_DIGITS_MAX) return Number(text)
  if (!HTTP_DATE.test(text)) return null
  const seconds = Math.ceil((Date.parse(text) - now) / 1000)
  return seconds >= 0 ? seconds : null
}
