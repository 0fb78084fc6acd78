import { randomBytes } from 'node:crypto'
import type { Servers } from '../../src/postgres/servers.ts'
import { callApi } from '../../src/terminal/api-client.ts'
import { freePorts } from '../../src/testing/servers/free-port.ts'
import type { Cleanup } from '../bench/program.ts'
import { FRAGILE_PATH } from './receiver-paths.ts'
import { type Supervised, supervise } from './supervisor.ts'

/** Quick, so that a run of a minute sees many retries; long enough that none is used up. */
const RETRY_SCHEDULE = ['0.3', '0.5', '1', ...Array<string>(17).fill('2')].join(',')

/** Shorter than between two events of most keys, so that some are collapsed, and most are sent. */
const COLLAPSE = { collapse: { waitMs: 2_000 } }
/** Some are full before their time, and some are not. */
const BATCH = { batch: { maxEvents: 5, maxWaitMs: 1_000 } }
const ORDER = { ordering: 'key' }

/** Of each tenant: two endpoints, so an event makes two deliveries. The second of the first one goes down. */
const ENDPOINTS = [
  [BATCH, ORDER],
  [COLLAPSE, ORDER],
  [{}, { ...ORDER, ...BATCH }],
  [{ ...COLLAPSE, ...BATCH }, ORDER],
]

/** The processes of a system, and what producers need to know of it. */
export interface Services {
  /** Where producers connect that publish by SQL. */
  databaseUrl: string
  /** Finds the one of several servers that is the primary, where `databaseUrl` names several. */
  servers?: Servers
  processes: Supervised[]
  /** Of the APIs. */
  urls: string[]
  adminKey: string
  /** Keys of tenants. */
  tenants: string[]
}

export interface ServicesOptions {
  /** For each API its name, and the URL of the database as it is to see it. */
  apis: [name: string, databaseUrl: string][]
  runners: [name: string, databaseUrl: string][]
  /** Of all of them. */
  env?: Record<string, string>
  /** For logs. */
  folder: string
  receiverUrl: string
}

/** Starts APIs and runners on a database that is migrated, and makes tenants whose endpoints are the receiver's. */
export async function startServices(
  cleanup: Cleanup,
  { apis, runners, env, folder, receiverUrl }: ServicesOptions,
): Promise<Pick<Services, 'processes' | 'urls' | 'adminKey' | 'tenants'>> {
  const adminKey = randomBytes(32).toString('base64url')
  const common = {
    ...env,
    SECRET_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    POSTRIDER_ADMIN_KEY: adminKey,
    EGRESS_ALLOW: '127.0.0.0/8',
    RETRY_SCHEDULE,
  }
  const ports = await freePorts(apis.length)
  const started = apis.map(([name, databaseUrl], i) =>
    supervise(cleanup, {
      kind: 'api',
      name,
      env: { ...common, DATABASE_URL: databaseUrl, PORT: String(ports[i]) },
      folder,
    }),
  )
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  await Promise.all(started.map((api) => api.started()))
  const tenants = await createTenants({ url: urls[0] ?? '', key: adminKey }, receiverUrl)

  const working = runners.map(([name, databaseUrl]) =>
    supervise(cleanup, {
      kind: 'runner',
      name,
      env: { ...common, DATABASE_URL: databaseUrl },
      folder,
    }),
  )
  const processes = [...started, ...working]
  // All at once: one after the other, those that hang until they are killed take longer than a program has to end.
  cleanup.defer(async () => void (await Promise.all(processes.map((process) => process.stop()))))
  await Promise.all(working.map((runner) => runner.started()))
  return { processes, urls, adminKey, tenants }
}

async function createTenants(api: { url: string; key: string }, receiverUrl: string) {
  const tenants = ENDPOINTS.map((_, i) => `chaos-${i + 1}`)
  for (const [i, tenant] of tenants.entries()) {
    await callApi(api, { method: 'PUT', path: `/api/tenants/${tenant}`, body: '{}' })
    const paths = [`/${tenant}/first`, i === 0 ? FRAGILE_PATH : `/${tenant}/second`]
    for (const [at, path] of paths.entries()) {
      const settings = { url: `${receiverUrl}${path}`, eventTypes: ['*'], ...ENDPOINTS[i]?.[at] }
      const body = JSON.stringify(settings)
      await callApi(api, { method: 'POST', path: `/api/tenants/${tenant}/endpoints`, body })
    }
  }
  return tenants
}
