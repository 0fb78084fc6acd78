import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { sign } from './signature.ts'
import {
  fromStoredForm,
  InvalidSecret,
  keyBytesOf,
  readSecret,
  type SecretEncoding,
  storedForm,
  warningOf,
} from './signing-secret.ts'

const bytes = (length: number) =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 37 + 11) % 256))
const whsec = (length: number) => `whsec_${bytes(length).toString('base64')}`
const hex = bytes(32).toString('hex')
/** Has characters that the other alphabet has not. */
const urlSafe = Buffer.concat([Buffer.from('fbff', 'hex'), bytes(30)]).toString('base64url')

/** As each of them hands secrets out, with what signs there. */
const HANDED_OUT: [
  who: string,
  secret: string,
  asked: SecretEncoding | undefined,
  read: SecretEncoding,
  key: Buffer,
][] = [
  ['Standard Webhooks, 24 bytes', whsec(24), undefined, 'base64', bytes(24)],
  ['Standard Webhooks, 64 bytes', whsec(64), undefined, 'base64', bytes(64)],
  [
    'Standard Webhooks, without padding',
    whsec(25).replace(/=+$/, ''),
    undefined,
    'base64',
    bytes(25),
  ],
  ['Svix, 75 bytes', whsec(75), undefined, 'base64', bytes(75)],
  ['Svix, without the prefix', bytes(24).toString('base64'), 'base64', 'base64', bytes(24)],
  [
    'Stripe',
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'text',
    'text',
    Buffer.from('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'),
  ],
  [
    'Stripe, not base64',
    'whsec_test.secret!of-stripe',
    undefined,
    'text',
    Buffer.from('whsec_test.secret!of-stripe'),
  ],
  [
    'Stripe, words',
    'whsec_my_own_secret_value_for_tests',
    undefined,
    'text',
    Buffer.from('whsec_my_own_secret_value_for_tests'),
  ],
  [
    'GitHub, a phrase',
    "It's a Secret to Everybody",
    undefined,
    'text',
    Buffer.from("It's a Secret to Everybody"),
  ],
  ['GitHub, hex', 'a'.repeat(40), undefined, 'text', Buffer.from('a'.repeat(40))],
  [
    'Convoy',
    'hk3SxyGpM9rTQ2vLwZ1bUa7cd',
    undefined,
    'text',
    Buffer.from('hk3SxyGpM9rTQ2vLwZ1bUa7cd'),
  ],
  ['Outpost', hex, undefined, 'text', Buffer.from(hex)],
  ['Outpost with a prefix', `whsec_${hex}`, undefined, 'text', Buffer.from(`whsec_${hex}`)],
  ['hex that is decoded', hex, 'hex', 'hex', bytes(32)],
  ['hex in capitals', hex.toUpperCase(), 'hex', 'hex', bytes(32)],
  ['URL-safe base64', urlSafe, 'base64url', 'base64url', Buffer.from(urlSafe, 'base64url')],
  [
    'URL-safe base64, padded',
    `${urlSafe}=`,
    'base64url',
    'base64url',
    Buffer.from(urlSafe, 'base64url'),
  ],
  [
    'URL-safe base64 with a prefix',
    `whsec_${urlSafe}`,
    'base64url',
    'base64url',
    Buffer.from(urlSafe, 'base64url'),
  ],
  ['URL-safe base64 as text', urlSafe, undefined, 'text', Buffer.from(urlSafe)],
  ['beyond ASCII', 'geheimes Wörterbuch', undefined, 'text', Buffer.from('geheimes Wörterbuch')],
  ['8 bytes', '12345678', undefined, 'text', Buffer.from('12345678')],
  ['256 bytes', 'x'.repeat(256), undefined, 'text', Buffer.from('x'.repeat(256))],
  ['what looks stored', 'text:abcdefgh', undefined, 'text', Buffer.from('text:abcdefgh')],
]

for (const [who, secret, asked, encoding, key] of HANDED_OUT) {
  t.test(`a secret of ${who} signs with its ${key.length} bytes, and stays as it is`, async (t) => {
    const read = readSecret(secret, asked)
    t.strictSame(read, { secret, encoding })
    t.ok(keyBytesOf(read).equals(key))
    t.strictSame(fromStoredForm(storedForm(read)), read)

    const timestampSeconds = Math.floor(Date.now() / 1000)
    const message = { id: 'msg_1', timestampSeconds, body: '{"a":1}' }
    const signature = sign({ ...message, secrets: [storedForm(read)] })
    const plain = createHmac('sha256', key)
      .update(`msg_1.${timestampSeconds}.{"a":1}`)
      .digest('base64')
    t.equal(signature, `v1,${plain}`)
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(timestampSeconds),
      'webhook-signature': signature,
    }
    const receiver =
      encoding === 'base64' ? new Webhook(secret) : new Webhook(key, { format: 'raw' })
    t.strictSame(receiver.verify(message.body, headers), { a: 1 })
  })
}

