import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import tls, { type TlsOptions } from 'node:tls'
import t from 'tap'
import {
  makeBadCertificates,
  makeCertificates,
  trustOnly,
} from '../testing/servers/certificates.ts'
import { startRawReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import type { LookupAll } from './lookup.ts'
import { describeTlsFailure } from './tls-failure.ts'

const good = await makeCertificates()
const bad = await makeBadCertificates()
trustOnly(t, [good.ca, ...bad.cas])

const LOOPBACK: LookupAll = (_name, _options, done) =>
  done(null, [{ address: '127.0.0.1', family: 4 }])

/** `reason: error` of an attempt that is made to `https://receiver.test` at this port. */
async function failureAt(port: number): Promise<string> {
  await using sender = startSender({ lookup: LOOPBACK })
  const { outcome, reason, error } = await sender.send(`https://receiver.test:${port}/`)
  t.equal(outcome, 'unreachable')
  return `${reason}: ${error}`
}

/** Ciphers and keys that OpenSSL by itself does not offer any more. */
const OF_OLD = 'ALL:@SECLEVEL=0'
const OF_OLD_ELLIPTIC = 'ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0'
/** Made with `openssl dhparam -2 1024`, which takes seconds. */
const DH_1024 = `-----BEGIN DH PARAMETERS-----
MIGHAoGBALBxgI+aVz2hiqsY5aSf27teW3+BdL4jnNEQIDpKXcK87z39b0YNKFtw
Aw7UIvJ7LlpqupBh9VM77kGmrGWtREVbgrldSGmA/gvTVPWxShzkOqurJ4tbk9I5
CiaxF7MR81aYC4SR2vMmD6uxSaUuw69aQMZ1zwWUH7JbZga0zCmnAgEC
-----END DH PARAMETERS-----`

/** A TLS server that answers nobody; what fails is the handshake. */
async function startTlsServer(options: TlsOptions) {
  const server = tls.createServer(options)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

const CERTIFICATES: [name: string, certificate: TlsOptions, words: string][] = [
  ['expired', good.expired, 'the certificate has expired (CERT_HAS_EXPIRED)'],
  ['not valid yet', bad.notYetValid, 'the certificate is not valid yet (CERT_NOT_YET_VALID)'],
  ['for another name', good.wrongHost, 'the certificate is for another host name (ERR_TLS_CERT'],
  ['self-signed', good.selfSigned, 'the certificate is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)'],
  ['of an unknown authority', bad.unknownAuthority, 'the certificate chain is incomplete (UNABLE'],
  [
    'of a self-signed authority that it brings along',
    bad.ownAuthority,
    'the certificate chain ends in a self-signed certificate (SELF_SIGNED_CERT_IN_CHAIN)',
  ],
  [
    'of no authority',
    bad.byNoAuthority,
    'the certificate is not for servers, or one of its chain not for certifying (INVALID_PURPOSE)',
  ],
  [
    'for clients only',
    bad.wrongPurpose,
    'the certificate is not for servers, or one of its chain not for certifying (INVALID_PURPOSE)',
  ],
  ['of a weak key', bad.weakKey, 'the key of the certificate is too weak ('],
  [
    'weakly signed',
    bad.weakSignature,
    'a certificate of the chain is signed with an algorithm that is too weak (',
  ],
  [
    'of a weak authority',
    bad.weakAuthority,
    'the key of an authority in the certificate chain is too weak (',
  ],
]
for (const [name, certificate, words] of CERTIFICATES) {
  t.test(`says of a certificate that it is ${name}`, async (t) => {
    await using server = await startTlsServer({ ...certificate, ciphers: OF_OLD })
    const failure = await failureAt(server.port)
    t.equal(failure.slice(0, words.length + 17), `tls_certificate: ${words}`)
    // Those may be of hosts inside the operator's network, and tenants read this.
    t.notMatch(failure, /\.test\b|localhost|127\.|CN\s*=/i, 'and repeats no name out of it')
  })
}

const NOTHING_COMMON = 'the receiver shares no cipher, curve or signature algorithm'
const OLD_VERSION = 'the receiver speaks no version of TLS from 1.2 on'
const CLIENTS = { ...good.valid, requestCert: true, ca: good.ca }
const HANDSHAKES: [name: string, options: TlsOptions, words: string][] = [
  ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: OF_OLD }, OLD_VERSION],
  ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: OF_OLD }, OLD_VERSION],
  [
    'Diffie-Hellman of 1,024 bits',
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0', dhparam: DH_1024 },
    'the Diffie-Hellman parameters of the receiver are too weak (ERR_SSL_DH_KEY_TOO_SMALL)',
  ],
  ['no encryption', { ciphers: 'NULL-SHA256:@SECLEVEL=0' }, NOTHING_COMMON],
  ['a curve of old', { ciphers: OF_OLD_ELLIPTIC, ecdhCurve: 'secp224r1' }, NOTHING_COMMON],
  ['SHA-1', { ciphers: OF_OLD, sigalgs: 'RSA+SHA1' }, NOTHING_COMMON],
  ['clients that it knows, in TLS 1.2', CLIENTS, NOTHING_COMMON],
]
for (const [name, options, words] of HANDSHAKES) {
  t.test(`says of a receiver that it knows only ${name}`, async (t) => {
    const server = { ...bad.rsa, maxVersion: 'TLSv1.2' as const, ...options }
    await using receiver = await startTlsServer(server)
    t.equal((await failureAt(receiver.port)).slice(0, words.length + 14), `tls_protocol: ${words}`)
  })
}

