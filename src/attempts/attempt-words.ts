import { currentLanguage, sayAny } from '../console/language.ts'
import type { AttemptReason } from '../sending/reason.ts'

/** What people read in lists and choose in filters. */
const LABELS: Record<AttemptReason, string> = {
  status_3xx: 'HTTP 3xx response',
  status_4xx: 'HTTP 4xx response',
  status_5xx: 'HTTP 5xx response',
  status_other: 'Other HTTP response',
  timeout_dns: 'Timeout: name lookup',
  timeout_connect: 'Timeout: connection',
  timeout_tls: 'Timeout: TLS handshake',
  timeout_answer: 'Timeout: response',
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
  bad_answer: 'Response is not HTTP',
  unsendable: 'Request cannot be sent',
  item_failed: 'Failed in its batch',
  proxy_refused: 'Refused by the proxy',
  proxy_failed: 'Proxy failed',
  blocked_address: 'Address not allowed',
  blocked_name: 'Name points to an address that is not allowed',
  blocked_url: 'URL not allowed',
  erased: 'Data erased',
  secret_unreadable: 'Secret unreadable',
  fault: 'Not sent: error of this service',
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
  // What was stored is English.
  const error = currentLanguage() === 'en' ? attempt.error : null
  const words = error ?? (attempt.reason && sayAny(labelOf(attempt.reason)))
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

/** Classes of a response, as a form offers them. */
export const CLASS_CHOICES = [
  ['', 'Any response'],
  ['2', '2xx'],
  ['3', '3xx'],
  ['4', '4xx'],
  ['5', '5xx'],
] as const
