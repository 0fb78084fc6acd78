import { hiddenIn } from '../hidden-characters.ts'

export type SecretKind = 'hmac' | 'ed25519'
/** How the characters of a secret become the bytes that sign. */
export const SECRET_ENCODINGS = ['base64', 'base64url', 'hex', 'text'] as const
export type SecretEncoding = (typeof SECRET_ENCODINGS)[number]

/** A secret exactly as it was given; a prefix `whsec_` is part of the key in `text` only. */
export interface SigningSecret {
  secret: string
  encoding: SecretEncoding
}

/** What Standard Webhooks ask for, and what Svix, whose secrets they are, takes at most. */
const STANDARD_BYTES_MIN = 24
const STANDARD_BYTES_MAX = 64
const SVIX_BYTES_MAX = 75
/** Fewer can be found by trying; who has them already rotates. */
const KEY_BYTES_MIN = 8
/** Four times what adds strength to HMAC-SHA256; a longer text is a file that was pasted by mistake. */
const LENGTH_MAX = 256
/** What a key should have to be beyond trying out, for as long as anybody can foresee. */
const BITS_ADVISED = 128
/** Random keys hold more different characters than this many bits each; repeated ones do not. */
const BITS_PER_DIFFERENT_CHARACTER = 16

const HMAC_PREFIX = 'whsec_'
const PRIVATE_KEY_PREFIX = 'whsk_'
const PUBLIC_KEY_PREFIX = 'whpk_'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
const BASE64URL = /^(?:[\w-]{4})*(?:[\w-]{2}(?:==)?|[\w-]{3}=?)?$/
/** 16 bytes and more; text in base64 that happens to have no other character is as good as impossible. */
const HEX_ONLY = /^(?:[0-9a-f]{32,}|[0-9A-F]{32,})$/
/** Nothing but characters of base64, padded or as many as a key of Standard Webhooks has. */
const LIKE_BASE64 = /^(?:[A-Za-z0-9+/_-]+=+|[A-Za-z0-9+/]{30,})$/
/** Random characters; a phrase with - or _ between its words seldom has all three kinds. */
const LIKE_RANDOM = /^(?=.*[A-Z])(?=.*[a-z])(?=.*\d)/

/** The message goes on from the name of the field, and never holds the secret. */
export class InvalidSecret extends Error {
  override readonly name = 'InvalidSecret'
  readonly code = 'secret_invalid'
}

/**
 * Reads a secret that somebody has brought along, of this service or of another one.
 *
 * Without an encoding, `whsec_` and base64 of 24 to 75 bytes is Standard Webhooks, and everything that is not
 * nearly that is text; what may be meant in two ways is refused rather than guessed.
 *
 * @throws InvalidSecret
 */
export function readSecret(secret: string, encoding?: SecretEncoding | undefined): SigningSecret {
  const mistake = mistakeInAnySecret(secret)
  if (mistake !== null) throw new InvalidSecret(mistake)
  const read = { secret, encoding: encoding ?? likelyEncoding(secret) }
  if (secret.startsWith(PRIVATE_KEY_PREFIX) && !isPrivateKey(read)) {
    throw new InvalidSecret('is an ed25519 key (whsk_), whose encoding is base64')
  }
  const { length } = keyBytesOf(read)
  if (length < KEY_BYTES_MIN) throw new InvalidSecret(tooShort(length))
  return read
}

const tooShort = (length: number): string =>
  `signs with ${length} ${length === 1 ? 'byte' : 'bytes'}, which can be guessed; ${KEY_BYTES_MIN} are the least, 32 are advised`

/** What is wrong with a secret however it is read. */
export function mistakeInAnySecret(secret: string): string | null {
  if (secret === '') return 'is empty'
  const length = Buffer.byteLength(secret)
  if (length < KEY_BYTES_MIN) return tooShort(length)
  if (length > LENGTH_MAX) return `is longer than ${LENGTH_MAX} bytes`
  if (secret.startsWith(PUBLIC_KEY_PREFIX)) return 'is a public key (whpk_), which cannot sign'
  // As a name: blanks between words are part of a phrase, those at the ends came along by mistake.
  return hiddenIn(secret, 'name')
}

function likelyEncoding(secret: string): SecretEncoding {
  if (secret.startsWith(PRIVATE_KEY_PREFIX)) return 'base64'
  if (!secret.startsWith(HMAC_PREFIX)) return 'text'
  const rest = secret.slice(HMAC_PREFIX.length)
  if (HEX_ONLY.test(rest)) return 'text'
  if (isStandard(rest, 'base64')) return 'base64'
  const isNearly =
    LIKE_BASE64.test(rest) || (LIKE_RANDOM.test(rest) && isStandard(rest, 'base64url'))
  if (!isNearly) return 'text'
  throw new InvalidSecret(
    `is not base64 of ${STANDARD_BYTES_MIN} to ${SVIX_BYTES_MAX} bytes behind whsec_, but nearly; if it is as you were given it, say how to read it with its encoding: ${SECRET_ENCODINGS.join(', ')}`,
  )
}

function isStandard(text: string, encoding: 'base64' | 'base64url'): boolean {
  const bytes = decoded(text, encoding)
  return bytes !== null && bytes.length >= STANDARD_BYTES_MIN && bytes.length <= SVIX_BYTES_MAX
}

