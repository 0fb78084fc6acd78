/** Verifies a request of Standard Webhooks, as a receiver that may share the secret with nobody else's code. */
import { verify } from '../sending/signature.ts'
import { readSecret, type SecretEncoding, storedForm } from '../sending/signing-secret.ts'
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
 * @throws InvalidSignature
 */
export function verifySigned(
  { headers, body }: SignedRequest,
  secrets: Secret | readonly Secret[],
  toleranceSeconds?: number,
): VerifiedRequest {
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

/** @throws InvalidSecret, which names what is wrong and never the secret */
export function storedForms(secrets: Secret | readonly Secret[]): string[] {
  return [secrets].flat().map((each) => {
    if (typeof each !== 'string') return storedForm(readSecret(each.secret, each.encoding))
    return each.startsWith('whpk_') ? each : storedForm(readSecret(each))
  })
}
