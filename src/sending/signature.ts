import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign as edSign,
  verify as edVerify,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  fromStoredForm,
  InvalidSecret,
  isPrivateKey,
  keyBytesOf,
  type SecretEncoding,
  type SecretKind,
} from './signing-secret.ts'

/** What we generate: as long as the HMAC-SHA256 output, the most that adds strength. */
const SECRET_BYTES_GENERATED = 32
/** A message older or newer than this is refused, so that a recorded one cannot be replayed. */
export const TIMESTAMP_TOLERANCE_SECONDS = 300
/** Secrets kept imported: well above the endpoints one runner serves in a minute, about 10 MB. */
const KEYS_CACHED_MAX = 10_000

/** Fixed DER prefixes of an ed25519 key (RFC 8410); the 32 raw bytes follow. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')
const ED25519_BYTES = 32
const PUBLIC_KEY_PREFIX = 'whpk_'

/** An imported secret. `v1` is HMAC-SHA256, `v1a` is ed25519; a public key can only verify. */
export type SigningKey =
  | { scheme: 'v1'; key: KeyObject }
  | { scheme: 'v1a'; privateKey: KeyObject | null; publicKey: KeyObject }

/** What is signed: the message's id, the second of this attempt, and exactly the bytes sent. */
export interface SignedMessage {
  id: string
  timestampSeconds: number
  body: string | Buffer
}

/**
 * A new secret: `whsec_` and 32 random bytes in base64, or `whsk_` and an ed25519 seed with its public key
 * (64 bytes, as other senders of Standard Webhooks write it).
 *
 * @param encoding of a receiver that reads secrets otherwise; text is hex digits that are not decoded
 * @param prefix what such a receiver expects before it
 */
export function generateSecret(
  kind: SecretKind = 'hmac',
  encoding: SecretEncoding = 'base64',
  prefix = encoding === 'base64' || encoding === 'text' ? 'whsec_' : '',
): string {
  const bytes = randomBytes(kind === 'hmac' ? SECRET_BYTES_GENERATED : ED25519_BYTES)
  if (kind === 'hmac') return prefix + bytes.toString(encoding === 'text' ? 'hex' : encoding)
  const publicBytes = rawPublicKey(privateKey(bytes))
  return `whsk_${Buffer.concat([bytes, publicBytes]).toString('base64')}`
}

/**
 * What a receiver verifies `v1a` signatures with: `whpk_…` of a `whsk_` secret. `null` of every other
 * secret, which the receiver has to know itself.
 *
 * @param stored in its stored form
 * @throws InvalidSecret
 */
export function publicKeyOf(stored: string): string | null {
  const key = importedKey(stored)
  return key.scheme === 'v1' ? null : `whpk_${rawPublicKey(key).toString('base64')}`
}

/**
 * Imports a secret in its stored form; also `whpk_…`, an ed25519 public key in base64, with which
 * signatures can be verified only.
 *
 * @throws InvalidSecret naming the mistake, never the secret
 */
export function parseSecret(stored: string): SigningKey {
  const secret = fromStoredForm(stored)
  if (stored.startsWith(PUBLIC_KEY_PREFIX)) {
    const bytes = Buffer.from(stored.slice(PUBLIC_KEY_PREFIX.length), 'base64')
    return { scheme: 'v1a', privateKey: null, publicKey: publicKey(bytes) }
  }
  const bytes = keyBytesOf(secret)
  return isPrivateKey(secret) ? privateKey(bytes) : { scheme: 'v1', key: createSecretKey(bytes) }
}

/**
 * The value of `webhook-signature`: one signature per secret, joined by a space, so that during
 * a rotation the receiver may know either secret.
 *
 * @throws InvalidSecret
 */
export function sign({ secrets, ...message }: SignedMessage & { secrets: string[] }): string {
  const content = signedContent(message)
  return secrets.map((secret) => signWith(importedKey(secret), content)).join(' ')
}

/**
 * HMAC-SHA256 of what other schemes sign, with each secret that makes one: an ed25519 key, which can be live while it is
 * rotated to another kind, does not.
 *
 * @param secrets in their stored form
 * @throws InvalidSecret where none does
 */
export function hmacsOf(secrets: readonly string[], content: Buffer): Buffer[] {
  const keys = secrets.map(importedKey)
  const hmacs = keys.flatMap((key) => (key.scheme === 'v1' ? [hmac(key.key, content)] : []))
  if (hmacs.length > 0 || keys.length === 0) return hmacs
  throw new InvalidSecret('is an ed25519 key (whsk_), which makes no HMAC for signature headers')
}

