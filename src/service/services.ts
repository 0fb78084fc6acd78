import type { Kysely } from 'kysely'
import { hashApiKey } from '../access/caller.ts'
import { KeyGuard } from '../access/key-guard.ts'
import { createSharedSemaphore, type Shares } from '../access/request-concurrency.ts'
import { createApiKeys } from '../api-keys/api-keys.ts'
import { createAttempts } from '../attempts/attempts.ts'
import { createEndpointStats } from '../attempts/endpoint-stats.ts'
import { LiveAttempts } from '../attempts/live.ts'
import { type Act, writeAct } from '../audit-log/audit-log.ts'
import { oneAtATime } from '../clock.ts'
import { type Config, isShortAdminKey, type ServiceConfig } from '../config/config.ts'
import { createDeliveries } from '../deliveries/deliveries.ts'
import { createDeliveryOperations } from '../deliveries/delivery-operations.ts'
import { createThinEvents } from '../deliveries/thin-events.ts'
import { createEndpointOperations } from '../endpoints/endpoint-operations.ts'
import { createEndpoints } from '../endpoints/endpoints.ts'
import { createEventTypeServices } from '../event-types/event-type-services.ts'
import { createEvents } from '../events/events.ts'
import { createKeyLocks } from '../events/key-locks.ts'
import { createPublisher } from '../events/publish.ts'
import { createBatchPublisher } from '../events/publish-batch.ts'
import { createRememberingPublisher } from '../events/remembering-publisher.ts'
import { createRouting } from '../events/routing.ts'
import { createTestEvents } from '../events/test-events.ts'
import type { Readiness } from '../http/health.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { createDedupCache } from '../limits/dedup-cache.ts'
import { FairSemaphore } from '../limits/fair-semaphore.ts'
import { createRequestLimiter } from '../limits/request-limiter.ts'
import { createPauseAll } from '../operations/pause-all.ts'
import { createOrderingKeys } from '../ordering/ordering-keys.ts'
import { createPortalLinks } from '../portal-links/portal-links.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { type Adoption, adoptionOf } from '../postgres/adoption.ts'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { isOfSchema } from '../postgres/migrate/schema-version.ts'
import { createOutageNews, isOutOfSessions } from '../postgres/outage.ts'
import { createDatabase, hasConnection } from '../postgres/pool.ts'
import type { Database } from '../postgres/schema.ts'
import { ailmentOf, type Servers } from '../postgres/servers.ts'
import { createTenantScope } from '../postgres/tenant-scope.ts'
import type { Redis } from '../redis/redis.ts'
import { createBulk } from '../replays/bulk.ts'
import { createReplays } from '../replays/replays.ts'
import { createSearch } from '../search/search.ts'
import { createClientCertificates } from '../secrets/client-certificates.ts'
import { createEndpointSecrets } from '../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../secrets/secrets.ts'
import { generateSecret } from '../sending/signature.ts'
import { createThinLinks } from '../sending/thin-link.ts'
import { createSvixAttempts } from '../svix/messages/svix-attempts.ts'
import { createSvixMessages } from '../svix/messages/svix-messages.ts'
import { createRepeatedAnswers } from '../svix/repeated-answers.ts'
import { createSvixApplications } from '../svix/svix-applications.ts'
import { createSvixEndpoints } from '../svix/svix-endpoints.ts'
import { createTenantOperations } from '../tenants/tenant-operations.ts'
import { createTenants } from '../tenants/tenants.ts'
import { API_CONNECTIONS, type Pools } from './pools.ts'
import type { SharedParts } from './shared-parts.ts'

/** Half of the connections: the other half is for what takes a millisecond. */
const HEAVY = { atOnce: API_CONNECTIONS / 2, waiting: 500, waitingPerKey: 100, waitMs: 2_000 }
/** Each holds its body meanwhile; a few of them are with the database, and the others wait for it anyway. */
const BATCHES = {
  ...{ atOnce: 32, atOncePerKey: 4, atOncePerTenant: 4 },
  ...{ waiting: 256, waitingPerKey: 32, waitMs: 5_000 },
}
/** Short, so that who is over the limit need not wait long. */
const API_RATE_WINDOW_SECONDS = 1

