import type { AttemptReason } from '../attempts/reason.ts'
import { AddressBlocked } from './egress.ts'
import { ProxyFailed } from './proxy.ts'

/** Why no answer came: what it means for programs, and words for the customer who owns the receiver. */
export interface Failure {
  outcome: 'unreachable' | 'blocked' | 'interrupted'
  reason: AttemptReason
  error: string
}

export const INTERRUPTED: Failure = {
  outcome: 'interrupted',
  reason: 'runner_stopped',
  error: 'the runner stopped before the receiver answered',
}

/**
 * A receiver may close an idle connection at the moment we use it (RFC 9112, 9.3.1). Nothing was answered, so
 * this is our bad luck and no failed attempt. It may have taken the event all the same, so what follows is an
 * attempt of its own: no request without a row in the audit log.
 */
export const CLOSED_UNDER_US: Failure = {
  outcome: 'interrupted',
  reason: 'keepalive_closed',
  error: 'the receiver closed the kept-alive connection as it was used',
}

/** What a request waits for, one after the other. */
export type Phase = 'dns' | 'connect' | 'tls' | 'answer'

const MISSED: Record<Phase, string> = {
  dns: 'the name did not resolve',
  connect: 'no connection',
  tls: 'no secure connection',
  answer: 'no complete answer',
}

export const timedOut = (timeoutMs: number, phase: Phase): Failure =>
  unreachable(`timeout_${phase}`, `${MISSED[phase]} within ${timeoutMs / 1000} s`)

const NO_TLS = 'no secure connection'

type Cause = [reason: AttemptReason, words: string]

/** Codes of Node, libuv and OpenSSL that deserve better words than their family's. */
const CAUSES: Record<string, Cause> = {
  ENOTFOUND: ['dns_not_found', 'the name did not resolve'],
  EAI_AGAIN: ['dns_failed', 'the name servers did not answer'],
  ECONNREFUSED: ['connection_refused', 'refused, nothing listens there'],
  ECONNRESET: ['connection_closed', 'closed before a complete answer came'],
  EPIPE: ['connection_closed', 'closed before a complete answer came'],
  EHOSTUNREACH: ['connection_unreachable', 'no route to the host'],
  ENETUNREACH: ['connection_unreachable', 'no route to the network'],
  ETIMEDOUT: ['timeout_connect', 'the connection could not be established in time'],
  HPE_HEADER_OVERFLOW: ['bad_answer', 'the headers of the answer are larger than 16 KiB'],
  CERT_HAS_EXPIRED: ['tls_certificate', 'the certificate has expired'],
  CERT_NOT_YET_VALID: ['tls_certificate', 'the certificate is not valid yet'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls_certificate', 'the certificate is self-signed'],
  SELF_SIGNED_CERT_IN_CHAIN: [
    'tls_certificate',
    'the certificate chain ends in a self-signed certificate',
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['tls_certificate', 'the certificate chain is incomplete'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    'tls_certificate',
    'the certificate is from an unknown authority',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls_certificate', 'the certificate is for another host name'],
}

/** First match wins. */
const FAMILIES: [RegExp, Cause][] = [
  [/^(ENODATA|EAI_NO)/, ['dns_not_found', 'the name did not resolve']],
  [/^(EAI_|ESERVFAIL)/, ['dns_failed', 'the name did not resolve']],
  // Alerts of the receiver; only certificates of ours can be meant.
  [
    /ALERT_CERTIFICATE_REQUIRED/,
    ['tls_client_certificate', 'the receiver asks for a client certificate'],
  ],
  [
    /ALERT_.*(CERTIFICATE|UNKNOWN_CA)/,
    ['tls_client_certificate', 'the receiver refused the client certificate'],
  ],
  [/^HPE_/, ['bad_answer', 'the answer is not valid HTTP']],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER/, ['tls_protocol', NO_TLS]],
  [/CERT|SIGNATURE|CRL/, ['tls_certificate', NO_TLS]],
  [/^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO)/, ['tls_failed', NO_TLS]],
  [/^(ERR_INVALID|ERR_HTTP|ERR_UNESCAPED)/, ['unsendable', 'the URL or a header cannot be sent']],
]

const UNKNOWN: Cause = ['connection_failed', 'the connection failed']

/** Puts an error of got, Node or our lookup into words; never a message or stack of theirs. */
export function describeFailure(error: unknown): Failure {
  const known = knownFailure(error)
  if (known) return known
  const code = errorCode(error)
  if (code === null) return unreachable(...UNKNOWN)
  const [reason, words] = causeOf(code)
  return unreachable(reason, `${words} (${code})`)
}

const causeOf = (code: string): Cause =>
  CAUSES[code] ?? FAMILIES.find(([pattern]) => pattern.test(code))?.[1] ?? UNKNOWN

const unreachable = (reason: AttemptReason, error: string): Failure => ({
  outcome: 'unreachable',
  reason,
  error,
})

/** For a URL that holds an address that may not be dialled. */
export const blockedAddress = ({ message }: AddressBlocked): Failure => ({
  outcome: 'blocked',
  reason: 'blocked_address',
  error: message,
})

const blockedName = ({ address }: AddressBlocked): Failure => ({
  outcome: 'blocked',
  reason: 'blocked_name',
  error: `the name leads to ${address}, which is not a public address`,
})

/** Of ours, as it is or as the cause of got's. */
function knownFailure(error: unknown): Failure | null {
  for (const candidate of error instanceof Error ? [error, error.cause] : []) {
    // Of a lookup: what stands in the URL itself is refused before anything is dialled.
    if (candidate instanceof AddressBlocked) return blockedName(candidate)
    if (candidate instanceof ProxyFailed) return unreachable(candidate.reason, candidate.message)
  }
  return null
}

/** The code of an error or of what it wraps; got's own codes say nothing and are skipped. */
export function errorCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null
  return code && !code.startsWith('ERR_GOT') ? code : errorCode(error.cause)
}
