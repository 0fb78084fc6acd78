import t from 'tap'
import { AddressBlocked } from './egress.ts'
import { describeFailure, errorCode } from './failure.ts'
import type { AttemptReason } from './reason.ts'

const withCode = (code: string) => Object.assign(new Error('secret path /home/x'), { code })

const CASES: [code: string, reason: AttemptReason, words: RegExp][] = [
  ['ENOTFOUND', 'dns_not_found', /\(ENOTFOUND\)$/],
  ['EAI_AGAIN', 'dns_failed', /^the name servers/],
  ['ENODATA', 'dns_not_found', /^the name/],
  ['ESERVFAIL', 'dns_failed', /^the name/],
  ['EAI_FAIL', 'dns_failed', /^the name/],
  ['ECONNREFUSED', 'connection_refused', /was refused/],
  ['ECONNRESET', 'connection_closed', /was closed/],
  ['EPIPE', 'connection_closed', /was closed/],
  ['ETIMEDOUT', 'timeout_connect', /in time/],
  ['EHOSTUNREACH', 'connection_unreachable', /^no route/],
  ['ENETUNREACH', 'connection_unreachable', /^no route/],
  ['EADDRNOTAVAIL', 'connection_failed', /^the connection failed \(EADDRNOTAVAIL\)$/],
  ['HPE_HEADER_OVERFLOW', 'bad_answer', /16 KiB/],
  ['HPE_INVALID_CONSTANT', 'bad_answer', /not valid HTTP/],
  ['CERT_HAS_EXPIRED', 'tls_certificate', /expired/],
  ['CERT_REVOKED', 'tls_certificate', /revoked/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls_certificate', /self-signed/],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'tls_protocol', /^no secure/],
  ['EPROTO', 'tls_failed', /^no secure/],
  ['ERR_INVALID_CHAR', 'unsendable', /cannot be sent/],
]

for (const [code, reason, words] of CASES) {
  t.test(`says ${reason} of ${code}, and puts it into words`, async (t) => {
    const failure = describeFailure(withCode(code))
    t.match(failure, { outcome: 'unreachable', reason, error: words })
    t.notMatch(failure.error, /secret|home/)
  })
}

/** All that Node has for what OpenSSL finds wrong with a certificate (doc/api/tls.md), but for want of memory. */
const CERTIFICATE_CODES = [
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE'],
  ...['UNABLE_TO_DECRYPT_CRL_SIGNATURE', 'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY'],
  ...['CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'],
  ...['CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'ERROR_IN_CERT_NOT_BEFORE_FIELD'],
  ...['ERROR_IN_CERT_NOT_AFTER_FIELD', 'ERROR_IN_CRL_LAST_UPDATE_FIELD'],
  ...['ERROR_IN_CRL_NEXT_UPDATE_FIELD', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ...['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['CERT_CHAIN_TOO_LONG', 'CERT_REVOKED', 'INVALID_CA', 'PATH_LENGTH_EXCEEDED'],
  ...['INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH'],
]

t.test('each code that Node has for a bad certificate says so', async (t) => {
  for (const code of CERTIFICATE_CODES) {
    t.match(describeFailure(withCode(code), 'tls'), { reason: 'tls_certificate' }, code)
  }
})

t.test('what is not known is known to have failed in the handshake', async (t) => {
  t.match(describeFailure(withCode('OUT_OF_MEM'), 'tls'), {
    reason: 'tls_failed',
    error: 'no secure connection (OUT_OF_MEM)',
  })
  t.match(describeFailure(new Error('stack and all'), 'tls'), {
    reason: 'tls_failed',
    error: 'no secure connection',
  })
  t.match(describeFailure(withCode('OUT_OF_MEM'), 'answer'), { reason: 'connection_failed' })
})

t.test('a refused address is blocked, also inside the error of got', async (t) => {
  const refusal = new AddressBlocked('10.0.0.1')
  const expected = {
    outcome: 'blocked',
    reason: 'blocked_name',
    error: 'the name points to an address that is not allowed',
    errorDetail: '10.0.0.1 is not a public address',
  }
  t.strictSame(describeFailure(refusal), expected)
  t.strictSame(describeFailure(new Error('wrapped', { cause: refusal })), expected)
})

t.test('what is no error of any kind we know stays without details', async (t) => {
  const expected = {
    outcome: 'unreachable',
    reason: 'connection_failed',
    error: 'the connection failed',
  }
  t.strictSame(describeFailure(new Error('stack and all')), expected)
  t.strictSame(describeFailure('text'), expected)
  t.strictSame(describeFailure(undefined), expected)
})

t.test('looks past the codes of got to what it wraps', async (t) => {
  const wrapped = Object.assign(new Error('x', { cause: withCode('EPIPE') }), {
    code: 'ERR_GOT_REQUEST_ERROR',
  })
  t.equal(errorCode(wrapped), 'EPIPE')
})