/** What services are made of, besides the configuration. */
export interface ServiceParts extends SharedParts {
  pools: Pools
  servers?: Servers
  /** Milliseconds since 1970, for what keeps keys; left out = the clock of the process. */
  now?: () => number
}

export type Services = ReturnType<typeof createServices>

/**
 * The services of a configuration: the one place where they are put together, for API, pages, `dev` and tests. Those
 * of tenants work within the scope of the tenant that a request is about.
 */
export function createServices(config: ServiceConfig, parts: ServiceParts) {
  const { api } = parts.pools
  const everyTenant = createDatabase(api)
  const { database, inTenant } = createTenantScope(api)
  const ofTenants = createTenantServices(config, database)
  const adoption = adoptionOf({
    database: api,
    environment: config.environment.name,
    log: parts.log,
  })
  return {
    adoption,
    inTenant,
    thinLinks: thinLinksOf(config),
    thinEvents: createThinEvents({ database: everyTenant }),
    ...admissionOf(config, parts, everyTenant),
    ...publishersOf(parts, everyTenant),
    ...createEventTypeServices({ database: everyTenant, isStrict: config.eventTypesStrict }),
    ...ofTenants,
    svixEndpoints: createSvixEndpoints({ database, ...ofTenants }),
    tenants: createTenants({ database: everyTenant }),
    allIncidents: createIncidents({ database: everyTenant }),
    search: searchOf(config, everyTenant),
    allOrderingKeys: createOrderingKeys({ database: everyTenant }),
    pauseAll: createPauseAll({ database: everyTenant }),
    tenantOperations: createTenantOperations({ database: everyTenant }),
    svixApplications: createSvixApplications({ database: everyTenant }),
    svixMessages: createSvixMessages({ database, everyTenant }),
    svixAttempts: createSvixAttempts({ database, everyTenant }),
    repeatedAnswers: createRepeatedAnswers({ database: everyTenant }),
    testEvents: createTestEvents({ database, pool: api }),
    audit: (act: Act) => changeAsActor(everyTenant, (on) => writeAct(on, act)),
    liveAttempts: liveAttemptsOf(parts, everyTenant),
    doCommitsWait: () => parts.servers?.doCommitsWait() ?? false,
    whyUnadopted: adoption.whyUnadopted,
    ready: oneAtATime(() => readinessOf({ ...parts, adoption })),
  }
}

/** What can be done with what tenants have, on one database: of every tenant, or within the scope of one. */
export function createTenantServices(
  config: ServiceConfig,
  database: Kysely<Database>,
  { isMasked = true }: { isMasked?: boolean } = {},
) {
  const box = createSecretBox(config.secretEncryptionKeys)
  const secrets = createEndpointSecrets({ database, box, generateSecret })
  const attempts = createAttempts({ database })
  return {
    secrets,
    endpoints: createEndpoints({
      ...{ database, secrets, endpointsMax: config.endpointsPerTenantMax },
      hasPublicUrl: publicUrlOf(config) !== undefined,
    }),
    endpointOperations: createEndpointOperations({ database }),
    endpointStats: createEndpointStats({ database }),
    clientCertificates: createClientCertificates({ database, box }),
    events: createEvents({ database, isMasked }),
    routing: createRouting({ database }),
    deliveries: createDeliveries({ database, attempts }),
    deliveryOperations: createDeliveryOperations({ database }),
    attempts,
    replays: createReplays({ database, bounds: replayBoundsOf(config) }),
    bulk: createBulk({ database, bounds: replayBoundsOf(config) }),
    incidents: createIncidents({ database }),
    orderingKeys: createOrderingKeys({ database }),
  }
}

/** Over the tenants that `database` sees. */
export const searchOf = (config: ServiceConfig, database: Kysely<Database>) =>
  createSearch({ ...createTenantServices(config, database), database })

/** What the links of thin events begin with. */
const publicUrlOf = ({ publicUrl, ownUrl }: ServiceConfig) => publicUrl ?? ownUrl

/** Of runners as well, which have the same keys. */
export const thinLinksOf = (config: ServiceConfig) =>
  createThinLinks({ keys: config.secretEncryptionKeys, publicUrl: publicUrlOf(config) })

