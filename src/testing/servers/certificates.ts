import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import type { TestLifetime } from '../wiring/database.ts'

/** Only these authorities, PEM, are trusted in this process until the test ends. */
export function trustOnly(t: TestLifetime, authorities: readonly string[]): void {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates(authorities)
  t.teardown(async () => tls.setDefaultCACertificates(before))
}

/** A private key and its certificate, PEM. */
export interface Certificate {
  key: string
  cert: string
}

export interface Certificates {
  /** To be trusted by the test: `trustOnly(t, [ca])`. */
  ca: string
  /** For `receiver.test`, `localhost` and 127.0.0.1. */
  valid: Certificate
  /** As valid, with another key. */
  renewed: Certificate
  /** As valid, but over since yesterday. */
  expired: Certificate
  /** Of the same authority, for `other.test` only. */
  wrongHost: Certificate
  /** For `receiver.test`, of no authority. */
  selfSigned: Certificate
  /** Of the authority, for anyone who sends: `CN=client`. */
  client: Certificate
  /** Another one: `CN=other-client`. */
  otherClient: Certificate
  /** Too weak for TLS: RSA with 512 bits, of no authority. */
  weak: Certificate
}

/** Certificates that a sender has to refuse, all for `receiver.test`; of an authority that is to be trusted. */
export interface BadCertificates {
  /** To be trusted by the test, both. */
  cas: string[]
  notYetValid: Certificate
  /** RSA with 1,024 bits. */
  weakKey: Certificate
  /** SHA-1. */
  weakSignature: Certificate
  /** Of an authority with 1,024 bits. */
  weakAuthority: Certificate
  /** Of a certificate that is for a server. */
  byNoAuthority: Certificate
  /** For clients only. */
  wrongPurpose: Certificate
  /** Of an authority that is not to be trusted. */
  unknownAuthority: Certificate
  /** The same, with its authority's certificate behind it. */
  ownAuthority: Certificate
  /** As valid, with a key that allows for the ciphers and Diffie-Hellman of old. */
  rsa: Certificate
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
export function makeCertificates(): Promise<Certificates> {
  return inFolder(async (openssl) => {
    const ca = await openssl.selfSign('ca', 'DNS:ca.test', 'CA:TRUE')
    return {
      ca: ca.cert,
      valid: await openssl.issue('valid', NAMES),
      renewed: await openssl.issue('renewed', NAMES),
      expired: await openssl.issue('expired', NAMES, { days: -1 }),
      wrongHost: await openssl.issue('wrong-host', 'DNS:other.test'),
      selfSigned: await openssl.selfSign('self-signed', NAMES, 'CA:FALSE'),
      client: await openssl.issue('client', 'DNS:client.test'),
      otherClient: await openssl.issue('other-client', 'DNS:client.test'),
      weak: await openssl.selfSign('weak', 'DNS:client.test', 'CA:FALSE', WEAK_KEY),
    }
  })
}

/** Takes about a second, most of it for RSA keys. */
export function makeBadCertificates(): Promise<BadCertificates> {
  return inFolder(async (openssl) => {
    const rsa = (bits: number) => ['-newkey', `rsa:${bits}`, '-nodes']
    const ca = await openssl.selfSign('ca', 'DNS:ca.test', 'CA:TRUE')
    const weakCa = await openssl.selfSign('weak-ca', 'DNS:ca.test', 'CA:TRUE', rsa(1024))
    const unknownCa = await openssl.selfSign('unknown-ca', 'DNS:ca.test', 'CA:TRUE')
    const unknown = await openssl.issue('unknown', NAMES, { authority: 'unknown-ca' })
    const server = await openssl.issue('server', NAMES)
    const byServer = await openssl.issue('by-server', NAMES, { authority: 'server' })
    return {
      cas: [ca.cert, weakCa.cert],
      notYetValid: await openssl.issue('not-yet-valid', NAMES, { from: '20500101000000Z' }),
      weakKey: await openssl.issue('weak-key', NAMES, { newKey: rsa(1024) }),
      weakSignature: await openssl.issue('weak-signature', NAMES, { digest: 'sha1' }),
      weakAuthority: await openssl.issue('weak-authority', NAMES, { authority: 'weak-ca' }),
      byNoAuthority: { key: byServer.key, cert: byServer.cert + server.cert },
      wrongPurpose: await openssl.issue('wrong-purpose', NAMES, { purpose: 'clientAuth' }),
      unknownAuthority: unknown,
      ownAuthority: { ...unknown, cert: unknown.cert + unknownCa.cert },
      rsa: await openssl.issue('rsa', NAMES, { newKey: rsa(2048) }),
    }
  })
}

async function inFolder<T>(
  make: (openssl: ReturnType<typeof opensslIn>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-certificates-'))
  try {
    await writeFile(join(folder, 'ca.cnf'), CA_CONFIG)
    await writeFile(join(folder, 'index.txt'), '')
    return await make(opensslIn(folder))
  } finally {
    await rm(folder, { recursive: true })
  }
}

interface Issued {
  days?: number
  /** Begins then, `YYYYMMDDHHMMSSZ`, and not now. */
  from?: string
  newKey?: string[]
  digest?: string
  purpose?: string
  authority?: string
}

/** `openssl ca` alone knows a start, and it wants a file for all the rest. */
const CA_CONFIG = `
[ca]
default_ca = default
[default]
database = index.txt
new_certs_dir = .
rand_serial = yes
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
`

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
    async issue(name: string, names: string, how: Issued = {}) {
      const { days = VALID_DAYS, newKey, from, digest = 'sha256', purpose, authority = 'ca' } = how
      const extension = purpose ? ['-addext', `extendedKeyUsage=${purpose}`] : []
      await run(...request(name, names, newKey), ...extension, '-out', `${name}.csr`)
      const files = ['-in', `${name}.csr`, '-out', `${name}.crt`]
      if (from) {
        const times = ['-startdate', from, '-days', `${days}`, '-md', digest]
        const by = ['-cert', `${authority}.crt`, '-keyfile', `${authority}.key`]
        await run('ca', '-batch', '-notext', '-config', 'ca.cnf', ...files, ...times, ...by)
      } else {
        const by = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial']
        const copied = ['-copy_extensions', 'copy']
        await run('x509', '-req', ...files, ...by, '-days', `${days}`, `-${digest}`, ...copied)
      }
      return read(name)
    },
  }
}
