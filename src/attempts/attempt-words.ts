import type { AttemptReason } from '../sending/reason.ts'

/** What people read in lists and choose in filters. */
const LABELS: Record<AttemptReason, string> = {
  status_3xx: 'Answered 3xx',
  status_4xx: 'Answered 4xx',
  status_5xx: 'Answered 5xx',
  status_other: 'Answered with another status',
  timeout_dns: 'Timeout: name lookup',
  timeout_connect: 'Timeout: connection',
  timeout_tls: 'Timeout: TLS handshake',
  timeout_answer: 'Timeout: answer',
  dns_not_found: 'Name not found',
  dns_failed: 'Name servers failed',
  connection_refused: 'Connection refused',
  connection_unreachable: 'No route',
  connection_closed: 'Connection closed',
  connection_failed: 'No connection',
  tls_certificate: 'Certificate not trusted',
  tls_client_certificate: 'Client certificate',
  tls_protocol: 'TLS versions or ciphers differ',
  tls_failed: 'TLS handshake failed',
  bad_answer: 'Answer is not HTTP',
  unsendable: 'Request cannot be sent',
  proxy_refused: 'Refused by the proxy',
  proxy_failed: 'Proxy failed',
  blocked_address: 'Address not allowed',
  blocked_name: 'Name leads to an address that is not allowed',
  blocked_url: 'URL not allowed',
  erased: 'Data erased',
  secret_unreadable: 'Secret unreadable',
  fault: 'Not sent, by a fault of this service',
  runner_stopped: 'Runner stopped',
  keepalive_closed: 'Kept-alive connection closed',
  runner_lost: 'Runner lost',
}

export const labelOf = (reason: AttemptReason): string => LABELS[reason]

/** What went wrong with an attempt, as a sentence without its full stop; null where nothing did. */
export function inWords(attempt: {
  reason: AttemptReason | null
  error: string | null
}): string | null {
  const words = attempt.error ?? (attempt.reason && labelOf(attempt.reason))
  return words && words.charAt(0).toUpperCase() + words.slice(1)
}

/** A time span for people: `1 min 30 s`. */
export function spanOf(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return two(seconds, 60, 'min', 's')
  if (seconds < 86_400) return two(Math.round(seconds / 60), 60, 'h', 'min')
  return two(Math.round(seconds / 3_600), 24, 'd', 'h')
}

function two(amount: number, per: number, large: string, small: string): string {
  const rest = amount % per
  return `${Math.floor(amount / per)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

/** Some screens full. With more, a page is slow to draw and nobody reads it: there is a file then. */
export const SHOWN_CHARACTERS_MAX = 65_536

export const isShownWhole = (text: string): boolean => text.length <= SHOWN_CHARACTERS_MAX

export interface ShownText {
  text: string
  /** Whether there is more of it. */
  isCut: boolean
}

/**
 * Text as a page shows it: JSON with line breaks, its numbers as they were written, and what is no JSON as it
 * is. Where the line breaks would make it too long it stays as it is as well, and is cut if it is too long by itself.
 */
export function shownText(text: string): ShownText {
  if (!isShownWhole(text)) {
    return { text: text.slice(0, SHOWN_CHARACTERS_MAX).toWellFormed(), isCut: true }
  }
  const isPretty = prettyLength(text) <= SHOWN_CHARACTERS_MAX
  return { text: isPretty ? prettyJson(text) : text, isCut: false }
}

/**
 * How long the JSON text becomes with line breaks, about. Each level indents every line within it, so that the
 * length grows with the square of the depth: it has to be known before the work is done.
 */
function prettyLength(text: string): number {
  let length = text.length
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/gs)) {
    if (token.startsWith('"')) continue
    if (token === '[' || token === '{') depth += 1
    if (token === ']' || token === '}') depth -= 1
    length += 1 + 2 * Math.max(0, depth)
  }
  return length
}

function prettyJson(text: string): string {
  try {
    const keepNumbers = (_: string, value: unknown, { source }: { source?: string } = {}) =>
      typeof value === 'number' && source !== undefined ? rawJson(source) : value
    return JSON.stringify(
      JSON.parse(text, keepNumbers as (key: string, value: unknown) => unknown),
      null,
      2,
    )
  } catch {
    return text
  }
}

/** Of ES2026, which Node 24 has and its types lack. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