export type Verification = { valid: true } | { valid: false; reason: string }

/**
 * Whether any signature of the header was made with any of the secrets, within five minutes.
 * Compares in constant time. Used by the inbox of receivers, the sandbox of `postrider dev` and tests.
 *
 * @param signature the header `webhook-signature`, `v1,<base64> v1a,<base64> …`
 * @param nowSeconds seconds since 1970
 */
export function verify({
  signature,
  secrets,
  nowSeconds = Math.floor(Date.now() / 1000),
  toleranceSeconds = TIMESTAMP_TOLERANCE_SECONDS,
  ...message
}: SignedMessage & {
  signature: string
  secrets: readonly string[]
  nowSeconds?: number
  toleranceSeconds?: number
}): Verification {
  if (!Number.isSafeInteger(message.timestampSeconds)) {
    return { valid: false, reason: 'the timestamp is not a number of seconds' }
  }
  const ageSeconds = nowSeconds - message.timestampSeconds
  if (ageSeconds > toleranceSeconds) return { valid: false, reason: 'the timestamp is too old' }
  if (ageSeconds < -toleranceSeconds)
    return { valid: false, reason: 'the timestamp is in the future' }

  const content = signedContent(message)
  const keys = secrets.map(importedKey)
  const matches = signature
    .split(' ')
    .some((part) => keys.some((key) => isSignedBy(key, part, content)))
  return matches ? { valid: true } : { valid: false, reason: 'no signature matches' }
}

function signedContent({ id, timestampSeconds, body }: SignedMessage): Buffer {
  const head = Buffer.from(`${id}.${timestampSeconds}.`)
  return Buffer.concat([head, typeof body === 'string' ? Buffer.from(body) : body])
}

function signWith(key: SigningKey, content: Buffer): string {
  if (key.scheme === 'v1') return `v1,${hmac(key.key, content).toString('base64')}`
  if (!key.privateKey) throw new InvalidSecret('is a public key (whpk_), which cannot sign')
  return `v1a,${edSign(null, content, key.privateKey).toString('base64')}`
}

function isSignedBy(key: SigningKey, part: string, content: Buffer): boolean {
  const comma = part.indexOf(',')
  if (part.slice(0, comma) !== key.scheme) return false
  const signature = Buffer.from(part.slice(comma + 1), 'base64')
  if (key.scheme === 'v1a') return edVerify(null, content, key.publicKey, signature)
  const expected = hmac(key.key, content)
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}

function hmac(key: KeyObject, content: Buffer): Buffer {
  return createHmac('sha256', key).update(content).digest()
}

/** Remembers a pure function's results, so the one piece of state at module level is harmless. */
const importedKeys = new LRUCache<string, SigningKey>({ max: KEYS_CACHED_MAX })

/** Importing a key costs more than signing with it, and an endpoint's secrets seldom change. */
function importedKey(secret: string): SigningKey {
  let key = importedKeys.get(secret)
  if (!key) {
    key = parseSecret(secret)
    importedKeys.set(secret, key)
  }
  return key
}

type EdKey = Extract<SigningKey, { scheme: 'v1a' }>

function rawPublicKey({ publicKey: key }: EdKey): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD.length)
}

function privateKey(bytes: Buffer): EdKey {
  if (bytes.length !== ED25519_BYTES && bytes.length !== 2 * ED25519_BYTES) {
    throw new InvalidSecret(
      `has ${bytes.length} bytes behind whsk_; an ed25519 key has 32, or 64 with its public key`,
    )
  }
  const der = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, ED25519_BYTES)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const derived = createPublicKey(key)
  // The second half is the public key. One that does not belong to the seed is a copying mistake
  // that every receiver would notice and we never would.
  const given = bytes.subarray(ED25519_BYTES)
  if (given.length > 0 && !derived.equals(publicKey(given))) {
    throw new InvalidSecret('has two halves behind whsk_ that do not belong together')
  }
  return { scheme: 'v1a', privateKey: key, publicKey: derived }
}

function publicKey(bytes: Buffer): KeyObject {
  if (bytes.length !== ED25519_BYTES) {
    throw new InvalidSecret(`has ${bytes.length} bytes behind whpk_; an ed25519 public key has 32`)
  }
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: 'der', type: 'spki' })
}