/** Who gets in, and how much at once. */
function admissionOf(
  config: ServiceConfig,
  { redis, now }: ServiceParts,
  database: Kysely<Database>,
) {
  const adminKeyHash = config.adminKey === undefined ? null : hashApiKey(config.adminKey)
  return {
    apiKeys: createApiKeys({ database, adminKeyHash, ...(now && { now }) }),
    keyGuard: new KeyGuard({ redis, known: strongKeysOf(config) }),
    portalLinks: createPortalLinks({ database }),
    requestLimiter: requestLimiter(config, redis),
    heavySemaphore: createSharedSemaphore(sharesOf(config), HEAVY),
    batchSemaphore: new FairSemaphore(BATCHES),
  }
}

function publishersOf({ pools, redis }: ServiceParts, database: Kysely<Database>) {
  const keyLocks = createKeyLocks()
  const publisher = createPublisher({ pool: pools.publish, keyLocks })
  const batchPublisher = createBatchPublisher({ pool: pools.batch, keyLocks })
  const cache = redis.state === 'off' ? null : createDedupCache({ redis })
  return {
    publisher: cache ? createRememberingPublisher({ publisher, cache, database }) : publisher,
    batchPublisher,
    /** Resolves once nothing is being published. */
    published: () => Promise.all([publisher.idle(), batchPublisher.idle()]),
  }
}

function liveAttemptsOf({ log, metrics }: ServiceParts, database: Kysely<Database>) {
  const isNews = createOutageNews()
  const onError = (error: unknown) => {
    if (isNews(error)) log.warn({ err: error }, 'stream.not_read')
  }
  const liveAttempts = new LiveAttempts({ database, onError })
  metrics.watchStreams(liveAttempts)
  return liveAttempts
}

/** Hashes of keys that nobody guesses, however often they try. */
export function strongKeysOf({ adminKey }: Config): Buffer[] {
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

function requestLimiter({ apiRateLimit: limit }: Config, redis: Redis) {
  if (limit === 0) return null
  return createRequestLimiter({ redis, limit, windowSeconds: API_RATE_WINDOW_SECONDS })
}

/** What a stranger may read, so not whose it is; the log says it. */
const NOT_ADOPTED = 'not adopted: nothing is sent'

/** Redis is shown and never counts: without it everything is served anyway. */
async function readinessOf({
  pools,
  redis,
  servers,
  adoption,
}: ServiceParts & { adoption: Adoption }): Promise<Readiness> {
  const shown = { ...(servers && { server: servers.inUse().name }), redis: redis.state }
  // The server's first, as its sessions may all wait by now.
  const database = (servers && ailmentOf(servers)) ?? (await stateOf(pools))
  if (database !== 'reachable') return { ready: false, checks: { database, ...shown } }
  try {
    await assertSchema(pools.api)
    const checks = { database, schema: 'current', ...shown }
    if ((await adoption.look()) === null) return { ready: true, checks }
    return { ready: false, checks: { ...checks, environment: NOT_ADOPTED } }
  } catch (error) {
    if (!isOfSchema(error)) throw error
    const schema = 'not the one of this program'
    return { ready: false, checks: { database, schema, ...shown } }
  }
}

/** Reads work, and no event is accepted: what runs on the server has taken its sessions, and keeps them. */
const NO_SESSION_LEFT = 'no connection left to publish with: raise max_connections'

/** A standby answers, and stores nothing, as after a failover. */
async function stateOf({ api, publish }: Pools): Promise<string> {
  const { rows } = await api.query<{ value: string }>(
    `select current_setting('transaction_read_only') as value`,
  )
  if (rows[0]?.value === 'on') return 'read-only'
  return (await canConnect(publish)) ? 'reachable' : NO_SESSION_LEFT
}

/** Makes a connection only where there is none; the next event is stored on it. */
async function canConnect(pool: Pools['publish']): Promise<boolean> {
  if (hasConnection(pool)) return true
  try {
    await pool.query('select 1')
    return true
  } catch (error) {
    if (isOutOfSessions(error)) return false
    throw error
  }
}
