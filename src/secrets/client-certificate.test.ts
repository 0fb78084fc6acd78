import { createPrivateKey } from 'node:crypto'
import t from 'tap'
import { makeCertificates } from '../testing/servers/certificates.ts'
import {
  type CertificateMistake,
  ClientCertificateInvalid,
  describeCertificate,
  readClientCertificate,
} from './client-certificate.ts'

const { ca, client, otherClient, expired, weak } = await makeCertificates()
const DAY_MS = 86_400_000

function mistakesIn(certificate: string, privateKey: string, now = new Date()) {
  try {
    readClientCertificate({ certificate, privateKey }, now)
    return []
  } catch (error) {
    if (!(error instanceof ClientCertificateInvalid)) throw error
    return error.mistakes
  }
}

t.test('takes a certificate with its key, alone or with its authorities', async (t) => {
  t.strictSame(mistakesIn(client.cert, client.key), [])
  t.strictSame(mistakesIn(client.cert + ca, client.key), [])
})

t.test('what is stored is nothing but PEM, the key as PKCS #8', async (t) => {
  const ecKey = createPrivateKey(client.key).export({ type: 'sec1', format: 'pem' }) as string
  const read = readClientCertificate(
    {
      certificate: `Subject: me\n${client.cert.replaceAll('\n', '\r\n')}\n# ca\n${ca}`,
      privateKey: ecKey,
    },
    new Date(),
  )
  t.equal(read.certificate, client.cert + ca)
  t.equal(read.privateKey, client.key)
})

t.test('a certificate is described by what is public of it', async (t) => {
  const described = describeCertificate(client.cert + ca)
  t.match(described, {
    subject: 'CN=client',
    issuer: 'CN=ca',
    serialNumber: /^[0-9A-F]+$/,
    fingerprint: /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/,
  })
  t.ok(described.validFrom < described.validTo)
})

const { validFrom, validTo } = describeCertificate(client.cert)
const encrypted = createPrivateKey(client.key).export({
  ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
}) as string
const broken = client.cert.replace(/\n.{20}/, '\n')

const MISTAKES: [
  name: string,
  certificate: string,
  privateKey: string,
  mistakes: [CertificateMistake['field'], RegExp][],
][] = [
  ['the key of another', client.cert, otherClient.key, [['privateKey', /^does not belong to/]]],
  ['an expired one', expired.cert, expired.key, [['certificate', /^has expired at \d{4}-.*Z$/]]],
  [
    'authorities first',
    ca + client.cert,
    client.key,
    [
      ['certificate', /^is out of order: number 2 did not issue number 1; .* comes first$/],
      ['privateKey', /^does not belong/],
    ],
  ],
  [
    'somebody unrelated in it',
    client.cert + otherClient.cert,
    client.key,
    [['certificate', /^is out of order: number 2/]],
  ],
  [
    'nothing but text',
    'certificate',
    'key',
    [
      ['certificate', /^is not a certificate in PEM$/],
      ['privateKey', /^is not a private key in PEM$/],
    ],
  ],
  ['a broken one', broken, client.key, [['certificate', /cannot be read$/]]],
  ['eleven of them', client.cert.repeat(11), client.key, [['certificate', /^has more than 10/]]],
  ['an encrypted key', client.cert, encrypted, [['privateKey', /^is encrypted; /]]],
  [
    'a certificate for the key',
    client.cert,
    client.cert,
    [['privateKey', /^is not a private key/]],
  ],
  [
    'a key that TLS refuses',
    weak.cert,
    weak.key,
    [['certificate', /^cannot be used .*TOO_SMALL\)$/]],
  ],
  [
    'too much text',
    ' '.repeat(65_537),
    ' '.repeat(65_537),
    [
      ['certificate', /^is longer than 65536/],
      ['privateKey', /^is longer than 65536/],
    ],
  ],
]
for (const [name, certificate, privateKey, expectedMistakes] of MISTAKES) {
  t.test(`refuses ${name} and says so, without repeating it`, async (t) => {
    const mistakes = mistakesIn(certificate, privateKey)
    t.strictSame(
      mistakes.map(({ field }) => field),
      expectedMistakes.map(([field]) => field),
    )
    t.match(
      mistakes.map(({ message }) => message),
      expectedMistakes.map(([, message]) => message),
    )
    t.notMatch(JSON.stringify(mistakes), /BEGIN/)
  })
}

t.test(
  'is taken from its first moment to its last, for every certificate of the chain',
  async (t) => {
    const at = (time: number, chain = client.cert) =>
      mistakesIn(chain, client.key, new Date(time)).map(({ message }) => message)
    t.match(at(validFrom.getTime() - 1), [/^is not valid before /])
    t.strictSame(at(validFrom.getTime()), [])
    t.strictSame(at(validTo.getTime() - 1), [])
    t.match(at(validTo.getTime()), [/^has expired at /])
    t.match(at(validTo.getTime() + DAY_MS, client.cert + ca), [/^has expired at /])
  },
)
