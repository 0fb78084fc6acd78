import { isIP } from 'node:net'
import { join } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import { createAttempts } from './attempts/attempts.ts'
import { createEndpointStats } from './attempts/endpoint-stats.ts'
import { type Config, ConfigError, type ServiceConfig } from './config.ts'
import { startPostgres } from './database/embedded.ts'
import { assertSchema, migrate } from './database/migrate.ts'
import { createDatabase, createPool } from './database/pool.ts'
import { createTenantScope } from './database/tenant-scope.ts'
import { type ParsedCidr, parseCidrs } from './delivery/egress.ts'
import { generateSecret } from './delivery/signature.ts'
import { trustCertificates } from './delivery/trust.ts'
import { createClientCertificates } from './endpoints/client-certificates.ts'
import { createEndpointOperations } from './endpoints/endpoint-operations.ts'
import { createEndpointSecrets } from './endpoints/endpoint-secrets.ts'
import { createEndpoints } from './endpoints/endpoints.ts'
import { createSecretBox } from './endpoints/secrets.ts'
import { createDeliveries } from './events/deliveries.ts'
import { createDeliveryOperations } from './events/delivery-operations.ts'
import { createEventTypeServices } from './events/event-type-services.ts'
import { createEvents } from './events/events.ts'
import { createPublisher, type Publisher } from './events/publish.ts'
import { createBatchPublisher } from './events/publish-batch.ts'
import { createRememberingPublisher } from './events/remembering-publisher.ts'
import { createRouting } from './events/routing.ts'
import { createTestEvents } from './events/test-events.ts'
import type { Readiness } from './http/health.ts'
import { createApp } from './http/server.ts'
import { type HttpServer, startHttp } from './http/start-http.ts'
import { createDedupCache } from './limits/dedup-cache.ts'
import { connectRedis, type Redis } from './limits/redis.ts'
import { createRequestLimiter } from './limits/request-limiter.ts'
import type { Log } from './log.ts'
import { createReplays } from './recovery/replays.ts'
import { type RunnerHandle, startRunner } from './runner/runner.ts'
import { addSandboxRoutes } from './sandbox/routes.ts'
import { ensureSandboxEndpoint, SANDBOX_PATH } from './sandbox/sandbox-endpoint.ts'
import { createApiKeys, hashApiKey } from './tenants/api-keys.ts'
import { createTenantOperations } from './tenants/tenant-operations.ts'
import { createTenants } from './tenants/tenants.ts'

/** Reads and settings take milliseconds; more would only queue in Postgres instead of here. */
const API_CONNECTIONS = 8
/** Two lanes each for events with an idempotency key, without, and in batches. */
const PUBLISH_CONNECTIONS = 6
const API_STATEMENT_MS_MAX = 10_000
/** Short, so that who is over the limit need not wait long. */
const API_RATE_WINDOW_SECONDS = 1
/** A producer's open transaction may hold a key: whoever waits for it then answers 409. */
const PUBLISH_SESSION_OPTIONS = '-c lock_timeout=200ms'
/** The sandbox is served by this process, so `dev` may always dial it. */
const LOOPBACK = ['127.0.0.0/8', '::1']

export interface RunningApi {
  url: string
  port: number
  /** Takes no more requests, finishes those in flight, then closes the database. */
  stop(): Promise<void>
  /** Never settles by itself: without a database the API waits for it, and says so at /ready. */
  ended: Promise<never>
}

/** Serves the HTTP API. The database has to be there and migrated. */
export async function startApi(config: ServiceConfig, log: Log): Promise<RunningApi> {
  await using starting = new AsyncDisposableStack()
  const redis = await connectRedis({ url: config.redisUrl, log })
  starting.defer(redis.stop)
  const api = createApi(config, log, redis)
  starting.defer(api.stop)
  await assertSchema(api.pool)
  const http = await listen(config, api.app)
  starting.defer(http.stop)
  log.info({ url: http.url }, 'api.started')

  const running = starting.move()
  return {
    url: http.url,
    port: http.port,
    stop: once(() => running.disposeAsync()),
    ended: new Promise(() => undefined),
  }
}

/** Executes deliveries. The database has to be there and migrated. */
export async function startRunnerProcess(config: ServiceConfig, log: Log): Promise<RunnerHandle> {
  await using starting = new AsyncDisposableStack()
  const redis = await connectRedis({ url: config.redisUrl, log })
  starting.defer(redis.stop)
  const runner = await startRunnerOf(config, log, redis)
  starting.defer(runner.stop)

  const running = starting.move()
  return { ...runner, stop: once(() => running.disposeAsync()) }
}

