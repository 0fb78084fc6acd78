import { type Kysely, type SqlBool, sql } from 'kysely'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import type { Database } from '../postgres/schema.ts'
import {
  type CertificateDescription,
  type ClientCertificateInput,
  describeCertificate,
  readClientCertificate,
} from './client-certificate.ts'
import type { SecretBox } from './secrets.ts'

export interface ClientCertificates {
  /** `null` when the endpoint has none. @throws EndpointNotFound */
  get(tenantId: TenantId, id: EndpointId): Promise<CertificateDescription | null>
  /**
   * Gives the endpoint a certificate, in place of the one it has; attempts that begin afterwards show it.
   *
   * @throws EndpointNotFound
   * @throws ClientCertificateInvalid
   */
  set(
    tenantId: TenantId,
    id: EndpointId,
    input: ClientCertificateInput,
  ): Promise<CertificateDescription>
  /** Does nothing when there is none. @throws EndpointNotFound */
  clear(tenantId: TenantId, id: EndpointId): Promise<void>
}

interface ClientCertificatesOptions {
  database: Kysely<Database>
  box: Pick<SecretBox, 'encrypt'>
  now?: () => Date
}

/** Certificates that endpoints show to their receivers (mTLS). The private key never leaves the service again. */
export function createClientCertificates({
  database,
  box,
  now = () => new Date(),
}: ClientCertificatesOptions): ClientCertificates {
  return {
    get: (tenantId, id) => describe(database, tenantId, id),
    async set(tenantId, id, input) {
      const { certificate, privateKey } = readClientCertificate(input, now())
      await write(database, tenantId, id, {
        client_certificate: certificate,
        client_key_encrypted: box.encrypt(privateKey, id, 'client-key'),
      })
      return describeCertificate(certificate)
    },
    clear: (tenantId, id) => write(database, tenantId, id, NONE),
  }
}

const NONE = { client_certificate: null, client_key_encrypted: null }

async function describe(database: Kysely<Database>, tenantId: TenantId, id: EndpointId) {
  const row = await database
    .selectFrom('endpoint')
    .select('client_certificate as chain')
    .where(isExisting(tenantId, id))
    .executeTakeFirst()
  if (!row) throw new EndpointNotFound()
  return row.chain === null ? null : describeCertificate(row.chain)
}

async function write(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
  columns: { client_certificate: string | null; client_key_encrypted: string | null },
): Promise<void> {
  const changed = await database
    .updateTable('endpoint')
    .set({ ...columns, updated_at: sql`now()` })
    .where(isExisting(tenantId, id))
    .returning('id')
    .executeTakeFirst()
  if (!changed) throw new EndpointNotFound()
}

const isExisting = (tenantId: TenantId, id: EndpointId) =>
  sql<SqlBool>`id = ${id} and tenant_id = ${tenantId} and deleted_at is null`
