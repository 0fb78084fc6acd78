import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Refusal } from '../problem.ts'

/** Longer ones are bundles of authorities, which a receiver has itself. */
const CHAIN_LENGTH_MAX = 10
/** Several times what ten certificates with RSA keys of 4096 bits take. */
const PEM_LENGTH_MAX = 65_536
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

export interface ClientCertificateInput {
  /** PEM, the endpoint's own first, then those of the authorities between. */
  certificate: string
  /** PEM, without a passphrase. */
  privateKey: string
}

/** What may be shown of a certificate; all of it is public. */
export interface CertificateDescription {
  subject: string
  issuer: string
  serialNumber: string
  /** SHA-256 of the certificate, `AB:CD:…`, as receivers list whom they let in. */
  fingerprint: string
  validFrom: Date
  validTo: Date
}

export interface CertificateMistake {
  field: 'certificate' | 'privateKey'
  message: string
}

/** Names every mistake that can be told from the others; none quotes what was given. */
export class ClientCertificateInvalid extends Error {
  override readonly name = 'ClientCertificateInvalid'
  readonly code = 'client_certificate_invalid'
  readonly mistakes: readonly CertificateMistake[]
  constructor(mistakes: readonly CertificateMistake[]) {
    super(mistakes.map(({ field, message }) => `${field} ${message}`).join('; '))
    this.mistakes = mistakes
  }

  get refusal(): Refusal {
    return { of: 'request_invalid', errors: this.mistakes }
  }
}

/**
 * Checks that a certificate and its key can be used, and brings both into the form that is stored,
 * without comments or other text that a file had around them.
 *
 * Expiry is checked here because a receiver would only say that the handshake failed. What it is
 * certified for is not: receivers that do not care are common, and the others say so.
 *
 * @throws ClientCertificateInvalid
 */
export function readClientCertificate(
  input: ClientCertificateInput,
  now: Date,
): ClientCertificateInput {
  const mistakes: CertificateMistake[] = []
  const add = (field: CertificateMistake['field'], message: string | null) => {
    if (message) mistakes.push({ field, message })
  }
  const chain = parseChain(input.certificate)
  if (typeof chain === 'string') add('certificate', chain)
  else add('certificate', mistakeInChain(chain, now))
  const key = parseKey(input.privateKey)
  if (typeof key === 'string') add('privateKey', key)

  const [own] = typeof chain === 'string' ? [] : chain
  if (!own || typeof chain === 'string' || typeof key === 'string') {
    throw new ClientCertificateInvalid(mistakes)
  }
  const read = {
    certificate: chain.map((certificate) => certificate.toString()).join(''),
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
  if (!own.checkPrivateKey(key)) add('privateKey', 'does not belong to the certificate')
  else add('certificate', mistakeForTls(read))
  if (mistakes.length > 0) throw new ClientCertificateInvalid(mistakes)
  return read
}

/** The endpoint's own certificate of a stored chain. */
export function describeCertificate(chain: string): CertificateDescription {
  const own = new X509Certificate(chain)
  return {
    subject: oneLine(own.subject),
    issuer: oneLine(own.issuer),
    serialNumber: own.serialNumber,
    fingerprint: own.fingerprint256,
    validFrom: own.validFromDate,
    validTo: own.validToDate,
  }
}

/** Node has one part a line; an empty name is `undefined`. */
const oneLine = (name: string | undefined) => (name ?? '').split('\n').join(', ')

/** The certificates, or the mistake in words. */
function parseChain(text: string): X509Certificate[] | string {
  if (text.length > PEM_LENGTH_MAX) return `is longer than ${PEM_LENGTH_MAX} characters`
  const pems = text.match(PEM_CERTIFICATE) ?? []
  if (pems.length === 0) return 'is not a certificate in PEM'
  if (pems.length > CHAIN_LENGTH_MAX) return `has more than ${CHAIN_LENGTH_MAX} certificates`
  try {
    return pems.map((pem) => new X509Certificate(pem))
  } catch {
    return 'has a certificate that cannot be read'
  }
}

function mistakeInChain(chain: X509Certificate[], now: Date): string | null {
  const [own] = chain
  const unrelated = chain.findIndex((issuer, n) => n > 0 && !chain[n - 1]?.checkIssued(issuer))
  if (unrelated > 0) {
    return `is out of order: number ${unrelated + 1} did not issue number ${unrelated}; the endpoint's own comes first`
  }
  if (own && own.validFromDate > now) {
    return `is not valid before ${own.validFromDate.toISOString()}`
  }
  const expired = chain.findIndex(({ validToDate }) => validToDate <= now)
  if (expired === -1) return null
  const which = expired === 0 ? '' : ` (number ${expired + 1})`
  return `has expired${which} at ${chain[expired]?.validToDate.toISOString()}`
}

/** The key, or the mistake in words. */
function parseKey(text: string): KeyObject | string {
  if (text.length > PEM_LENGTH_MAX) return `is longer than ${PEM_LENGTH_MAX} characters`
  if (/-----BEGIN ENCRYPTED|^Proc-Type: .*ENCRYPTED/m.test(text)) {
    return 'is encrypted; give it without a passphrase'
  }
  try {
    return createPrivateKey(text)
  } catch {
    return 'is not a private key in PEM'
  }
}

/** Keys that are too short, and algorithms that TLS does not have. */
function mistakeForTls({ certificate, privateKey }: ClientCertificateInput): string | null {
  try {
    createSecureContext({ cert: certificate, key: privateKey })
    return null
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
    return `cannot be used for TLS${code}`
  }
}