/**
 * The bytes that sign; of a `whsk_` key its seed, and its public key if that stands there.
 *
 * @throws InvalidSecret
 */
export function keyBytesOf({ secret, encoding }: SigningSecret): Buffer {
  if (encoding === 'text') return Buffer.from(secret)
  const isKey = isPrivateKey({ secret, encoding })
  const prefix = isKey ? PRIVATE_KEY_PREFIX : HMAC_PREFIX
  const bytes = decoded(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret, encoding)
  if (bytes === null) throw new InvalidSecret(`is not ${WORDS[encoding]}`)
  return bytes
}

const WORDS: Record<Exclude<SecretEncoding, 'text'>, string> = {
  base64: 'base64 (A–Z, a–z, 0–9, + and /), or a character of it is wrong or missing',
  base64url: 'URL-safe base64 (A–Z, a–z, 0–9, - and _), or a character of it is wrong or missing',
  hex: 'hex: an even number of the digits 0–9 and a–f',
}

/** Null unless the text stands for these bytes to the last bit: Node skips what it does not understand. */
function decoded(text: string, encoding: Exclude<SecretEncoding, 'text'>): Buffer | null {
  const alphabet = { base64: BASE64, base64url: BASE64URL, hex: /^(?:[0-9a-f]{2})*$/i }[encoding]
  if (!alphabet.test(text)) return null
  const bytes = Buffer.from(text, encoding)
  const again = bytes.toString(encoding)
  const isSame = encoding === 'hex' || again.replace(/=+$/, '') === text.replace(/=+$/, '')
  return isSame ? bytes : null
}

/** Whether it is the key of an ed25519 signature. */
export const isPrivateKey = ({ secret, encoding }: SigningSecret): boolean =>
  encoding === 'base64' && secret.startsWith(PRIVATE_KEY_PREFIX)

/** What stands before the characters that are decoded: `whsec_`, or nothing. */
export const prefixOf = ({ secret }: Pick<SigningSecret, 'secret'>): string =>
  secret.startsWith(HMAC_PREFIX) ? HMAC_PREFIX : ''

/** What people should know about a secret that signs: how strong it is, and who reads it otherwise. */
export function warningOf(secret: SigningSecret): string | null {
  if (isPrivateKey(secret)) return null
  const warnings = [weaknessOf(secret), differenceOf(secret)].filter((each) => each !== null)
  return warnings.length === 0 ? null : warnings.join(' ')
}

function weaknessOf(secret: SigningSecret): string | null {
  const bits = bitsAtMost(secret)
  if (bits >= BITS_ADVISED) return null
  return `Weak: ${bits} bits at most, where ${BITS_ADVISED} are advised. Rotate it once the receiver can.`
}

/** Where a library of Standard Webhooks would compute another signature, or none. */
function differenceOf({ secret, encoding }: SigningSecret): string | null {
  const { length } = keyBytesOf({ secret, encoding })
  if (encoding === 'text' && /[^ -~]/.test(secret)) {
    return 'The key is its UTF-8 bytes, beyond ASCII too; receivers that encode text otherwise cannot verify.'
  }
  if (encoding === 'text' && secret.startsWith(HMAC_PREFIX)) {
    return 'The key is the text as it is, whsec_ included; libraries of Standard Webhooks decode base64 by default.'
  }
  if (encoding !== 'text' && (length < STANDARD_BYTES_MIN || length > STANDARD_BYTES_MAX)) {
    return `Standard Webhooks ask for ${STANDARD_BYTES_MIN} to ${STANDARD_BYTES_MAX} bytes, this key has ${length}.`
  }
  return null
}

/** How many it would be if every character had been drawn at random; words have fewer. */
function bitsAtMost(secret: SigningSecret): number {
  const isText = secret.encoding === 'text'
  const text = secret.secret.slice(prefixOf(secret).length)
  const symbols: (string | number)[] = isText ? [...text] : [...keyBytesOf(secret)]
  const bits = symbols.length * Math.log2(isText ? alphabetOf(text) : 256)
  return Math.floor(Math.min(bits, new Set(symbols).size * BITS_PER_DIFFERENT_CHARACTER))
}

function alphabetOf(text: string): number {
  if (/^\d*$/.test(text)) return 10
  if (/^(?:[0-9a-f]*|[0-9A-F]*)$/.test(text)) return 16
  if (/^(?:[0-9a-z]*|[0-9A-Z]*)$/.test(text)) return 36
  return /^[0-9a-zA-Z]*$/.test(text) ? 62 : 95
}

/** As it is encrypted at rest. Those of Standard Webhooks stand there as they are. */
export const storedForm = ({ secret, encoding }: SigningSecret): string =>
  encoding === 'base64' && /^whs(?:ec|k)_/.test(secret) ? secret : `${encoding}:${secret}`

export function fromStoredForm(stored: string): SigningSecret {
  const encoding = SECRET_ENCODINGS.find((each) => stored.startsWith(`${each}:`))
  if (encoding === undefined) return { secret: stored, encoding: 'base64' }
  return { secret: stored.slice(encoding.length + 1), encoding }
}
