import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import {
  generateSecret,
  parseSecret,
  publicKeyOf,
  sign,
  TIMESTAMP_TOLERANCE_SECONDS,
  verify,
} from './signature.ts'
import { InvalidSecret } from './signing-secret.ts'

/** The published vector of Standard Webhooks. */
const KNOWN = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1_614_265_330,
  body: '{"test": 2432232314}',
}
const KNOWN_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const KNOWN_SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='

/** RFC 8032, 7.1, TEST 1. */
const SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
const PUBLIC = Buffer.from(
  'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  'hex',
)
const base64 = (prefix: string, bytes: Buffer) => `${prefix}_${bytes.toString('base64')}`
const PRIVATE_KEY = base64('whsk', SEED)
const PUBLIC_KEY = base64('whpk', PUBLIC)

t.test('makes the published signature of the published message', async (t) => {
  t.equal(sign({ ...KNOWN, secrets: [KNOWN_SECRET] }), KNOWN_SIGNATURE)
})

t.test('signs the same bytes whether they come as text or as a buffer', async (t) => {
  const body = '{"name":"Zoë 😀"}'
  const asText = sign({ ...KNOWN, body, secrets: [KNOWN_SECRET] })
  t.equal(sign({ ...KNOWN, body: Buffer.from(body), secrets: [KNOWN_SECRET] }), asText)
})

t.test('the standardwebhooks package accepts either secret of a rotation', async (t) => {
  const secrets = [generateSecret(), generateSecret()]
  const timestampSeconds = Math.floor(Date.now() / 1000)
  const signature = sign({ ...KNOWN, timestampSeconds, secrets })
  const headers = {
    'webhook-id': KNOWN.id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signature,
  }
  for (const secret of secrets) {
    t.strictSame(new Webhook(secret).verify(KNOWN.body, headers), { test: 2_432_232_314 })
  }
  t.throws(() => new Webhook(generateSecret()).verify(KNOWN.body, headers))
})

t.test('an ed25519 signature is verified with the public key alone', async (t) => {
  const signature = sign({ ...KNOWN, secrets: [PRIVATE_KEY] })
  t.match(signature, /^v1a,[A-Za-z0-9+/]{86}==$/)
  const nowSeconds = KNOWN.timestampSeconds
  t.strictSame(verify({ ...KNOWN, signature, secrets: [PUBLIC_KEY], nowSeconds }), { valid: true })
  t.match(verify({ ...KNOWN, id: 'other', signature, secrets: [PUBLIC_KEY], nowSeconds }), {
    valid: false,
  })
})

/** Made with `openssl pkeyutl -sign -rawin` from the key of RFC 8032; ed25519 has no randomness. */
const KNOWN_ED_SIGNATURE =
  'v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw=='

t.test('makes the known ed25519 signature of the published message', async (t) => {
  t.equal(sign({ ...KNOWN, secrets: [PRIVATE_KEY] }), KNOWN_ED_SIGNATURE)
  t.strictSame(
    verify({
      ...KNOWN,
      signature: KNOWN_ED_SIGNATURE,
      secrets: [PUBLIC_KEY],
      nowSeconds: KNOWN.timestampSeconds,
    }),
    { valid: true },
  )
})

t.test('the public key of a secret is the one of RFC 8032', async (t) => {
  t.equal(publicKeyOf(PRIVATE_KEY), PUBLIC_KEY)
  t.equal(publicKeyOf(base64('whsk', Buffer.concat([SEED, PUBLIC]))), PUBLIC_KEY)
  t.equal(publicKeyOf(PUBLIC_KEY), PUBLIC_KEY)
  t.equal(publicKeyOf(KNOWN_SECRET), null)
  t.throws(() => publicKeyOf('whsec_nonsense!'), InvalidSecret)
})

t.test(
  'a generated ed25519 key signs what its public key verifies, and is never the same',
  async (t) => {
    const secret = generateSecret('ed25519')
    t.match(secret, /^whsk_[A-Za-z0-9+/]{86}==$/)
    t.not(generateSecret('ed25519'), secret)
    const signature = sign({ ...KNOWN, secrets: [secret] })
    const nowSeconds = KNOWN.timestampSeconds
    const verifiedWith = (key: string | null) =>
      verify({ ...KNOWN, signature, secrets: [key ?? ''], nowSeconds }).valid
    t.equal(verifiedWith(publicKeyOf(secret)), true)
    t.equal(verifiedWith(publicKeyOf(generateSecret('ed25519'))), false)
  },
)

t.test('during a rotation from one kind to the other both sign', async (t) => {
  const signature = sign({ ...KNOWN, secrets: [PRIVATE_KEY, KNOWN_SECRET] })
  t.equal(signature, `${KNOWN_ED_SIGNATURE} ${KNOWN_SIGNATURE}`)
  const nowSeconds = KNOWN.timestampSeconds
  for (const secret of [PUBLIC_KEY, KNOWN_SECRET]) {
    t.strictSame(verify({ ...KNOWN, signature, secrets: [secret], nowSeconds }), { valid: true })
  }
})

