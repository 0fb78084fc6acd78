import t from 'tap'
import { AddressBlocked } from './egress.ts'
import { describeFailure, errorCode } from './failure.ts'

const withCode = (code: string) => Object.assign(new Error('secret path /home/x'), { code })

const CASES: [code: string, words: RegExp][] = [
  ['ENOTFOUND', /^dns: .*\(ENOTFOUND\)$/],
  ['EAI_AGAIN', /^dns: /],
  ['EAI_FAIL', /^dns: /],
  ['ECONNREFUSED', /^connection: refused/],
  ['ECONNRESET', /^connection: closed/],
  ['EPIPE', /^connection: closed/],
  ['ETIMEDOUT', /^connection: /],
  ['EADDRNOTAVAIL', /^connection: failed \(EADDRNOTAVAIL\)$/],
  ['HPE_HEADER_OVERFLOW', /^protocol: .*16 KiB/],
  ['HPE_INVALID_CONSTANT', /^protocol: /],
  ['CERT_HAS_EXPIRED', /^tls: .*expired/],
  ['CERT_REVOKED', /^tls: /],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /^tls: .*self-signed/],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', /^tls: /],
  ['EPROTO', /^tls: /],
  ['ERR_INVALID_CHAR', /^request: /],
]

for (const [code, words] of CASES) {
  t.test(`puts ${code} into words`, async (t) => {
    const { outcome, error } = describeFailure(withCode(code))
    t.equal(outcome, 'unreachable')
    t.match(error, words)
    t.notMatch(error, /secret|home/)
  })
}

t.test('a refused address is blocked, also inside the error of got', async (t) => {
  const refusal = new AddressBlocked('10.0.0.1')
  const expected = { outcome: 'blocked', error: 'blocked: 10.0.0.1 is not a public address' }
  t.strictSame(describeFailure(refusal), expected)
  t.strictSame(describeFailure(new Error('wrapped', { cause: refusal })), expected)
})

t.test('what is no error of any kind we know stays without details', async (t) => {
  const expected = { outcome: 'unreachable', error: 'connection: failed' }
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
