import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import type { Pool } from 'pg'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { createPool, cutConnections } from '../../src/postgres/pool.ts'
import { callApi } from '../../src/terminal/api-client.ts'
import { type RedisServer, startRedis } from '../../src/testing/servers/redis-server.ts'
import {
  type RestartablePostgres,
  SURVIVES_PROCESS,
  startRestartablePostgres,
} from '../../src/testing/servers/restartable-postgres.ts'
import type { Cleanup } from '../bench/program.ts'
import { FRAGILE_PATH } from './receiver-paths.ts'
import { type Supervised, supervise } from './supervisor.ts'

const APIS = 2
const RUNNERS = 3
/** Each has two endpoints, so an event makes two deliveries. */
const TENANTS = 4
const POSTGRES = { max_connections: '200' }
/** Quick, so that a run of a minute sees many retries; long enough that none is used up. */
const RETRY_SCHEDULE = ['0.3', '0.5', '1', ...Array<string>(17).fill('2')].join(',')

export interface System {
  postgres: RestartablePostgres
  /** Null when redis-server is not installed; then every process limits by itself. */
  redis: RedisServer | null
  processes: Supervised[]
  /** Of the APIs. */
  urls: string[]
  adminKey: string
  /** Keys of tenants. */
  tenants: string[]
  /** For the chaos itself. Its connections are lost with each restart like all others. */
  pool: Pool
}

/** Starts Postgres, Redis, two APIs, three runners, and makes tenants whose endpoints are the receiver's. */
export async function startSystem(
  cleanup: Cleanup,
  { folder, receiverUrl, isDurable }: { folder: string; receiverUrl: string; isDurable: boolean },
): Promise<System> {
  const lifetime = {
    plan: () => undefined, // how startRedis says that a test is skipped
    teardown: (done: () => Promise<void>) => cleanup.defer(done),
  }
  const postgres = await (isDurable
    ? startRestartablePostgres(lifetime, POSTGRES, tmpdir())
    : startRestartablePostgres(lifetime, { ...POSTGRES, ...SURVIVES_PROCESS }))
  await migrate(postgres.url)
  const redis = await startRedis(lifetime)
  const pool = createPool({
    connectionString: postgres.url,
    max: 3,
    applicationName: 'chaos',
  })
  cleanup.defer(async () => {
    cutConnections(pool) // a run that is interrupted may be in the middle of a long statement
    await pool.end()
  })

  const adminKey = randomBytes(32).toString('base64url')
  const common = {
    DATABASE_URL: postgres.url,
    ...(redis && { REDIS_URL: redis.url }),
    SECRET_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    POSTRIDER_ADMIN_KEY: adminKey,
    EGRESS_ALLOW: '127.0.0.0/8',
    RETRY_SCHEDULE,
  }
  const ports = await freePorts(APIS)
  const apis = ports.map((port, i) =>
    supervise(cleanup, {
      kind: 'api',
      name: `api-${i + 1}`,
      env: { ...common, PORT: String(port) },
      folder,
    }),
  )
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  await Promise.all(apis.map((api) => api.started()))
  const tenants = await createTenants({ url: urls[0] ?? '', key: adminKey }, receiverUrl)

  const runners = Array.from({ length: RUNNERS }, (_, i) =>
    supervise(cleanup, { kind: 'runner', name: `runner-${i + 1}`, env: common, folder }),
  )
  await Promise.all(runners.map((runner) => runner.started()))
  return { postgres, redis, processes: [...apis, ...runners], urls, adminKey, tenants, pool }
}

async function createTenants(api: { url: string; key: string }, receiverUrl: string) {
  const tenants = Array.from({ length: TENANTS }, (_, i) => `chaos-${i + 1}`)
  for (const [i, tenant] of tenants.entries()) {
    await callApi(api, { method: 'PUT', path: `/api/tenants/${tenant}`, body: '{}' })
    const paths = [`/${tenant}/first`, i === 0 ? FRAGILE_PATH : `/${tenant}/second`]
    for (const path of paths) {
      await callApi(api, {
        method: 'POST',
        path: `/api/tenants/${tenant}/endpoints`,
        body: JSON.stringify({ url: `${receiverUrl}${path}`, eventTypes: ['*'] }),
      })
    }
  }
  return tenants
}

/** All held at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
