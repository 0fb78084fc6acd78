import packageJson from '../../package.json' with { type: 'json' }
import { type Caller, hashApiKey } from '../access/caller.ts'
import { createSharedTurns, type Shares } from '../access/in-turn.ts'
import { createKeyGuard } from '../access/key-guard.ts'
import { createApiKeys } from '../api-keys/api-keys.ts'
import { createAttempts } from '../attempts/attempts.ts'
import { createEndpointStats } from '../attempts/endpoint-stats.ts'
import { createLiveAttempts } from '../attempts/live.ts'
import { writeAct } from '../audit-log/audit-log.ts'
import { type Config, isShortAdminKey, type ServiceConfig } from '../config/config.ts'
import { createDeliveries } from '../deliveries/deliveries.ts'
import { createDeliveryOperations } from '../deliveries/delivery-operations.ts'
import { createEndpointOperations } from '../endpoints/endpoint-operations.ts'
import { createEndpoints } from '../endpoints/endpoints.ts'
import { createEventTypeServices } from '../event-types/event-type-services.ts'
import { createEvents } from '../events/events.ts'
import { createKeyTurns } from '../events/key-turns.ts'
import { createPublisher, type Publisher } from '../events/publish.ts'
import { createBatchPublisher, LANES } from '../events/publish-batch.ts'
import { createRememberingPublisher } from '../events/remembering-publisher.ts'
import { createRouting } from '../events/routing.ts'
import { createTestEvents } from '../events/test-events.ts'
import type { Readiness } from '../http/health.ts'
import { createDedupCache } from '../limits/dedup-cache.ts'
import { createRequestLimiter } from '../limits/request-limiter.ts'
import { createTurns } from '../limits/turns.ts'
import { createPortalLinks } from '../portal-links/portal-links.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { createDatabase, createPool } from '../postgres/pool.ts'
import { createTenantScope } from '../postgres/tenant-scope.ts'
import { watchQueue } from '../queue/queue-metrics.ts'
import type { Redis } from '../redis/redis.ts'
import { createReplays } from '../replays/replays.ts'
import { createClientCertificates } from '../secrets/client-certificates.ts'
import { createEndpointSecrets } from '../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../secrets/secrets.ts'
import { egressRules } from '../sending/egress.ts'
import { generateSecret } from '../sending/signature.ts'
import { createTenantOperations } from '../tenants/tenant-operations.ts'
import { createTenants } from '../tenants/tenants.ts'
import { createApp } from './api-app.ts'

import type { SharedParts } from './shared-parts.ts'

/** Reads and settings take milliseconds; more would only queue in Postgres instead of here. */
const API_CONNECTIONS = 8
/** Two lanes each for events with an idempotency key, without, and large ones. */
const PUBLISH_CONNECTIONS = 6
/** One a lane; a batch of a thousand may take seconds. */
const BATCH_CONNECTIONS = LANES
/** Requests share a statement: when it takes longer, each is tried again alone. */
const PUBLISH_STATEMENT_MS_MAX = 3_000
const API_STATEMENT_MS_MAX = 10_000
/** By then a server that is there has at least said that the statement took too long. */
const API_SILENCE_MS_MAX = 15_000
/** Half of the connections: the other half is for what takes a millisecond. */
const HEAVY = { atOnce: API_CONNECTIONS / 2, waiting: 500, waitingPerKey: 100, waitMs: 2_000 }
/** Each holds its body meanwhile; a few of them are with the database, and the others wait for it anyway. */
const BATCHES = {
  ...{ atOnce: 32, atOncePerKey: 4, atOncePerTenant: 4 },
  ...{ waiting: 256, waitingPerKey: 32, waitMs: 5_000 },
}
/** Short, so that who is over the limit need not wait long. */
const API_RATE_WINDOW_SECONDS = 1

