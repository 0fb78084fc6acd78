import type { ReasonColumn } from '../postgres/schema.ts'

/** Why an attempt did not deliver; the words are those of the column `attempt.reason`. */
export type AttemptReason = ReasonColumn

/**
 * Every reason, and what it means. The set is closed: the column has a check, and API, metrics and filters
 * take these words and no others. Code decides by them; the text in `attempt.error` is for people only.
 *
 * Each belongs to one outcome: `status_…` to rejected, `blocked_…` and `erased` to blocked, `secret_unreadable`
 * to `keepalive_closed` to interrupted, `runner_lost` to abandoned, all others to unreachable. An attempt that
 * is stale keeps the reason that it ended with.
 */
export const REASONS: Record<AttemptReason, string> = {
  status_3xx: 'The receiver redirected. Redirects are not followed.',
  status_4xx: 'The receiver answered 4xx.',
  status_5xx: 'The receiver answered 5xx.',
  status_other: 'The receiver answered with a status of another class, such as 101.',
  timeout_dns: 'The time of the attempt was over before the name was looked up.',
  timeout_connect:
    'The time was over before there was a connection, through the proxy where there is one.',
  timeout_tls: 'The time was over during the TLS handshake.',
  timeout_answer: 'The request was on its way, and the time was over before a status was there.',
  dns_not_found: 'DNS does not know the name, or no address of it.',
  dns_failed: 'The name servers did not answer, or not usefully.',
  connection_refused: 'Nothing listens at the address.',
  connection_unreachable: 'There is no route to the address.',
  connection_closed: 'The connection was closed before a status was there.',
  connection_failed: 'There was no connection, for another reason.',
  tls_certificate:
    'The certificate of the receiver is not trusted: expired, of another name, of an unknown authority.',
  tls_client_certificate:
    'The receiver wants a client certificate, or refused the one it got; or it cannot be used.',
  tls_protocol:
    'Both sides have no TLS version or cipher in common, or the receiver refused the name.',
  tls_failed: 'The TLS handshake failed, for another reason.',
  bad_answer: 'What came back is not HTTP that can be read.',
  unsendable: 'The URL or a header of the endpoint cannot be put into a request.',
  proxy_refused: 'The proxy of this service does not allow the receiver.',
  proxy_failed: 'The proxy of this service cannot be reached, or did not connect.',
  blocked_address: 'The URL holds an address that may not be dialled. Final.',
  blocked_name:
    'The name leads to addresses that may not be dialled, and to no others. Tried again, as DNS may be wrong for a while.',
  blocked_url: 'The URL cannot be read, or its scheme may not be used. Final.',
  erased: 'The data of the event was erased, so that there is nothing to send. Final.',
  secret_unreadable:
    'No key opens the secret, the client key or a secret header of the endpoint. Its deliveries are held until one does.',
  fault: 'This service failed before the request was made. Tried again by the schedule.',
  runner_stopped: 'The runner stopped before the receiver had answered.',
  keepalive_closed: 'The receiver closed the kept-alive connection as it was used.',
  runner_lost: 'The runner was cut off before the outcome was written down.',
}

export const ATTEMPT_REASONS = Object.keys(REASONS) as [AttemptReason, ...AttemptReason[]]

const TIMEOUTS: ReadonlySet<AttemptReason | null> = new Set([
  'timeout_dns',
  'timeout_connect',
  'timeout_tls',
  'timeout_answer',
] as const)

/** Whether the attempt was cut off by its own time limit, and so lasted for all of it. */
export const isTimeout = (reason: AttemptReason | null): boolean => TIMEOUTS.has(reason)

/** The reason of an answer; `null` of 2xx, which is the only success. */
export function reasonOfStatus(statusCode: number): AttemptReason | null {
  switch (Math.floor(statusCode / 100)) {
    case 2:
      return null
    case 3:
      return 'status_3xx'
    case 4:
      return 'status_4xx'
    case 5:
      return 'status_5xx'
    default:
      return 'status_other'
  }
}
