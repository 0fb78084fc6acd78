/** Verifies a request of Standard Webhooks, as a receiver that may share the secret with nobody else's code. */
import { parseSecret, verify } from '../sending/signature.ts'
import {
  InvalidSecret,
  readSecret,
  SECRET_ENCODINGS,
  type SecretEncoding,
  storedForm,
} from '../sending/signing-secret.ts'
import { headerOf, InvalidSignature, type SignedRequest } from './signed-request.ts'

/**
 * A secret as the console, the portal and `postrider endpoint secret show` show it (`whsec_…`), or the public key of
 * an ed25519 secret (`whpk_…`). The encoding is needed where the endpoint has one that is not the default.
 */
export type Secret = string | { secret: string; encoding: SecretEncoding }

export interface VerifiedRequest {
  /** The event; of a batch, the batch. */
  id: string
  body: string
}

const ID_LENGTH_MAX = 255

/**
 * Verifies with any of the secrets.
 *
 * @param secrets of a rotation the old and the new one
 * @param toleranceSeconds how far the timestamp may be from this machine's clock
 * @throws InvalidSignature; InvalidSecret and RangeError of what is no secret or number of seconds
 */
export function verifySigned(
  { headers, body }: SignedRequest,
  secrets: Secret | readonly Secret[],
  toleranceSeconds?: number,
): VerifiedRequest {
  assertTolerance(toleranceSeconds)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signature = headerOf(headers, 'webhook-signature')
  if (id.length > ID_LENGTH_MAX || !/^\d+$/.test(timestamp)) {
    throw new InvalidSignature('webhook-id or webhook-timestamp is not valid')
  }
  const bytes = Buffer.from(body as Uint8Array)
  const verification = verify({
    id,
    timestampSeconds: Number(timestamp),
    body: bytes,
    signature,
    secrets: storedForms(secrets),
    ...(toleranceSeconds === undefined ? {} : { toleranceSeconds }),
  })
  if (!verification.valid) throw new InvalidSignature(verification.reason)
  return { id, body: bytes.toString() }
}

/** @throws RangeError: with what is no number, any timestamp would do */
export function assertTolerance(seconds: number | undefined): void {
  if (seconds === undefined || (Number.isFinite(seconds) && seconds >= 0)) return
  throw new RangeError(
    `toleranceSeconds is ${typeof seconds === 'string' ? JSON.stringify(seconds) : seconds}: give a number of seconds from 0 on, such as 300`,
  )
}

/** @throws InvalidSecret, which names what is wrong and never the secret */
export function storedForms(secrets: Secret | readonly Secret[]): string[] {
  if (!Array.isArray(secrets)) return [storedFormOf(secrets, 'secrets')]
  if (secrets.length > 0) return secrets.map((each, at) => storedFormOf(each, `secrets[${at}]`))
  throw new InvalidSecret('secrets is an empty list: give at least one secret of the endpoint')
}

/** @param given what JavaScript hands in, such as an environment variable that is not set */
function storedFormOf(given: unknown, field: string): string {
  const { secret, encoding } = Object(typeof given === 'string' ? { secret: given } : given)
  if (typeof secret !== 'string' || secret === '') {
    throw new InvalidSecret(
      `${field} is ${secret === '' ? 'empty' : 'no secret'}: give a secret of the endpoint, and see that its environment variable is set`,
    )
  }
  if (encoding !== undefined && !SECRET_ENCODINGS.includes(encoding)) {
    const known = SECRET_ENCODINGS.join(', ')
    throw new InvalidSecret(`${field} has the encoding ${JSON.stringify(encoding)}: use ${known}`)
  }
  try {
    if (!secret.startsWith('whpk_')) return storedForm(readSecret(secret, encoding))
    parseSecret(secret)
    return secret
  } catch (cause) {
    throw new InvalidSecret(`${field} ${(cause as Error).message}`, { cause })
  }
}
