/** 300 years; what is longer is noise and would stop being exact. */
const SECONDS_MAX = 9_999_999_999

const TIME = '(?<hours>\\d{2}):(?<minutes>\\d{2}):(?<seconds>\\d{2})'
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** The three forms of RFC 9110, 5.6.7: the one to send, and two old ones that everybody has to read. */
const HTTP_DATES = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  // Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(
    `^[A-Z][a-z]{5,8}, (?<day>\\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\\d{2}) ${TIME} GMT$`,
  ),
  // Sun Nov  6 08:49:37 1994
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
]

/**
 * Seconds that a `Retry-After` header asks for, or `null` when it is absent, in the past or not
 * understood: a receiver's mistake must not decide our schedule.
 *
 * @param now milliseconds since 1970, to which a date is compared
 */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d+$/.test(text)) return Math.min(Number(text), SECONDS_MAX)
  const at = parseHttpDate(text, now)
  if (at === null) return null
  const seconds = Math.ceil((at - now) / 1000)
  return seconds >= 0 ? seconds : null
}

/** Milliseconds since 1970. The day of the week is not compared: nothing would follow from it. */
function parseHttpDate(text: string, now: number): number | null {
  for (const form of HTTP_DATES) {
    const parts = form.exec(text)?.groups
    if (!parts) continue
    const { year = '', month = '', day, hours, minutes, seconds } = parts
    const on = (fullYear: number) =>
      Date.UTC(
        fullYear,
        MONTHS.indexOf(month),
        Number(day),
        Number(hours),
        Number(minutes),
        Number(seconds),
      )
    const at = on(year.length === 2 ? fullYearOf(Number(year), on, now) : Number(year))
    return isOnDay(at, month, Number(day)) && Number(hours) < 24 && Number(minutes) < 60 ? at : null
  }
  return null
}

/** Two digits mean the latest year that is not more than 50 years ahead (RFC 9110, 5.6.7). */
function fullYearOf(digits: number, on: (year: number) => number, now: number): number {
  const limit = new Date(now)
  limit.setUTCFullYear(limit.getUTCFullYear() + 50)
  const century = Math.floor(limit.getUTCFullYear() / 100) * 100
  return on(century + digits) > limit.getTime() ? century + digits - 100 : century + digits
}

/** `Date.UTC` makes the 3rd of March of the 31st of February. */
function isOnDay(at: number, month: string, day: number): boolean {
  const date = new Date(at)
  return MONTHS[date.getUTCMonth()] === month && date.getUTCDate() === day
}