t.test('says that a receiver asks for a client certificate, in TLS 1.3', async (t) => {
  await using receiver = await startTlsServer({ ...CLIENTS, minVersion: 'TLSv1.3' })
  t.match(
    await failureAt(receiver.port),
    /^tls_client_certificate: the receiver asks for a client certificate \(/,
  )
})

t.test('says that a receiver does not know the name, as OpenSSL refuses it', async (t) => {
  await using server = await startOpensslServer('-servername', 'other.test', '-servername_fatal')
  t.equal(
    await failureAt(server.port),
    'tls_protocol: the receiver does not know the host name of the URL (ERR_SSL_TLSV1_UNRECOGNIZED_NAME)',
  )
})

/** The `openssl` command as a server, on a port that it says. */
async function startOpensslServer(...options: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-tls-'))
  const file = join(folder, 'server.pem')
  await writeFile(file, good.valid.key + good.valid.cert)
  const files = ['-cert', file, '-cert2', file]
  const server = spawn(
    'openssl',
    ['s_server', '-www', '-accept', '127.0.0.1:0', ...files, ...options],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  const exited = once(server, 'exit')
  let port = 0
  for await (const line of createInterface(server.stdout)) {
    port = Number(/^ACCEPT .*:(\d+)$/.exec(line)?.[1] ?? 0)
    if (port > 0) break
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.kill()
      await exited
      await rm(folder, { recursive: true })
    },
  }
}

const ALERTS: [alert: number, words: RegExp][] = [
  [10, /^tls_failed: .*no secure connection \(ERR_SSL_.*UNEXPECTED_MESSAGE\)$/],
  [40, /^tls_protocol: .*shares no cipher.*, or requires a client certificate \(/],
  [42, /^tls_client_certificate: .*refused the client certificate, or requires one \(/],
  [44, /^tls_client_certificate: .*client certificate is revoked \(/],
  [45, /^tls_client_certificate: .*client certificate has expired \(/],
  [46, /^tls_client_certificate: .*refused the client certificate, or requires one \(/],
  [48, /^tls_client_certificate: .*does not know the authority of the client certificate \(/],
  [49, /^tls_client_certificate: .*does not let this client in \(/],
  [70, /^tls_protocol: .*no version of TLS from 1.2 on \(/],
  [71, /^tls_protocol: .*shares no cipher, curve or signature algorithm with this service \(/],
  [80, /^tls_failed: .*failed during the handshake \(/],
  [112, /^tls_protocol: .*does not know the host name of the URL \(/],
  [116, /^tls_client_certificate: .*asks for a client certificate \(/],
  [120, /^tls_protocol: .*does not speak HTTP\/1.1 \(/],
  [200, /^tls_failed: .*no secure connection \(ERR_SSL_/],
]
t.test('puts every alert into words', async (t) => {
  for (const [alert, words] of ALERTS) {
    const answer = Buffer.from([21, 3, 3, 0, 2, 2, alert])
    await using receiver = await startRawReceiver((socket) => {
      socket.once('data', () => socket.end(answer))
    })
    t.match(await failureAt(receiver.port), words, `alert ${alert}`)
  }
})

const SSL_3 = Buffer.concat([
  Buffer.from([22, 3, 0, 0, 42, 2, 0, 0, 38, 3, 0]),
  Buffer.alloc(32),
  Buffer.from([0, 0, 0x2f, 0]),
])
const NO_TLS: [name: string, said: string | Buffer, words: RegExp][] = [
  [
    'http',
    'HTTP/1.1 400 Bad Request\r\n\r\n',
    /^tls_failed: .*does not speak TLS; plain http, perhaps \(/,
  ],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', /^tls_failed: .*does not speak TLS/],
  ['SMTP', '220 mail.test ESMTP\r\n', /^tls_failed: .*does not speak TLS/],
  [
    'SSL 3',
    SSL_3,
    /^tls_protocol: .*no version of TLS from 1.2 on \(ERR_SSL_UNSUPPORTED_PROTOCOL\)$/,
  ],
]
for (const [name, said, words] of NO_TLS) {
  t.test(`says that ${name} is no TLS of today`, async (t) => {
    await using receiver = await startRawReceiver((socket) => void socket.end(said))
    t.match(await failureAt(receiver.port), words)
  })
}

t.test('shows no text but one of OpenSSL about a certificate', async (t) => {
  const unspecified = (text: string) => describeTlsFailure('UNSPECIFIED', text)
  t.strictSame(unspecified('unhandled critical extension'), [
    'tls_certificate',
    'the certificate is not acceptable (unhandled critical extension)',
  ])
  t.strictSame(unspecified('<b>/home/x</b>'), [
    'tls_certificate',
    'the certificate is not acceptable',
  ])
  t.equal(describeTlsFailure('ECONNRESET', 'read ECONNRESET'), null)
  t.equal(describeTlsFailure('X', 'error:0308010C:digital envelope routines::unsupported'), null)
})
