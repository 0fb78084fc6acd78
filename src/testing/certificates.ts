import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A private key and its certificate, PEM. */
export interface Certificate {
  key: string
  cert: string
}

export interface Certificates {
  /** To be trusted by the test: `tls.setDefaultCACertificates([ca])`. */
  ca: string
  /** For `receiver.test`, `localhost` and 127.0.0.1. */
  valid: Certificate
  /** As valid, but over since yesterday. */
  expired: Certificate
  /** Of the same authority, for `other.test` only. */
  wrongHost: Certificate
  /** For `receiver.test`, of no authority. */
  selfSigned: Certificate
  /** Of the authority, for whoever sends: `CN=client`. */
  client: Certificate
  /** Another one: `CN=other-client`. */
  otherClient: Certificate
  /** Too weak for TLS: RSA with 512 bits, of no authority. */
  weak: Certificate
}

const NAMES = 'DNS:receiver.test,DNS:localhost,IP:127.0.0.1'
/** P-256: its keys are made in milliseconds. */
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
const WEAK_KEY = ['-newkey', 'rsa:512', '-nodes']
/** Two, so that a test that runs over midnight still finds them valid. */
const VALID_DAYS = 2

/**
 * Makes an authority and one certificate per case with the `openssl` command, nothing from the
 * network. Takes about 0.3 s; make them once per test file.
 */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-certificates-'))
  const openssl = opensslIn(folder)
  try {
    const ca = await openssl.selfSign('ca', 'DNS:ca.test', 'CA:TRUE')
    return {
      ca: ca.cert,
      valid: await openssl.issue('valid', NAMES, VALID_DAYS),
      expired: await openssl.issue('expired', NAMES, -1),
      wrongHost: await openssl.issue('wrong-host', 'DNS:other.test', VALID_DAYS),
      selfSigned: await openssl.selfSign('self-signed', NAMES, 'CA:FALSE'),
      client: await openssl.issue('client', 'DNS:client.test', VALID_DAYS),
      otherClient: await openssl.issue('other-client', 'DNS:client.test', VALID_DAYS),
      weak: await openssl.selfSign('weak', 'DNS:client.test', 'CA:FALSE', WEAK_KEY),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The two things done with openssl; its files stay in `folder`. */
function opensslIn(folder: string) {
  const run = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  const read = async (name: string): Promise<Certificate> => ({
    key: await readFile(join(folder, `${name}.key`), 'utf8'),
    cert: await readFile(join(folder, `${name}.crt`), 'utf8'),
  })
  const request = (name: string, names: string, newKey = NEW_KEY) => [
    ...['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`],
    ...['-addext', `subjectAltName=${names}`],
  ]
  return {
    async selfSign(name: string, names: string, constraint: string, newKey = NEW_KEY) {
      const extension = ['-addext', `basicConstraints=critical,${constraint}`]
      const files = ['-x509', '-days', `${VALID_DAYS}`, '-out', `${name}.crt`]
      await run(...request(name, names, newKey), ...extension, ...files)
      return read(name)
    },
    async issue(name: string, names: string, days: number) {
      await run(...request(name, names), '-out', `${name}.csr`)
      const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
      const files = ['-in', `${name}.csr`, '-out', `${name}.crt`]
      await run(
        'x509',
        '-req',
        ...files,
        ...authority,
        '-days',
        `${days}`,
        '-copy_extensions',
        'copy',
      )
      return read(name)
    },
  }
}
