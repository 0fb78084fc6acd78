import { tmpdir } from 'node:os'
import type { Pool } from 'pg'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { createPool, cutConnections } from '../../src/postgres/pool.ts'
import { type RedisServer, startRedis } from '../../src/testing/servers/redis-server.ts'
import {
  type RestartablePostgres,
  SURVIVES_PROCESS,
  startRestartablePostgres,
} from '../../src/testing/servers/restartable-postgres.ts'
import type { Cleanup } from '../bench/program.ts'
import { type Services, startServices } from './services.ts'

const APIS = 2
const POSTGRES = { max_connections: '200' }

export interface System extends Services {
  postgres: RestartablePostgres
  /** Null when redis-server is not installed; then every process limits by itself. */
  redis: RedisServer | null
  /** For the chaos itself. Its connections are lost with each restart like all others. */
  pool: Pool
}

/** Starts Postgres, Redis, two APIs, runners, and makes tenants whose endpoints are the receiver's. */
export async function startSystem(
  cleanup: Cleanup,
  {
    folder,
    receiverUrl,
    runners,
    isDurable,
  }: { folder: string; receiverUrl: string; runners: number; isDurable: boolean },
): Promise<System> {
  const lifetime = {
    plan: () => undefined, // how startRedis says that a test is skipped
    teardown: (done: () => Promise<void>) => cleanup.defer(done),
  }
  const postgres = await (isDurable
    ? startRestartablePostgres(lifetime, POSTGRES, tmpdir())
    : startRestartablePostgres(lifetime, { ...POSTGRES, ...SURVIVES_PROCESS }))
  const databaseUrl = postgres.url
  await migrate(databaseUrl)
  const redis = await startRedis(lifetime)
  const pool = createPool({ connectionString: databaseUrl, max: 3, applicationName: 'chaos' })
  cleanup.defer(async () => {
    cutConnections(pool) // a run that is interrupted may be in the middle of a long statement
    await pool.end()
  })
  const named = (kind: string, count: number) =>
    Array.from({ length: count }, (_, i): [string, string] => [`${kind}-${i + 1}`, databaseUrl])
  const services = await startServices(cleanup, {
    apis: named('api', APIS),
    runners: named('runner', runners),
    ...(redis && { env: { REDIS_URL: redis.url } }),
    folder,
    receiverUrl,
  })
  return { ...services, databaseUrl, postgres, redis, pool }
}
