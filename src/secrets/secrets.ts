import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
/** What GCM is defined for; longer ones are hashed, which gains nothing. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Secrets of the endpoints that a runner serves in a minute and more; about 5 MB. */
const CACHED_SECRETS_MAX = 10_000
/** Private keys of client certificates are longer, and opened seldom enough. */
const CACHED_LENGTH_MAX = 512

/** The encrypted texts of an endpoint. */
export interface SealedTexts {
  secrets: readonly string[]
  clientKeyEncrypted: string | null
  /** Name to text. */
  secretHeaders: Readonly<Record<string, string>>
}

/** Each of the texts with what it is for. */
export function sealedTexts(of: SealedTexts): { sealed: string; purpose: Purpose }[] {
  const { secrets, clientKeyEncrypted: key, secretHeaders } = of
  const headers = Object.entries(secretHeaders)
  return [
    ...secrets.map((sealed) => ({ sealed, purpose: 'signing-secret' as const })),
    ...(key === null ? [] : [{ sealed: key, purpose: 'client-key' as const }]),
    ...headers.map(([name, sealed]) => ({ sealed, purpose: purposeOf(name) })),
  ]
}

export const purposeOf = (header: string): Purpose => `header:${header.toLowerCase()}`

export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable'
  readonly code = 'secret_unreadable'
}

/** What a secret is for. Of a header the name is in small letters. */
export type Purpose = 'signing-secret' | 'client-key' | `header:${string}`

export interface SecretBox {
  /** Encrypts with the first key; the same secret gives another text each time. */
  encrypt(secret: string, endpointId: string, purpose: Purpose): string
  /** @throws SecretUnreadable when its key is not in the ring, or it is not this endpoint's, or for something else */
  decrypt(encrypted: string, endpointId: string, purpose: Purpose): string
  /** Whether it is what `encrypt` makes now: with the first key. */
  isCurrent(encrypted: string): boolean
}

/**
 * Encrypts secrets at rest: `v2.<key id>.<nonce>.<ciphertext and tag>`, base64url.
 *
 * The endpoint's id and the purpose are authenticated along, so that a secret that is copied to the row of another
 * endpoint is refused, and so is one in another column, such as a signing secret that would be sent as a header.
 * To change the key, put the new one first and keep the old one behind it until `postrider rotate-encryption` has done
 * its work.
 *
 * @param keys 32 bytes each, at least one; the first encrypts, all decrypt
 */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const ring = new Map(keys.map((key) => [keyId(key), key]))
  const [current] = ring
  if (!current || keys.some((key) => key.length !== KEY_BYTES)) {
    throw new RangeError(`a secret box needs keys of ${KEY_BYTES} bytes, at least one`)
  }
  const cache = new LRUCache<string, string>({ max: CACHED_SECRETS_MAX })

  return {
    encrypt: (secret, endpointId, purpose) =>
      encrypt(current, secret, additional(endpointId, purpose)),
    decrypt(encrypted, endpointId, purpose) {
      const name = `${purpose} ${endpointId} ${encrypted}`
      let secret = cache.get(name)
      if (secret === undefined) {
        secret = decrypt(ring, encrypted, endpointId, purpose)
        if (encrypted.length > CACHED_LENGTH_MAX) return secret
        cache.set(name, secret)
      }
      return secret
    },
    isCurrent: (encrypted) => encrypted.startsWith(`v2.${current[0]}.`),
  }
}

/** Bytes of what was encrypted. */
export function openedLength(encrypted: string): number {
  return Buffer.from(encrypted.split('.')[3] ?? '', 'base64url').length - TAG_BYTES
}

/** What is authenticated along. */
const additional = (endpointId: string, purpose: Purpose): string => `${purpose} ${endpointId}`

/** Names a key without giving anything of it away that matters: 32 of the bits of its hash. */
function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8)
}

function encrypt([id, key]: [string, Buffer], secret: string, along: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(along))
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return ['v2', id, nonce.toString('base64url'), sealed.toString('base64url')].join('.')
}

function decrypt(
  ring: Map<string, Buffer>,
  encrypted: string,
  endpointId: string,
  purpose: Purpose,
): string {
  const [version = '', id = '', nonce = '', sealed = ''] = encrypted.split('.')
  if (version !== 'v2') {
    throw new SecretUnreadable('the secret is in a format that is not known')
  }
  const key = ring.get(id)
  if (!key) throw new SecretUnreadable(`SECRET_ENCRYPTION_KEY does not list the key ${id}`)

  try {
    const bytes = Buffer.from(sealed, 'base64url')
    const decipher = createDecipheriv(ALGORITHM, key, Buffer.from(nonce, 'base64url'), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(additional(endpointId, purpose)))
      .setAuthTag(bytes.subarray(-TAG_BYTES))
    return (
      decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    )
  } catch (cause) {
    throw new SecretUnreadable(`the ${purpose} does not belong to endpoint ${endpointId}`, {
      cause,
    })
  }
}
