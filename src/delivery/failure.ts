import { AddressBlocked } from './egress.ts'
import { ProxyFailed } from './proxy.ts'

/** Why no answer came: the outcome it means, and words for the customer who owns the receiver. */
export interface Failure {
  outcome: 'unreachable' | 'blocked' | 'interrupted'
  error: string
}

export const INTERRUPTED: Failure = {
  outcome: 'interrupted',
  error: 'interrupted: the runner stopped before the receiver answered',
}

/**
 * A receiver may close an idle connection at the moment we use it (RFC 9112, 9.3.1). Nothing was answered, so
 * this is our bad luck and no failed attempt. It may have taken the event all the same, so what follows is an
 * attempt of its own: no request without a row in the audit log.
 */
export const CLOSED_UNDER_US: Failure = {
  outcome: 'interrupted',
  error: 'interrupted: the receiver closed the kept-alive connection as it was used',
}

export const timedOut = (timeoutMs: number): Failure =>
  unreachable(`timeout: no complete answer within ${timeoutMs / 1000} s`)

/** Codes of Node, libuv and OpenSSL that deserve better words than their family's. */
const WORDS: Record<string, string> = {
  ENOTFOUND: 'dns: the name did not resolve',
  EAI_AGAIN: 'dns: the name servers did not answer',
  ECONNREFUSED: 'connection: refused, nothing listens there',
  ECONNRESET: 'connection: closed before a complete answer came',
  EPIPE: 'connection: closed before a complete answer came',
  EHOSTUNREACH: 'connection: no route to the host',
  ENETUNREACH: 'connection: no route to the network',
  ETIMEDOUT: 'connection: could not be established in time',
  HPE_HEADER_OVERFLOW: 'protocol: the headers of the answer are larger than 16 KiB',
  CERT_HAS_EXPIRED: 'tls: the certificate has expired',
  CERT_NOT_YET_VALID: 'tls: the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls: the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls: the certificate chain ends in a self-signed certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls: the certificate chain is incomplete',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls: the certificate is from an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls: the certificate is for another host name',
}

/** First match wins. */
const FAMILIES: [RegExp, string][] = [
  [/^(EAI_|ENODATA|ESERVFAIL)/, 'dns: the name did not resolve'],
  // Alerts of the receiver; only certificates of ours can be meant.
  [/ALERT_CERTIFICATE_REQUIRED/, 'tls: the receiver asks for a client certificate'],
  [/ALERT_.*(CERTIFICATE|UNKNOWN_CA)/, 'tls: the receiver refused the client certificate'],
  [/^HPE_/, 'protocol: the answer is not valid HTTP'],
  [/^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO)|CERT|SIGNATURE|CRL/, 'tls: no secure connection'],
  [/^(ERR_INVALID|ERR_HTTP|ERR_UNESCAPED)/, 'request: the URL or a header cannot be sent'],
]

/** Puts an error of got, Node or our lookup into words; never a message or stack of theirs. */
export function describeFailure(error: unknown): Failure {
  const known = knownFailure(error)
  if (known) return known
  const code = errorCode(error)
  if (code === null) return unreachable('connection: failed')
  const words = WORDS[code] ?? FAMILIES.find(([pattern]) => pattern.test(code))?.[1]
  return unreachable(`${words ?? 'connection: failed'} (${code})`)
}

/** For a URL that leads to an address that may not be dialled. */
export const blockedBy = (refusal: AddressBlocked): Failure => ({
  outcome: 'blocked',
  error: `blocked: ${refusal.message}`,
})

const unreachable = (error: string): Failure => ({ outcome: 'unreachable', error })

/** Of ours, as it is or as the cause of got's. */
function knownFailure(error: unknown): Failure | null {
  for (const candidate of error instanceof Error ? [error, error.cause] : []) {
    if (candidate instanceof AddressBlocked) return blockedBy(candidate)
    if (candidate instanceof ProxyFailed) return unreachable(`proxy: ${candidate.message}`)
  }
  return null
}

/** The code of an error or of what it wraps; got's own codes say nothing and are skipped. */
export function errorCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null
  return code && !code.startsWith('ERR_GOT') ? code : errorCode(error.cause)
}