/** Pools, services and the app, without a port. */
export function createApi(config: ServiceConfig, { log, redis, metrics, tracing }: SharedParts) {
  const connectionString = config.databaseUrl
  const pooled = config.databaseDirectUrl !== undefined
  const onError = (error: Error) => {
    // A connection that is closing may still hear that the server is stopping as well.
    if (!pool.ending) log.warn({ err: error }, 'database.connection_lost')
  }
  const pool = createPool({
    connectionString,
    pooled,
    max: API_CONNECTIONS,
    applicationName: 'postrider api',
    pipeline: true,
    statementTimeoutMs: API_STATEMENT_MS_MAX,
    silenceMsMax: API_SILENCE_MS_MAX,
    onError,
  })
  const publishPool = createPool({
    connectionString,
    pooled,
    max: PUBLISH_CONNECTIONS,
    applicationName: 'postrider api publish',
    statementTimeoutMs: PUBLISH_STATEMENT_MS_MAX,
    silenceMsMax: API_SILENCE_MS_MAX,
    onError,
  })
  const batchPool = createPool({
    connectionString,
    pooled,
    max: BATCH_CONNECTIONS,
    applicationName: 'postrider api batch',
    statementTimeoutMs: API_STATEMENT_MS_MAX,
    silenceMsMax: API_SILENCE_MS_MAX,
    onError,
  })
  metrics.watchPool('api', pool)
  metrics.watchPool('publish', publishPool)
  metrics.watchPool('batch', batchPool)
  watchQueue(metrics.registry, pool)
  // For what decides which tenant a request is about; all the rest is done in that tenant's scope.
  const everyTenant = createDatabase(pool)
  const { database, inTenant } = createTenantScope(pool)
  const box = createSecretBox(config.secretEncryptionKeys)
  const endpointServices = (on: typeof database) => {
    const secrets = createEndpointSecrets({ database: on, box, generateSecret })
    const endpointsMax = config.endpointsPerTenantMax
    return { secrets, endpoints: createEndpoints({ database: on, secrets, endpointsMax }) }
  }
  const { secrets, endpoints } = endpointServices(database)
  const tenants = createTenants({ database: everyTenant })
  const apiKeys = createApiKeys({
    database: everyTenant,
    adminKeyHash: config.adminKey === undefined ? null : hashApiKey(config.adminKey),
  })
  const strongKeys = strongKeysOf(config)
  const keyGuard = createKeyGuard({ redis, known: strongKeys })
  const portalLinks = createPortalLinks({ database: everyTenant })
  const liveAttempts = createLiveAttempts({
    database: everyTenant,
    onError: (error) => log.warn({ err: error }, 'stream.not_read'),
  })
  metrics.watchStreams(liveAttempts)
  const keyTurns = createKeyTurns()
  const publisher = createPublisher({ pool: publishPool, keyTurns })
  const batchPublisher = createBatchPublisher({ pool: batchPool, keyTurns })
  const ownRequests = new WeakMap<Request, Caller>()
  const eventTypeServices = createEventTypeServices({
    database: everyTenant,
    isStrict: config.eventTypesStrict,
  })
  const attempts = createAttempts({ database })
  const ready = oneAtATime(() => readinessOf(pool, redis))
  const app = createApp({
    version: packageJson.version,
    log,
    metrics,
    tracing,
    ready,
    eventBytesMax: config.eventBytesMax,
    deliveryTimeoutSeconds: config.deliveryTimeoutSeconds,
    egressAllow: egressRules(config),
    httpsOnly: config.httpsOnly,
    inTenant,
    apiKeys,
    keyGuard,
    trustedProxies: config.trustedProxies,
    ownRequests,
    requestLimiter: requestLimiter(config, redis),
    heavyTurns: createSharedTurns(sharesOf(config), HEAVY),
    batchTurns: createTurns(BATCHES),
    tenants,
    tenantOperations: createTenantOperations({ database: everyTenant }),
    endpoints,
    secrets,
    audit: (act) => changeAsActor(everyTenant, (on) => writeAct(on, act)),
    publisher: remembering(publisher, everyTenant, redis),
    batchPublisher,
    events: createEvents({ database }),
    ...eventTypeServices,
    deliveries: createDeliveries({ database, attempts }),
    attempts,
    deliveryOperations: createDeliveryOperations({ database }),
    endpointOperations: createEndpointOperations({ database }),
    endpointStats: createEndpointStats({ database }),
    clientCertificates: createClientCertificates({ database, box }),
    routing: createRouting({ database }),
    testEvents: createTestEvents({ database, pool }),
    replays: createReplays({ database, bounds: replayBoundsOf(config) }),
    liveAttempts,
    portalLinks,
    publicUrl: config.publicUrl,
    needsPublicUrl: config.isProduction,
    servesMetrics: config.metricsPort === undefined,
  })
  const stop = async () => {
    await Promise.all([publisher.idle(), batchPublisher.idle(), apiKeys.idle()])
    await Promise.all([pool.end(), publishPool.end(), batchPool.end()])
  }
  // The sandbox of `dev` is no tenant's, and sees them all.
  const own = {
    keyGuard,
    strongKeys,
    apiKeys,
    portalLinks,
    ownRequests,
    tenants,
    liveAttempts,
    ...eventTypeServices,
  }
  return { app, pool, ready, ...own, ...endpointServices(everyTenant), endpointServices, stop }
}

/** Hashes of keys that nobody guesses, however often they try. */
function strongKeysOf({ adminKey }: Config): Buffer[] {
  return adminKey === undefined || isShortAdminKey(adminKey) ? [] : [hashApiKey(adminKey)]
}

export const sharesOf = (config: Config): Shares => ({
  perKey: config.heavyRequestsPerKey,
  perTenant: config.heavyRequestsPerTenant,
})

const replayBoundsOf = (config: Config) => ({
  ofTenant: config.replaysPerTenant,
  ofKey: config.replaysPerKey,
})

/** Who asks while it is being found out is told the same: probes need no key, and cost the database little. */
function oneAtATime<T>(findOut: () => Promise<T>): () => Promise<T> {
  let findingOut: Promise<T> | undefined
  return () => {
    findingOut ??= findOut().finally(() => {
      findingOut = undefined
    })
    return findingOut
  }
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

/** Redis is shown and never counts: without it everything is served anyway. */
async function readinessOf(
  pool: Parameters<typeof assertSchema>[0],
  redis: Redis,
): Promise<Readiness> {
  const shown = { redis: redis.state }
  if (await isReadOnly(pool)) return { ready: false, checks: { database: 'read-only', ...shown } }
  try {
    await assertSchema(pool)
    const checks = { database: 'reachable', schema: 'current', ...shown }
    return { ready: true, checks }
  } catch {
    const checks = { database: 'reachable', schema: 'not the one of this program', ...shown }
    return { ready: false, checks }
  }
}

/** As after a failover, on the server that has become a standby: it answers, and stores nothing. */
async function isReadOnly(pool: Parameters<typeof assertSchema>[0]): Promise<boolean> {
  const { rows } = await pool.query<{ value: string }>(
    `select current_setting('transaction_read_only') as value`,
  )
  return rows[0]?.value === 'on'
}
