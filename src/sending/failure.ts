import { DialFailed, type Dialing, type Phase } from './dial.ts'
import { AddressBlocked } from './egress.ts'
import { ProxyFailed } from './proxy.ts'
import type { AttemptReason } from './reason.ts'
import { type Cause, describeTlsFailure } from './tls-failure.ts'

/** Why no answer came: what it means for programs, and words for the customer who owns the receiver. */
export interface Failure {
  outcome: 'unreachable' | 'blocked' | 'interrupted'
  reason: AttemptReason
  error: string
  /** For operators only: what names resolve to inside our network is nothing for a customer. */
  errorDetail?: string
}

export const INTERRUPTED: Failure = {
  outcome: 'interrupted',
  reason: 'runner_stopped',
  error: 'the runner stopped before the receiver responded',
}

/**
 * A receiver may close an idle connection at the moment we use it (RFC 9112, 9.3.1). Nothing was answered, so
 * this is our bad luck and no failed attempt. It may have taken the event anyway, so what follows is an
 * separate attempt: no request without a row in the audit log.
 */
export const CLOSED_UNDER_US: Failure = {
  outcome: 'interrupted',
  reason: 'keepalive_closed',
  error: 'the receiver closed the kept-alive connection as it was used',
}

/** Perhaps the start of an answer to a request that was not made yet (RFC 9112, 9.3). */
export const MORE_THAN_ANSWER: Failure = {
  outcome: 'unreachable',
  reason: 'bad_answer',
  error: 'data followed the response that does not belong to it',
}

/** Much of what is no answer yet: the words say the bounds of the exchange. */
export const ANNOUNCED_TOO_MUCH: Failure = {
  outcome: 'unreachable',
  reason: 'bad_answer',
  error: 'more than 256 announcements (1xx) or 64 KiB came, and no response after them',
}

const MISSED: Record<Phase, string> = {
  dns: 'the name did not resolve',
  connect: 'no connection',
  tls: 'no secure connection',
  answer: 'no complete response',
}

export function timedOut(timeoutMs: number, { phase, tried }: Dialing): Failure {
  const failure = unreachable(`timeout_${phase}`, `${MISSED[phase]} within ${timeoutMs / 1000} s`)
  return phase === 'connect' && tried.length > 0
    ? { ...failure, errorDetail: `tried ${tried.join(', ')}` }
    : failure
}

const NO_TLS = 'no secure connection'

/** Codes of Node, libuv and OpenSSL that deserve better words than their family's. */
const CAUSES: Record<string, Cause> = {
  ENOTFOUND: ['dns_not_found', 'the name did not resolve'],
  EAI_AGAIN: ['dns_failed', 'the name servers did not respond'],
  ECONNREFUSED: ['connection_refused', 'the connection was refused, nothing listens there'],
  ECONNRESET: ['connection_closed', 'the connection was closed before the response was complete'],
  EPIPE: ['connection_closed', 'the connection was closed before the response was complete'],
  EHOSTUNREACH: ['connection_unreachable', 'no route to the host'],
  ENETUNREACH: ['connection_unreachable', 'no route to the network'],
  ETIMEDOUT: ['timeout_connect', 'the connection could not be established in time'],
  HPE_CR_EXPECTED: ['bad_answer', 'a line of the response does not end with CR LF'],
  HPE_LF_EXPECTED: ['bad_answer', 'a line of the response does not end with CR LF'],
  HPE_INVALID_HEADER_TOKEN: ['bad_answer', 'a header line of the response is not valid'],
  HPE_UNEXPECTED_SPACE: ['bad_answer', 'a header line of the response is not valid'],
  HPE_INVALID_CONTENT_LENGTH: [
    'bad_answer',
    'the length of the response is not valid or not its only one',
  ],
  HPE_UNEXPECTED_CONTENT_LENGTH: ['bad_answer', 'the response has more than one length'],
  HPE_INVALID_TRANSFER_ENCODING: [
    'bad_answer',
    'the response comes in chunks and also has a length',
  ],
  HPE_INVALID_CHUNK_SIZE: ['bad_answer', 'the chunks of the response are not valid'],
  HPE_INVALID_CONSTANT: ['bad_answer', 'the status line of the response is not valid HTTP'],
  HPE_INVALID_STATUS: ['bad_answer', 'the status line of the response is not valid HTTP'],
  HPE_INVALID_VERSION: ['bad_answer', 'the status line of the response is not valid HTTP'],
  HPE_HEADER_OVERFLOW: ['bad_answer', 'the headers of the response are larger than 16 KiB'],
}