async function startRunnerOf(config: ServiceConfig, log: Log, redis: Redis): Promise<RunnerHandle> {
  trustCertificates(config.egressCaCertificates)
  const { databaseUrl: connectionString } = config
  const pool = createPool({ connectionString, max: 1, applicationName: 'postrider runner start' })
  try {
    await assertSchema(pool)
  } finally {
    await pool.end()
  }
  return await startRunner({
    connectionString,
    concurrency: config.runnerConcurrency,
    allow: egressAllow(config),
    proxy: config.egressProxy,
    httpsOnly: config.httpsOnly,
    retrySchedule: config.retryScheduleSeconds,
    timeoutMs: config.deliveryTimeoutSeconds * 1000,
    shutdownMs: config.shutdownSeconds * 1000,
    retentionDays: config.retentionDays,
    disableAfterSeconds: config.endpointDisableAfterDays * 86_400,
    decryptSecret: createSecretBox(config.secretEncryptionKeys).decrypt,
    redis,
    log,
  })
}

export interface RunningDev {
  url: string
  sandboxUrl: string
  databaseUrl: string
  stop(): Promise<void>
  /** Rejects when the database or the runner ended by itself. */
  ended: Promise<unknown>
}

export type DevConfig = Config & Pick<ServiceConfig, 'secretEncryptionKeys'> & { adminKey: string }

/**
 * Everything in one process: a Postgres of our own unless there is a DATABASE_URL, the API, a runner,
 * and a sandbox that the tenant `default` delivers to.
 *
 * The port is taken first, so that one that is in use is reported before anything is written.
 */
export async function startDev(config: DevConfig, log: Log): Promise<RunningDev> {
  await using starting = new AsyncDisposableStack()
  const front = createFront()
  const http = await listen(config, front)
  starting.defer(http.stop)
  const url = urlOf(config, http)

  const postgres = config.databaseUrl ? null : await startEmbedded(config)
  if (postgres) starting.defer(postgres.stop)
  const databaseUrl = config.databaseUrl ?? postgres?.url ?? ''
  await migrate(databaseUrl, { log: (message, fields) => log.info({ ...fields }, message) })

  const egress = [...config.egressAllow, ...LOOPBACK, ...(isIP(config.host) ? [config.host] : [])]
  const service = { ...config, databaseUrl, egressAllow: egress }
  const redis = await connectRedis({ url: config.redisUrl, log })
  starting.defer(redis.stop)
  const api = createApi(service, log, redis)
  starting.defer(api.stop)
  addSandboxRoutes(api.app, { ...api, bodyBytesMax: config.eventBytesMax })
  await ensureSandboxEndpoint(api, url)
  const runner = await startRunnerOf(service, log, redis)
  // First the runner, which may be delivering to the sandbox; then requests, then what they need.
  starting.defer(http.stop)
  starting.defer(runner.stop)
  front.serve(api.app)

  const running = starting.move()
  const stop = once(() => running.disposeAsync())
  const ended = firstEnd(runner, postgres)
  return { url, sandboxUrl: url + SANDBOX_PATH, databaseUrl, stop, ended }
}

/** Pools, services and the app, without a port. */
function createApi(config: ServiceConfig, log: Log, redis: Redis) {
  const connectionString = config.databaseUrl
  const onError = (error: Error) => {
    // A connection that is closing may still hear that the server is stopping as well.
    if (!pool.ending) log.warn({ err: error }, 'database.connection_lost')
  }
  const pool = createPool({
    connectionString,
    max: API_CONNECTIONS,
    applicationName: 'postrider api',
    pipeline: true,
    statementTimeoutMs: API_STATEMENT_MS_MAX,
    onError,
  })
  const publishPool = createPool({
    connectionString,
    max: PUBLISH_CONNECTIONS,
    applicationName: 'postrider api publish',
    options: PUBLISH_SESSION_OPTIONS,
    statementTimeoutMs: API_STATEMENT_MS_MAX,
    onError,
  })
  // For what decides which tenant a request is about; all the rest is done in that tenant's scope.
  const everyTenant = createDatabase(pool)
  const { database, inTenant } = createTenantScope(pool)
  const box = createSecretBox(config.secretEncryptionKeys)
  const endpointServices = (on: typeof database) => {
    const secrets = createEndpointSecrets({ database: on, box, generateSecret })
    return { secrets, endpoints: createEndpoints({ database: on, secrets }) }
  }
  const { secrets, endpoints } = endpointServices(database)
  const tenants = createTenants({ database: everyTenant })
  const apiKeys = createApiKeys({
    database: everyTenant,
    adminKeyHash: config.adminKey === undefined ? null : hashApiKey(config.adminKey),
  })
  const publisher = createPublisher({ pool: publishPool })
  const batchPublisher = createBatchPublisher({ pool: publishPool })
  const app = createApp({
    version: packageJson.version,
    log,
    ready: () => readinessOf(pool, redis),
    eventBytesMax: config.eventBytesMax,
    deliveryTimeoutSeconds: config.deliveryTimeoutSeconds,
    egressAllow: egressAllow(config),
    httpsOnly: config.httpsOnly,
    inTenant,
    apiKeys,
    requestLimiter: requestLimiter(config, redis),
    tenants,
    tenantOperations: createTenantOperations({ database: everyTenant }),
    endpoints,
    secrets,
    publisher: remembering(publisher, everyTenant, redis),
    batchPublisher,
    events: createEvents({ database }),
    ...createEventTypeServices({ database: everyTenant, isStrict: config.eventTypesStrict }),
    deliveries: createDeliveries({ database, attempts: createAttempts({ database }) }),
    deliveryOperations: createDeliveryOperations({ database }),
    endpointOperations: createEndpointOperations({ database }),
    endpointStats: createEndpointStats({ database }),
    clientCertificates: createClientCertificates({ database, box }),
    routing: createRouting({ database }),
    testEvents: createTestEvents({ database, pool }),
    replays: createReplays({ database }),
  })
  const stop = async () => {
    await Promise.all([publisher.idle(), batchPublisher.idle(), apiKeys.idle()])
    await Promise.all([pool.end(), publishPool.end()])
  }
  // The sandbox of `dev` is no tenant's, and sees them all.
  return { app, pool, tenants, ...endpointServices(everyTenant), stop }
}

