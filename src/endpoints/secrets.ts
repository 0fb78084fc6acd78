import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
/** What GCM is defined for; longer ones are hashed, which gains nothing. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Secrets of the endpoints that a runner serves in a minute and more; about 5 MB. */
const CACHED_SECRETS_MAX = 10_000
/** Private keys of client certificates are longer, and opened seldom enough. */
const CACHED_LENGTH_MAX = 512

export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable'
  readonly code = 'secret_unreadable'
}

export interface SecretBox {
  /** Encrypts with the first key; the same secret gives another text each time. */
  encrypt(secret: string, endpointId: string): string
  /** @throws SecretUnreadable when its key is not in the ring, or it is not this endpoint's */
  decrypt(encrypted: string, endpointId: string): string
}

/**
 * Encrypts secrets at rest: `v1.<key id>.<nonce>.<ciphertext and tag>`, base64url.
 *
 * The endpoint's id is authenticated along, so that a secret copied to another endpoint's row is
 * refused. To change the key, put the new one first and keep the old one behind it until every
 * secret was encrypted anew.
 *
 * @param keys 32 bytes each, at least one; the first encrypts, all decrypt
 */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const ring = new Map(keys.map((key) => [keyId(key), key]))
  const [current] = ring
  if (!current || keys.some((key) => key.length !== KEY_BYTES)) {
    throw new RangeError(`a secret box needs keys of ${KEY_BYTES} bytes, at least one`)
  }
  const cache = new Map<string, string>()

  return {
    encrypt: (secret, endpointId) => encrypt(current, secret, endpointId),
    decrypt(encrypted, endpointId) {
      const name = `${endpointId} ${encrypted}`
      let secret = cache.get(name)
      if (secret === undefined) {
        secret = decrypt(ring, encrypted, endpointId)
        if (encrypted.length > CACHED_LENGTH_MAX) return secret
        if (cache.size >= CACHED_SECRETS_MAX) cache.clear()
        cache.set(name, secret)
      }
      return secret
    },
  }
}

/** Names a key without giving anything of it away that matters: 32 of the bits of its hash. */
function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8)
}

function encrypt([id, key]: [string, Buffer], secret: string, endpointId: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(endpointId))
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return ['v1', id, nonce.toString('base64url'), sealed.toString('base64url')].join('.')
}

function decrypt(ring: Map<string, Buffer>, encrypted: string, endpointId: string): string {
  const [version, id = '', nonce = '', sealed = ''] = encrypted.split('.')
  if (version !== 'v1') throw new SecretUnreadable('the secret is not in the format v1')
  const key = ring.get(id)
  if (!key) throw new SecretUnreadable(`SECRET_ENCRYPTION_KEY does not list the key ${id}`)

  try {
    const bytes = Buffer.from(sealed, 'base64url')
    const decipher = createDecipheriv(ALGORITHM, key, Buffer.from(nonce, 'base64url'), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(endpointId))
      .setAuthTag(bytes.subarray(-TAG_BYTES))
    return (
      decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    )
  } catch (cause) {
    throw new SecretUnreadable(`the secret does not belong to endpoint ${endpointId}`, { cause })
  }
}