/** First match wins. */
const FAMILIES: [RegExp, Cause][] = [
  [/^(ENODATA|EAI_NO)/, ['dns_not_found', 'the name did not resolve']],
  [/^(EAI_|ESERVFAIL)/, ['dns_failed', 'the name did not resolve']],
  [/^HPE_/, ['bad_answer', 'the response is not valid HTTP']],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER/, ['tls_protocol', NO_TLS]],
  [/CERT|SIGNATURE|CRL/, ['tls_certificate', NO_TLS]],
  [/^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO)/, ['tls_failed', NO_TLS]],
  [/^(ERR_INVALID|ERR_HTTP|ERR_UNESCAPED)/, ['unsendable', 'the URL or a header cannot be sent']],
]

const CLOSED_IN_HANDSHAKE: Cause = [
  'tls_failed',
  'the receiver closed the connection during the TLS handshake',
]
const UNKNOWN: Cause = ['connection_failed', 'the connection failed']
const UNKNOWN_IN_HANDSHAKE: Cause = ['tls_failed', NO_TLS]

/**
 * Puts an error of got, Node or our lookup into words; never a message or stack of theirs.
 *
 * @param phase what the request waited for
 */
export function describeFailure(error: unknown, phase?: Phase): Failure {
  const known = knownFailure(error)
  if (known) return known
  if (phase === 'tls' && isClosed(error)) return unreachable(...CLOSED_IN_HANDSHAKE)
  const unknown = phase === 'tls' ? UNKNOWN_IN_HANDSHAKE : UNKNOWN
  const coded = codedError(error)
  if (!coded) return unreachable(...unknown)
  const { code, message } = coded
  const [reason, words] = describeTlsFailure(code, message) ?? causeOf(code, unknown)
  return unreachable(reason, words)
}

function causeOf(code: string, unknown = UNKNOWN): Cause {
  const family = FAMILIES.find(([pattern]) => pattern.test(code))?.[1]
  const [reason, words] = CAUSES[code] ?? family ?? unknown
  return [reason, `${words} (${code})`]
}

const unreachable = (reason: AttemptReason, error: string): Failure => ({
  outcome: 'unreachable',
  reason,
  error,
})

/** For a URL that holds an address that may not be dialled. */
export const blockedAddress = ({ message }: AddressBlocked): Failure => ({
  outcome: 'blocked',
  reason: 'blocked_address',
  error: 'the address is not allowed',
  errorDetail: message,
})

const blockedName = ({ message }: AddressBlocked): Failure => ({
  outcome: 'blocked',
  reason: 'blocked_name',
  error: 'the name points to an address that is not allowed',
  errorDetail: message,
})

/** Of ours, as it is or as the cause of got's. */
function knownFailure(error: unknown): Failure | null {
  for (const candidate of error instanceof Error ? [error, error.cause] : []) {
    // Of a lookup: what stands in the URL itself is refused before anything is dialled.
    if (candidate instanceof AddressBlocked) return blockedName(candidate)
    if (candidate instanceof ProxyFailed) return unreachable(candidate.reason, candidate.message)
    if (candidate instanceof DialFailed) {
      return { ...unreachable(...causeOf(candidate.code)), errorDetail: candidate.details }
    }
  }
  return null
}

/** The code of an error or of what it wraps. */
export const errorCode = (error: unknown): string | null => codedError(error)?.code ?? null

/** Codes of a connection that was closed. */
const CLOSED_CODES = new Set(['ECONNRESET', 'EPIPE'])

export const isClosed = (error: unknown): boolean => CLOSED_CODES.has(errorCode(error) ?? '')

/** got's own codes say nothing and are skipped. */
function codedError(error: unknown): { code: string; message: string } | null {
  if (!(error instanceof Error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const isOurs = code !== '' && !code.startsWith('ERR_GOT')
  return isOurs ? { code, message: error.message } : codedError(error.cause)
}
