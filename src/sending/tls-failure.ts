import type { AttemptReason } from './reason.ts'

/** What a failure is for programs, and for people. */
export type Cause = [reason: AttemptReason, words: string]

/** The part of OpenSSL that does TLS, in the numbers of its errors. */
const SSL_LIBRARY = 20
/** Alerts of the other side (RFC 8446, 6) are counted from here. */
const ALERT = 1_000
/** `error:0A00042E:SSL routines:…:tlsv1 alert protocol version:…`, wherever Node puts it. */
const OPENSSL_ERROR = /error:([0-9A-F]{8}):[^:]*:[^:]*:([^:\n]*)/

const UNKNOWN: Cause = ['tls_failed', 'no secure connection']
const UNACCEPTABLE: Cause = ['tls_certificate', 'the certificate is not acceptable']
const NO_TLS: Cause = ['tls_failed', 'what listens there does not speak TLS; plain http, perhaps']
const OLD_VERSION: Cause = ['tls_protocol', 'the receiver speaks no version of TLS from 1.2 on']
const WEAK_KEY: Cause = ['tls_certificate', 'the key of the certificate is too weak']
const WEAK_AUTHORITY_KEY: Cause = [
  'tls_certificate',
  'the key of an authority in the certificate chain is too weak',
]
const WEAK_SIGNATURE: Cause = [
  'tls_certificate',
  'a certificate of the chain is signed with an algorithm that is too weak',
]
const WEAK_EXCHANGE: Cause = [
  'tls_protocol',
  'the Diffie-Hellman parameters of the receiver are too weak',
]
const NOTHING_COMMON: Cause = [
  'tls_protocol',
  'the receiver shares no cipher, curve or signature algorithm with this service',
]
const CLIENT_CERTIFICATE: Cause = [
  'tls_client_certificate',
  'the receiver refused the client certificate, or requires one',
]

/**
 * Reasons of OpenSSL, by number (sslerr.h): those are the same in all its versions, unlike its texts and what
 * Node makes of these. And of a handshake that fails while it is written to, Node has one code for everything.
 */
const REASONS: Record<number, Cause> = {
  102: WEAK_EXCHANGE,
  123: ['tls_certificate', 'the receiver could not prove that the certificate is its own'],
  148: WEAK_EXCHANGE,
  156: NO_TLS,
  198: NO_TLS,
  252: NO_TLS,
  258: OLD_VERSION,
  259: OLD_VERSION,
  261: NOTHING_COMMON,
  266: OLD_VERSION,
  267: NO_TLS,
  294: ['connection_closed', 'the receiver closed the connection during the TLS handshake'],
  306: NOTHING_COMMON,
  333: WEAK_SIGNATURE,
  338: ['tls_protocol', 'the receiver knows only unsafe renegotiation (it lacks RFC 5746)'],
  370: WEAK_SIGNATURE,
  378: NOTHING_COMMON,
  394: WEAK_EXCHANGE,
  396: OLD_VERSION,
  397: WEAK_AUTHORITY_KEY,
  398: WEAK_SIGNATURE,
  399: WEAK_KEY,
  // Servers of TLS 1.2 say the same when they miss a client certificate.
  [ALERT + 40]: ['tls_protocol', `${NOTHING_COMMON[1]}, or requires a client certificate`],
  [ALERT + 41]: CLIENT_CERTIFICATE,
  [ALERT + 42]: CLIENT_CERTIFICATE,
  [ALERT + 43]: CLIENT_CERTIFICATE,
  [ALERT + 44]: [
    'tls_client_certificate',
    'the receiver says that the client certificate is revoked',
  ],
  [ALERT + 45]: [
    'tls_client_certificate',
    'the receiver says that the client certificate has expired',
  ],
  [ALERT + 46]: CLIENT_CERTIFICATE,
  [ALERT + 48]: [
    'tls_client_certificate',
    'the receiver does not know the authority of the client certificate',
  ],
  [ALERT + 49]: ['tls_client_certificate', 'the receiver does not let this client in'],
  [ALERT + 70]: OLD_VERSION,
  [ALERT + 71]: NOTHING_COMMON,
  [ALERT + 80]: ['tls_failed', 'the receiver failed during the handshake'],
  [ALERT + 86]: OLD_VERSION,
  [ALERT + 112]: ['tls_protocol', 'the receiver does not know the host name of the URL'],
  [ALERT + 116]: ['tls_client_certificate', 'the receiver asks for a client certificate'],
  [ALERT + 120]: ['tls_protocol', 'the receiver does not speak HTTP/1.1'],
}

/** Why Node refused a certificate, by its codes. */
const CERTIFICATES: Record<string, string> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate is revoked',
  CERT_SIGNATURE_FAILURE: 'a signature in the certificate chain is wrong',
  CERT_CHAIN_TOO_LONG: 'the certificate chain is too long',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate chain ends in a self-signed certificate',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'a signature in the certificate chain cannot be read',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
    'the key of an authority in the certificate chain cannot be read',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'a date in the certificate is not valid',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'a date in the certificate is not valid',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate chain is incomplete',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate chain is incomplete',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is from an unknown authority',
  INVALID_CA: 'a certificate of the chain is not allowed to certify others',
  PATH_LENGTH_EXCEEDED: 'a certificate of the chain is not allowed to certify others',
  INVALID_PURPOSE: 'the certificate is not for servers, or one of its chain not for certifying',
  CERT_UNTRUSTED: 'the authority of the certificate is not trusted for servers',
  CERT_REJECTED: 'the authority of the certificate is not trusted for servers',
  HOSTNAME_MISMATCH: 'the certificate is for another host name',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
}

/** For most reasons OpenSSL has to refuse a certificate Node has one code, and the text of OpenSSL. */
const UNSPECIFIED: Record<string, Cause> = {
  'EE certificate key too weak': WEAK_KEY,
  'CA certificate key too weak': WEAK_AUTHORITY_KEY,
  'CA signature digest algorithm too weak': WEAK_SIGNATURE,
}
/** What such a text looks like. Anything else is not shown. */
const OPENSSL_TEXT = /^[A-Za-z0-9 ,()'-]{1,80}$/

/** Why a handshake failed, with the code to look it up by; `null` when it failed for no reason of TLS. */
export function describeTlsFailure(code: string, message: string): Cause | null {
  const [, hex = '', text = ''] = OPENSSL_ERROR.exec(message) ?? []
  const number = numberOf(Number.parseInt(hex, 16))
  if (number !== null) {
    const [reason, words] = REASONS[number] ?? UNKNOWN
    return [reason, `${words} (ERR_SSL_${text.toUpperCase().replaceAll(' ', '_')})`]
  }
  if (CERTIFICATES[code]) return ['tls_certificate', `${CERTIFICATES[code]} (${code})`]
  if (code !== 'UNSPECIFIED') return null
  const [reason, words] = UNSPECIFIED[message] ?? UNACCEPTABLE
  return [reason, OPENSSL_TEXT.test(message) ? `${words} (${message})` : words]
}

/** The reason in an error of OpenSSL's TLS: 23 bits below the library. */
function numberOf(error: number): number | null {
  return error >>> 23 === SSL_LIBRARY ? error & 0x7fffff : null
}