function requestLimiter({ apiRateLimit: limit }: Config, redis: Redis) {
  if (limit === 0) return null
  return createRequestLimiter({ redis, limit, windowSeconds: API_RATE_WINDOW_SECONDS })
}

function remembering(
  publisher: Publisher,
  database: ReturnType<typeof createDatabase>,
  redis: Redis,
) {
  if (redis.state === 'off') return publisher
  return createRememberingPublisher({ publisher, cache: createDedupCache({ redis }), database })
}

/** Redis is shown and never counts: without it everything is served all the same. */
async function readinessOf(
  pool: Parameters<typeof assertSchema>[0],
  redis: Redis,
): Promise<Readiness> {
  await pool.query('select 1')
  try {
    await assertSchema(pool)
    return {
      ready: true,
      checks: { database: 'reachable', schema: 'current', redis: redis.state },
    }
  } catch {
    return {
      ready: false,
      checks: {
        database: 'reachable',
        schema: 'not the one of this program',
        redis: redis.state,
      },
    }
  }
}

function egressAllow(config: Pick<Config, 'egressAllow'>): ParsedCidr[] {
  return parseCidrs(config.egressAllow.join(','))
}

async function startEmbedded({ dataDir }: DevConfig) {
  return await startPostgres({ dataDir: join(dataDir, 'postgres') })
}

/** Rejects at the first end; an end of the runner that was asked for resolves it. */
function firstEnd(
  runner: RunnerHandle,
  postgres: { exited: Promise<void> } | null,
): Promise<unknown> {
  if (!postgres) return runner.ended
  const lost = postgres.exited.then(() => {
    throw new Error('the embedded Postgres ended')
  })
  return Promise.race([runner.ended, lost])
}

/** Answers before there is anything to answer with. */
function createFront() {
  let serving: Parameters<typeof startHttp>[0]['app'] | undefined
  const starting = { ready: false, checks: { service: 'starting' } }
  return {
    serve: (app: typeof serving) => {
      serving = app
    },
    fetch: (request: Request, env?: object) =>
      serving?.fetch(request, env) ?? Response.json(starting, { status: 503 }),
  }
}

/** @throws ConfigError when the address is not to be had */
async function listen(
  { host, port }: Pick<Config, 'host' | 'port'>,
  app: Parameters<typeof startHttp>[0]['app'],
): Promise<HttpServer> {
  try {
    return await startHttp({ app, host, port })
  } catch (error) {
    const mistake = mistakeInAddress(error, host, port)
    throw mistake ? new ConfigError([mistake]) : error
  }
}

function mistakeInAddress(error: unknown, host: string, port: number): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return `PORT ${port} is in use by another process; stop that, or set PORT to another one`
    case 'EACCES':
      return `PORT ${port} may not be used by this user; set PORT to one from 1024 on`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST ${host} is no address of this machine`
    default:
      return undefined
  }
}

/** A URL that works on this machine also when the API listens on every address. */
function urlOf({ host }: Pick<Config, 'host'>, { url, port }: HttpServer): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  return host === '::' ? `http://[::1]:${port}` : url
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= run()
    return running
  }
}
