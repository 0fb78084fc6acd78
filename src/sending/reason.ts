import type { ReasonColumn } from '../postgres/schema.ts'

/** Why an attempt did not deliver; the words are those of the column `attempt.reason`. */
export type AttemptReason = ReasonColumn

/**
 * Every reason, and what it means. The set is closed: the column has a check, and API, metrics and filters
 * take these words and no others. Code decides by them; the text in `attempt.error` is for people only.
 *
 * Each belongs to one outcome: `status_…` and `item_failed` to rejected, `blocked_…` and `erased` to blocked, `secret_unreadable`
 * to `keepalive_closed` to interrupted, `runner_lost` to abandoned, all others to unreachable. An attempt that
 * is stale keeps the reason that it ended with.
 */
export const REASONS: Record<AttemptReason, string> = {
  status_3xx: 'The receiver redirected. Postrider does not follow redirects.',
  status_4xx: 'The receiver returned 4xx.',
  status_5xx: 'The receiver returned 5xx.',
  status_other: 'The receiver returned a status of another class, such as 101.',
  timeout_dns: 'The attempt timed out during the DNS lookup.',
  timeout_connect: 'The attempt timed out while connecting, through the proxy if there is one.',
  timeout_tls: 'The attempt timed out during the TLS handshake.',
  timeout_answer: 'The request was sent, and the attempt timed out before a status arrived.',
  dns_not_found: 'DNS does not know the name, or has no address for it.',
  dns_failed: 'The name servers did not respond, or returned an error.',
  connection_refused: 'Nothing listens at the address.',
  connection_unreachable: 'There is no route to the address.',
  connection_closed: 'The connection was closed before a status arrived.',
  connection_failed: 'The connection failed for another reason.',
  tls_certificate:
    'The certificate of the receiver is not trusted: expired, for another name, or from an unknown authority.',
  tls_client_certificate:
    'The receiver requires a client certificate, or refused the one it got; or the certificate cannot be used.',
  tls_protocol:
    'Both sides have no TLS version or cipher in common, or the receiver refused the name.',
  tls_failed: 'The TLS handshake failed for another reason.',
  bad_answer: 'The response is not valid HTTP.',
  unsendable: 'The URL or a header of the endpoint cannot be put into a request.',
  item_failed:
    'The receiver took the batch and named this event as failed, so it is sent again with the others that failed; or named events in a response that cannot be read, so the whole batch is sent again.',
  proxy_refused: 'The proxy of this service does not allow the receiver.',
  proxy_failed: 'The proxy of this service cannot be reached, or did not connect.',
  blocked_address: 'The URL contains an address that is not allowed. Final.',
  blocked_name:
    'All addresses of the name are not allowed. Retried, as DNS can be wrong for a while.',
  blocked_url: 'The URL cannot be read, or its scheme is not allowed. Final.',
  erased: 'The data of the event was erased, so there is nothing to send. Final.',
  secret_unreadable:
    'No key opens the secret, the client key or a secret header of the endpoint. Its deliveries are held until one does.',
  fault: 'Internal error before the request was sent. Retried on schedule.',
  runner_stopped: 'The runner stopped before the receiver responded.',
  keepalive_closed: 'The receiver closed the kept-alive connection while it was used.',
  runner_lost: 'The runner was lost before the outcome was recorded.',
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
