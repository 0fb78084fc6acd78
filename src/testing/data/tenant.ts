import type { Pool } from 'pg'
import { generateSecret } from '../../sending/signature.ts'

export interface TestTenant {
  id: string
  /** What publish() takes. */
  key: string
  /** Publishes in its own transaction; returns the event id. */
  publish(type?: string, data?: unknown): Promise<string>
  /** Adds an endpoint. Without `encrypt` its secret is stored as it is, which suits tests without services. */
  addEndpoint(
    columns: { url: string; [column: string]: unknown },
    encrypt?: EncryptSecret,
  ): Promise<TestEndpoint>
  /** Adds a second secret, as a rotation does; returns it. */
  addSecret(endpointId: string, encrypt?: EncryptSecret): Promise<string>
}

type EncryptSecret = (secret: string, endpointId: string, purpose: 'signing-secret') => string
const asItIs: EncryptSecret = (secret) => secret

interface TestEndpoint {
  id: string
  secret: string
}

let made = 0

/** A fresh tenant, so that tests in one database do not see each other. */
export async function createTenant(pool: Pool): Promise<TestTenant> {
  made += 1
  const key = `tenant-${process.pid}-${made}`
  const { rows } = await pool.query<{ id: string }>(
    'insert into postrider.tenant (key, name) values ($1, $1) returning id',
    [key],
  )
  return asTestTenant(pool, rows[0]?.id ?? '', key)
}

/** The tenant that operational events belong to. */
export async function operatorTenant(pool: Pool): Promise<TestTenant> {
  const key = 'postrider:operator'
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.tenant where key = $1',
    [key],
  )
  return {
    ...asTestTenant(pool, rows[0]?.id ?? '', key),
    async publish(type = 'endpoint.failing', data: unknown = { id: 1 }) {
      const published = await pool.query<{ id: string }>(
        'select event_id as id from postrider.store_events($1, by_service => true)',
        [JSON.stringify([{ tenant: key, type, data }])],
      )
      return published.rows[0]?.id ?? ''
    },
  }
}

function asTestTenant(pool: Pool, id: string, key: string): TestTenant {
  return {
    id,
    key,
    async publish(type = 'invoice.paid', data: unknown = { id: 1 }) {
      const published = await pool.query<{ id: string }>(
        'select postrider.publish($1, $2, $3) as id',
        [key, type, JSON.stringify(data)],
      )
      return published.rows[0]?.id ?? ''
    },
    addEndpoint: (columns, encrypt) => addEndpoint(pool, id, columns, encrypt),
    addSecret: (endpointId, encrypt) => addSecret(pool, id, endpointId, encrypt),
  }
}

async function addEndpoint(
  pool: Pool,
  tenantId: string,
  columns: Record<string, unknown>,
  encrypt?: EncryptSecret,
): Promise<TestEndpoint> {
  const all: Record<string, unknown> = { tenant_id: tenantId, ...columns }
  const names = Object.keys(all)
  const { rows } = await pool.query<{ id: string }>(
    `insert into postrider.endpoint (${names.join(', ')})
     values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning id`,
    Object.values(all),
  )
  const id = rows[0]?.id ?? ''
  return { id, secret: await addSecret(pool, tenantId, id, encrypt) }
}

async function addSecret(
  pool: Pool,
  tenantId: string,
  endpointId: string,
  encrypt: EncryptSecret = asItIs,
): Promise<string> {
  const secret = generateSecret()
  await pool.query(
    'insert into postrider.endpoint_secret (tenant_id, endpoint_id, encrypted) values ($1, $2, $3)',
    [tenantId, endpointId, encrypt(secret, endpointId, 'signing-secret')],
  )
  return secret
}