const REFUSED: [what: string, secret: string, asked: SecretEncoding | undefined, why: RegExp][] = [
  ['empty', '', undefined, /^is empty/],
  ['empty behind the prefix', 'whsec_AAA', 'base64', /signs with 2 bytes/],
  ['1 byte', 'x', undefined, /^signs with 1 byte, which can be guessed/],
  ['7 bytes', 'abcdefg', undefined, /signs with 7 bytes/],
  ['7 bytes in hex', '00'.repeat(7), 'hex', /signs with 7 bytes/],
  ['257 bytes', 'x'.repeat(257), undefined, /longer than 256 bytes/],
  ['129 characters of 2 bytes', 'ö'.repeat(129), undefined, /longer than 256 bytes/],
  ['10 KB', 'x'.repeat(10_240), undefined, /longer than 256 bytes/],
  ['a blank at the end', `${whsec(32)} `, undefined, /ends with a blank/],
  ['a blank at the beginning', ` ${whsec(32)}`, 'text', /begins or ends with a blank/],
  ['a line break at the end', `${whsec(32)}\n`, undefined, /U\+000A, a line break/],
  ['NUL', 'abcdefgh\0', undefined, /U\+0000, NUL/],
  ['what cannot be seen', 'abcdefgh\u200b', 'text', /U\+200B/],
  ['a lone surrogate', 'abcdefgh\ud800', undefined, /lone surrogate/],
  ['a public key', 'whpk_11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', undefined, /public key/],
  ['a public key as text', 'whpk_11qYAYKxCrfVS', 'text', /public key/],
  ['a private key as text', `whsk_${'A'.repeat(43)}=`, 'text', /whose encoding is base64/],
  ['a private key as hex', `whsk_${'A'.repeat(43)}=`, 'hex', /whose encoding is base64/],
  ['a private key that is not base64', 'whsk_not!base64', undefined, /not base64/],
  ['23 bytes', whsec(23), undefined, /say how to read it/],
  ['76 bytes', whsec(76), undefined, /say how to read it/],
  ['a character missing', whsec(32).slice(0, -2), undefined, /say how to read it/],
  ['a character too many', `${whsec(32).slice(0, -1)}AB`, undefined, /say how to read it/],
  [
    'bits that no byte has',
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB==',
    undefined,
    /say how to read it/,
  ],
  [
    'bits that no byte has, as base64',
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB==',
    'base64',
    /wrong or missing/,
  ],
  ['URL-safe characters behind whsec_', `whsec_${urlSafe}`, undefined, /say how to read it/],
  ['URL-safe characters as base64', urlSafe, 'base64', /is not base64/],
  [
    'other characters as URL-safe base64',
    bytes(32).toString('base64'),
    'base64url',
    /is not URL-safe base64/,
  ],
  ['a blank inside base64', 'MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw', 'base64', /is not base64/],
  ['odd hex', 'abc'.repeat(11), 'hex', /is not hex/],
  ['hex with another letter', 'g0'.repeat(16), 'hex', /is not hex/],
]

for (const [what, secret, asked, why] of REFUSED) {
  t.test(`a secret of ${what} is refused in words that do not repeat it`, async (t) => {
    try {
      readSecret(secret, asked)
      t.fail('refused')
    } catch (error) {
      t.ok(error instanceof InvalidSecret)
      t.match((error as Error).message, why)
      if (secret.length > 12) t.notMatch((error as Error).message, secret.slice(6))
    }
  })
}

t.test('every secret of Standard Webhooks is read as one', async (t) => {
  for (let round = 0; round < 500; round++) {
    const secret = `whsec_${randomBytes(24 + (round % 52)).toString('base64')}`
    t.equal(readSecret(secret).encoding, 'base64', secret)
  }
})

t.test('a weak secret is called weak, a strong one is not', async (t) => {
  const warningFor = (secret: string, encoding?: SecretEncoding) =>
    warningOf(readSecret(secret, encoding))
  t.equal(warningFor(whsec(24)), null)
  t.equal(warningFor(whsec(64)), null)
  t.equal(warningFor(hex), null)
  t.equal(warningFor(hex, 'hex'), null)
  t.match(warningFor('mysecret1'), /^Weak: 46 bits at most, where 128 are advised/)
  t.match(warningFor('1234567890'), /^Weak: 33 bits/)
  t.match(warningFor('a'.repeat(64)), /^Weak: 16 bits/, 'however often a character is repeated')
  t.match(warningFor(`whsec_${Buffer.alloc(32).toString('base64')}`), /^Weak/)
  t.match(warningFor('0'.repeat(31), 'text'), /^Weak/)
  t.equal(warningFor('0123456789abcdef0123456789abcdef'), null, '32 hex digits have 128 bits')
  t.match(warningFor('0123456789abcdef0123456789abcde'), /^Weak: 124 bits/)
  t.match(
    warningFor(bytes(16).toString('base64'), 'base64'),
    /^Standard Webhooks ask for 24 to 64 bytes, this key has 16/,
  )
})

t.test('where libraries of Standard Webhooks read a secret otherwise, that is said', async (t) => {
  t.match(warningOf(readSecret(`whsec_${hex}`)), /whsec_ included/)
  t.match(warningOf(readSecret(whsec(75))), /24 to 64 bytes, this key has 75/)
  t.match(warningOf(readSecret('Grüße an alle, die dies lesen')), /UTF-8/)
  t.equal(warningOf(readSecret(`whsk_${bytes(32).toString('base64')}`)), null)
})
