import type { AttemptReason } from '../sending/reason.ts'

const SERVER = 'Postrider could not send it. Nothing is wrong with your receiver.'
const NAME = 'Check the host in the URL, and that its DNS record is public.'
const SLOW = 'Respond first and do slow work afterwards. Check firewalls in front of the receiver.'
const NETWORK = 'Check that the receiver runs, and that its port is open to the internet.'
const CERTIFICATE = 'Renew the certificate, and serve it with its intermediate certificates.'
const ADDRESS = 'Use an address that is public. Addresses of private networks are blocked.'

/** What the owner of a receiver can do when an attempt ended so. */
const ADVICE: Record<AttemptReason, string> = {
  status_3xx: 'Enter the URL that it redirects to. Redirects are not followed.',
  status_4xx: 'Look into the log of your receiver: it refused the request.',
  status_5xx: 'Look into the log of your receiver: it failed while it handled the request.',
  status_other: 'Respond with a status of 200 to 299.',
  timeout_dns: NAME,
  timeout_connect: NETWORK,
  timeout_tls: SLOW,
  timeout_answer: SLOW,
  dns_not_found: NAME,
  dns_failed: NAME,
  connection_refused: NETWORK,
  connection_unreachable: NETWORK,
  connection_closed: NETWORK,
  connection_failed: NETWORK,
  tls_certificate: CERTIFICATE,
  tls_client_certificate: 'Check which client certificates your receiver accepts.',
  tls_protocol: 'Enable TLS 1.2 or 1.3 on the receiver.',
  tls_failed: CERTIFICATE,
  bad_answer: 'Check that an HTTP server listens at this port.',
  unsendable: 'Check the URL and the headers of the endpoint.',
  item_failed:
    'Look into the log of your receiver: it took the batch and named events as failed. Its response has to be JSON of at most 64 KiB.',
  proxy_refused: SERVER,
  proxy_failed: SERVER,
  blocked_address: ADDRESS,
  blocked_name: ADDRESS,
  blocked_url: 'Use a URL that starts with https.',
  erased: 'The data of the event was erased. It cannot be sent.',
  secret_unreadable: SERVER,
  fault: SERVER,
  runner_stopped: SERVER,
  keepalive_closed: SERVER,
  runner_lost: SERVER,
}

/** The statuses whose cause is nearly always the same. */
const OF_STATUS: Record<number, string> = {
  401: 'A wrong secret is the usual cause. Copy the signing secret again, and verify the body as received.',
  403: 'A wrong secret is the usual cause. Copy the signing secret again, and verify the body as received.',
  404: 'Check the path of the URL: nothing is there.',
  405: 'Accept POST requests at this path.',
  410: 'The receiver said that it is gone, so the endpoint was disabled. Enable it once the receiver is back.',
  413: 'Allow larger bodies in your receiver and in the proxy in front of it.',
  429: 'Set a limit of requests per second on the endpoint.',
}

/** What to do about an attempt that did not arrive, in a sentence or two; null where it did. */
export function adviceOf(attempt: {
  reason: AttemptReason | null
  statusCode: number | null
}): string | null {
  if (attempt.reason === null) return null
  const ofStatus = attempt.reason === 'status_4xx' && OF_STATUS[attempt.statusCode ?? 0]
  return ofStatus || ADVICE[attempt.reason]
}