t.test('a private key of 64 bytes is the seed and its public key', async (t) => {
  const long = base64('whsk', Buffer.concat([SEED, PUBLIC]))
  t.equal(sign({ ...KNOWN, secrets: [long] }), sign({ ...KNOWN, secrets: [PRIVATE_KEY] }))
  const mixed = base64('whsk', Buffer.concat([SEED, Buffer.from(PUBLIC).reverse()]))
  t.throws(() => parseSecret(mixed), { code: 'secret_invalid' })
})

t.test('a public key cannot sign', async (t) => {
  t.throws(() => sign({ ...KNOWN, secrets: [PUBLIC_KEY] }), InvalidSecret)
})

t.test('verify finds one good signature among others', async (t) => {
  const signature = `v1a,AAAA v2,what v1,${'A'.repeat(43)}= , ${KNOWN_SIGNATURE}`
  const result = verify({
    ...KNOWN,
    signature,
    secrets: [generateSecret(), KNOWN_SECRET],
    nowSeconds: KNOWN.timestampSeconds,
  })
  t.strictSame(result, { valid: true })
})

t.test('verify says why it refuses', async (t) => {
  const nowSeconds = KNOWN.timestampSeconds
  const valid = { ...KNOWN, signature: KNOWN_SIGNATURE, secrets: [KNOWN_SECRET], nowSeconds }
  const refused = (change: Partial<typeof valid>) => verify({ ...valid, ...change })
  const mismatch = { valid: false, reason: 'no signature matches' }
  t.strictSame(refused({ body: '{"test": 2432232315}' }), mismatch)
  t.strictSame(refused({ signature: '' }), mismatch)
  t.strictSame(refused({ signature: KNOWN_SIGNATURE.replace('v1,', 'v1a,') }), mismatch)
  t.strictSame(refused({ signature: KNOWN_SIGNATURE.slice(0, -4) }), mismatch)
  t.strictSame(refused({ secrets: [] }), mismatch)
  t.match(refused({ timestampSeconds: Number.NaN }), { reason: /not a number/ })
})

t.test('the timestamp may differ by five minutes and no second more', async (t) => {
  const at = (nowSeconds: number) =>
    verify({ ...KNOWN, signature: KNOWN_SIGNATURE, secrets: [KNOWN_SECRET], nowSeconds })
  const { timestampSeconds } = KNOWN
  t.match(at(timestampSeconds + TIMESTAMP_TOLERANCE_SECONDS), { valid: true })
  t.match(at(timestampSeconds + TIMESTAMP_TOLERANCE_SECONDS + 1), { reason: /too old/ })
  t.match(at(timestampSeconds - TIMESTAMP_TOLERANCE_SECONDS), { valid: true })
  t.match(at(timestampSeconds - TIMESTAMP_TOLERANCE_SECONDS - 1), { reason: /future/ })
})

t.test('a generated secret can be parsed and is never the same', async (t) => {
  t.match(generateSecret(), /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.match(parseSecret(generateSecret()), { scheme: 'v1' })
  t.not(generateSecret(), generateSecret())
})

t.test('a secret for a receiver that reads it otherwise is generated so', async (t) => {
  t.match(generateSecret('hmac', 'text'), /^whsec_[0-9a-f]{64}$/)
  t.match(generateSecret('hmac', 'text', ''), /^[0-9a-f]{64}$/)
  t.match(generateSecret('hmac', 'hex'), /^[0-9a-f]{64}$/)
  t.match(generateSecret('hmac', 'base64url'), /^[\w-]{43}$/)
  t.match(generateSecret('hmac', 'base64', ''), /^[A-Za-z0-9+/]{43}=$/)
})

/** What `readSecret` lets pass and only the import of a key can tell. */
const KEYS: [name: string, stored: string, accepted: boolean][] = [
  ['a private key of 31 bytes', base64('whsk', randomBytes(31)), false],
  ['a private key of 32 bytes', base64('whsk', randomBytes(32)), true],
  ['a private key of 33 bytes', base64('whsk', randomBytes(33)), false],
  ['a public key of 31 bytes', base64('whpk', randomBytes(31)), false],
  ['a public key of 32 bytes', PUBLIC_KEY, true],
  ['text', 'text:whsec_any text', true],
  ['what is not base64', 'base64:!', false],
]
for (const [name, stored, accepted] of KEYS) {
  t.test(`a secret of ${name} is ${accepted ? 'accepted' : 'refused'}`, async (t) => {
    if (accepted) t.ok(parseSecret(stored))
    else t.throws(() => parseSecret(stored), { code: 'secret_invalid' })
  })
}

t.test('a refusal does not repeat the secret', async (t) => {
  const secret = 'whsec_topsecret!'
  try {
    parseSecret(secret)
    t.fail('refused')
  } catch (error) {
    t.notMatch(String(error), /topsecret/)
  }
})
