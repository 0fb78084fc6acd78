import type { HttpBindings } from '@hono/node-server'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { requestId } from 'hono/request-id'
import { TrieRouter } from 'hono/router/trie-router'
import packageJson from '../../package.json' with { type: 'json' }
import { createClientOf } from '../access/client-address.ts'
import type { KeyGuard } from '../access/key-guard.ts'
import { limitConcurrency } from '../access/request-concurrency.ts'
import { addKeyRoutes } from '../api-keys/api-key.routes.ts'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import { addStreamRoute } from '../attempts/attempt-stream.routes.ts'
import type { Attempts } from '../attempts/attempts.ts'
import { addEndpointStatsRoute } from '../attempts/endpoint-stats.routes.ts'
import type { createEndpointStats } from '../attempts/endpoint-stats.ts'
import type { LiveAttempts } from '../attempts/live.ts'
import type { StreamTimes } from '../attempts/serve-live.ts'
import type { Act } from '../audit-log/audit-log.ts'
import type { ServiceConfig } from '../config/config.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import { addDeliveryRoutes } from '../deliveries/delivery.routes.ts'
import { addDeliveryOperationRoutes } from '../deliveries/delivery-operations.routes.ts'
import type { DeliveryOperations } from '../deliveries/delivery-operations.ts'
import { RECEIVED_REQUESTS } from '../deliveries/received-request.ts'
import { addThinEventRoute } from '../deliveries/thin-event.routes.ts'
import type { ThinEvents } from '../deliveries/thin-events.ts'
import { addEndpointRoutes } from '../endpoints/endpoint.routes.ts'
import { addEndpointOperationRoutes } from '../endpoints/endpoint-operations.routes.ts'
import type { EndpointOperations } from '../endpoints/endpoint-operations.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { addEventTypeRoutes } from '../event-types/event-type.routes.ts'
import type { EventTypeCheck } from '../event-types/event-type-check.ts'
import type { EventTypes } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { SchemaCompiler } from '../event-types/schema-compiler.ts'
import { createAccept } from '../events/accept.ts'
import { addEndpointMatchRoutes } from '../events/endpoint-match.routes.ts'
import { addEndpointTestRoute } from '../events/endpoint-test.routes.ts'
import { addEventRoutes } from '../events/event.routes.ts'
import { createRevealEvent, type Events } from '../events/events.ts'
import { addPublishRoute } from '../events/publish.routes.ts'
import { addPublishBatchRoute } from '../events/publish-batch.routes.ts'
import type { BatchPublisher } from '../events/publish-batch.ts'
import type { Publisher } from '../events/publisher.ts'
import type { Routing } from '../events/routing.ts'
import { createTestEndpoint } from '../events/test-endpoint.ts'
import type { TestEvents } from '../events/test-events.ts'
import { type ApiEnv, type App, createAuthenticate } from '../http/authenticate.ts'
import { addDocument } from '../http/document.ts'
import {
  addHealthRoutes,
  type Readiness,
  refuseUnadopted,
  refuseWhileCommitsWait,
} from '../http/health.ts'
import { addMetrics, type HttpMetrics } from '../http/metrics-route.ts'
import { createAdmit } from '../http/rate-limit.ts'
import { addReferencePage } from '../http/reference-page.ts'
import { refuseInvalid } from '../http/validation.ts'
import { addIncidentRoutes } from '../incidents/incident.routes.ts'
import type { Incidents } from '../incidents/incidents.ts'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { RequestLimiter } from '../limits/request-limiter.ts'
import type { Log } from '../log.ts'
import { addPauseAllRoutes } from '../operations/pause-all.routes.ts'
import type { PauseAll } from '../operations/pause-all.ts'
import { addOrderingKeyRoutes } from '../ordering/ordering-key.routes.ts'
import type { OrderingKeys } from '../ordering/ordering-keys.ts'
import { addPortalLinkRoutes } from '../portal-links/portal-link.routes.ts'
import type { PortalLinks } from '../portal-links/portal-links.ts'
import { asActor } from '../postgres/actor.ts'
import { createOutageNews } from '../postgres/outage.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { answerError, Problem } from '../problem.ts'
import { addBulkRoutes } from '../replays/bulk.routes.ts'
import type { Bulk } from '../replays/bulk.ts'
import { addReplayRoutes } from '../replays/replay.routes.ts'
import type { Replays } from '../replays/replays.ts'
import { addSearchRoute } from '../search/search.routes.ts'
import type { Search } from '../search/search.ts'
import { addClientCertificateRoutes } from '../secrets/client-certificate.routes.ts'
import type { ClientCertificates } from '../secrets/client-certificates.ts'
import { addEndpointSecretRoutes } from '../secrets/endpoint-secret.routes.ts'
import { createShowSecrets, type EndpointSecrets } from '../secrets/endpoint-secrets.ts'
import { egressRules, type ParsedCidr } from '../sending/egress.ts'
import type { ThinLinks } from '../sending/thin-link.ts'
import type { SvixAttempts } from '../svix/messages/svix-attempts.ts'
import type { SvixMessages } from '../svix/messages/svix-messages.ts'
import type { RepeatedAnswers } from '../svix/repeated-answers.ts'
import { addSvixApi } from '../svix/svix-api.ts'
import type { SvixApplications } from '../svix/svix-applications.ts'
import { acceptingLinks, type SvixEnv } from '../svix/svix-caller.ts'
import type { SvixEndpoints } from '../svix/svix-endpoints.ts'
import { addTenantRoutes } from '../tenants/tenant.routes.ts'
import { createTenantOfPath } from '../tenants/tenant-access.ts'
import { addTenantOperationRoutes } from '../tenants/tenant-operations.routes.ts'
import type { TenantOperations } from '../tenants/tenant-operations.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { createServices, type ServiceParts } from './services.ts'

export interface ApiOptions {
  version: string
  log: Pick<Log, 'error'>
  metrics: HttpMetrics
  /** Null = nothing is traced. */
  tracing: Tracing | null
  ready: () => Promise<Readiness>
  /** Whether what would write is refused, as its commit would wait for a standby that is away. */
  doCommitsWait: () => boolean
  /** Why nothing is accepted for this database and sent from it, in words; null = it is. */
  whyUnadopted: () => string | null
  /** Bytes of an event's `data` at most. */
  eventBytesMax: number
  /** Networks that may be dialled although not public. */
  egressAllow: readonly ParsedCidr[]
  /** Whether endpoints with an http URL are refused. */
  httpsOnly: boolean
  /** For endpoints without their own timeout. */
  deliveryTimeoutSeconds: number
  /** In which the services of tenants do their work. */
  inTenant: TenantScope['inTenant']
  apiKeys: Omit<ApiKeys, 'idle'>
  /** Null = strangers may try as many keys as they like. */
  keyGuard: KeyGuard | null
  /** Networks of the proxies in front; none when left out. */
  trustedProxies?: readonly string[]
  /** Null = no limit. */
  requestLimiter: RequestLimiter | null
  /** Of requests that read a lot; null = all at once. */
  heavySemaphore: FairSemaphore | null
  /** Of batches of events; null = all at once. */
  batchSemaphore: FairSemaphore | null
  tenants: Tenants
  tenantOperations: TenantOperations
  endpoints: Endpoints
  endpointOperations: EndpointOperations
  endpointStats: ReturnType<typeof createEndpointStats>
  secrets: EndpointSecrets
  audit: (act: Act) => Promise<void>
  clientCertificates: ClientCertificates
  publisher: Pick<Publisher, 'publish'>
  batchPublisher: Pick<BatchPublisher, 'publishAll'>
  events: Events
  eventTypes: EventTypes
  eventTypeCheck: EventTypeCheck
  schemaCompiler: SchemaCompiler
  exampleOf: ExampleOf
  routing: Routing
  testEvents: TestEvents
  thinLinks: ThinLinks
  thinEvents: ThinEvents
  deliveries: Deliveries
  attempts: Pick<Attempts, 'get'>
  deliveryOperations: DeliveryOperations
  replays: Replays
  bulk: Bulk
  incidents: Incidents
  /** Of every tenant. */
  allIncidents: Pick<Incidents, 'list'>
  /** Over all tenants. */
  search: Search
  orderingKeys: OrderingKeys
  pauseAll: PauseAll
  allOrderingKeys: Pick<OrderingKeys, 'list'>
  liveAttempts: Pick<LiveAttempts, 'open'>
  portalLinks: Pick<PortalLinks, 'create' | 'revokeAll' | 'verifyHash'>
  svixApplications: SvixApplications
  svixEndpoints: SvixEndpoints
  svixMessages: SvixMessages
  svixAttempts: SvixAttempts
  repeatedAnswers: RepeatedAnswers
  /** Whether SDKs of Svix are served; left out = they are not. */
  svixApi?: boolean
  /** Where people reach this service; undefined = where a request did. */
  publicUrl: string | undefined
  /** Whether it has to be known for links to be made. */
  needsPublicUrl?: boolean
  /** Whether metrics are served here; left out = they are. */
  servesMetrics?: boolean
  /** Of streams; tests have less patience. */
  streamTimes?: StreamTimes
}

/** The API of a configuration, without a port, and the services that it is made of. */
export function createApi(
  config: ServiceConfig,
  parts: ServiceParts,
  overrides: Partial<ApiOptions> = {},
) {
  const { log, metrics, tracing } = parts
  const services = createServices(config, parts)
  const options = { ...settingsOf(config), log, metrics, tracing, ...services, ...overrides }
  return { app: createApp(options), services }
}

function settingsOf(config: ServiceConfig) {
  return {
    version: packageJson.version,
    eventBytesMax: config.eventBytesMax,
    deliveryTimeoutSeconds: config.deliveryTimeoutSeconds,
    egressAllow: egressRules(config),
    httpsOnly: config.httpsOnly,
    trustedProxies: config.trustedProxies,
    publicUrl: config.publicUrl,
    svixApi: config.svixApi,
    needsPublicUrl: config.isProduction,
    servesMetrics: config.metricsPort === undefined,
  }
}

/** The whole API as a function of a request; `startHttp` puts it on a port. */
function createApp(options: ApiOptions): App {
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: refuseInvalid })
  app.use(requestId({ limitLength: 64 }))
  app.use(noteClient(createClientOf(options.trustedProxies ?? [])))
  app.use(endBodyOfHead)
  app.use('/api/*', keptByNoCache)
  app.use('/api/*', refuseWhileCommitsWait(options.doCommitsWait))
  app.use('/api/*', refuseUnadopted(options.whyUnadopted))
  addMetrics(app, options.metrics, options.servesMetrics)
  const routeOptions = { ...options, ...frameOf(options), ...actionsOf(options) }
  addRoutes(app, routeOptions)
  if (options.svixApi) {
    addSvixApi(app, {
      ...routeOptions,
      ...frameOf({ ...options, apiKeys: acceptingLinks(options) }),
    })
  }
  addHealthRoutes(app, options)
  addThinEventRoute(app, options)
  addReferencePage(app, addDocument(app, options.version, RECEIVED_REQUESTS))
  answerRefusals(app, options.log)
  answerUnknownRoutes(app)
  return app
}

/** What a path names: a tenant, or as Svix calls it, an application. */
type OfPath = Pick<ApiEnv['Variables'], 'caller'> &
  Partial<Pick<SvixEnv['Variables'], 'tenant' | 'app'>>

/** What every route has in common: who asks, about which tenant, and how many at once. */
function frameOf(options: ApiOptions) {
  const admit = createAdmit(options.requestLimiter)
  const workOf = (c: Context<ApiEnv>) => {
    const { caller, tenant, app }: OfPath = c.var
    return { caller, tenantId: (tenant ?? app ?? caller.tenant)?.id ?? null }
  }
  return {
    authenticate: createAuthenticate({ ...options, admit }),
    tenantOfPath: createTenantOfPath(options),
    limitHeavy: limitConcurrency<ApiEnv>(options.heavySemaphore, workOf),
    limitBatches: limitConcurrency<ApiEnv>(options.batchSemaphore, workOf),
  }
}

/** What takes several services. */
const actionsOf = (options: ApiOptions) => ({
  accept: createAccept(options),
  showSecrets: createShowSecrets(options),
  revealEvent: createRevealEvent(options),
  testEndpoint: createTestEndpoint(options),
})

type RouteOptions = ApiOptions & ReturnType<typeof frameOf> & ReturnType<typeof actionsOf>

function addRoutes(app: App, options: RouteOptions): void {
  addPublishRoute(app, options)
  addPublishBatchRoute(app, options)
  addTenantRoutes(app, options)
  addTenantOperationRoutes(app, options)
  addKeyRoutes(app, options)
  addEndpointRoutes(app, options)
  addEndpointSecretRoutes(app, options)
  addClientCertificateRoutes(app, options)
  addEndpointOperationRoutes(app, options)
  addEndpointMatchRoutes(app, options)
  addEndpointTestRoute(app, options)
  addEndpointStatsRoute(app, options)
  addEventRoutes(app, options)
  addEventTypeRoutes(app, options)
  addDeliveryRoutes(app, options)
  addDeliveryOperationRoutes(app, options)
  addReplayRoutes(app, options)
  addBulkRoutes(app, options)
  addIncidentRoutes(app, options)
  addSearchRoute(app, options)
  addOrderingKeyRoutes(app, options)
  addPauseAllRoutes(app, options)
  addPortalLinkRoutes(app, options)
  addStreamRoute(app, options)
}

/** For limits, logs and the audit log. */
const noteClient = (clientOf: ReturnType<typeof createClientOf>) =>
  createMiddleware<ApiEnv & { Bindings: Partial<HttpBindings> }>(async (c, next) => {
    const client = clientOf(c.env?.incoming ?? { headers: c.req.header(), socket: {} })
    c.set('client', client)
    await asActor({ who: '', client: client.address }, next)
  })

/** What is answered may be a secret, and is only for the holder of the key. A stream says so in its own way. */
const keptByNoCache = createMiddleware((c, next) => {
  // Before the answer is made: to change one that is there costs as much as making it.
  c.header('cache-control', 'no-store')
  return next()
})

/**
 * To a HEAD, Hono answers what a GET would be answered with, and drops the body: whatever goes on writing one has
 * to hear of it.
 */
const endBodyOfHead = createMiddleware(async (c, next) => {
  await next()
  if (c.req.method === 'HEAD') await c.res.body?.cancel()
})

function answerRefusals(app: App, log: ApiOptions['log']): void {
  const isNews = createOutageNews()
  app.onError((error, c) => {
    const { response, isOurFault } = answerError(c, error)
    if (isOurFault && isNews(error)) {
      const { method, path } = c.req
      const { address: client } = c.get('client')
      const requestId = c.get('requestId')
      log.error({ err: error, requestId, method, path, client }, 'request.failed')
    }
    return response
  })
}

function answerUnknownRoutes(app: App): void {
  const methodsOf = createMethodLookup(app)
  app.notFound((c) => {
    const allowed = methodsOf(c.req.path)
    const problem =
      allowed.length === 0
        ? new Problem('route_not_found')
        : new Problem('method_not_allowed', { headers: { allow: allowed.join(', ') } })
    return answerError(c, problem).response
  })
}

/** The methods that a path has routes for; built when the first request finds none. */
function createMethodLookup(app: App): (path: string) => string[] {
  let router: TrieRouter<string> | undefined
  return (path) => {
    if (!router) {
      router = new TrieRouter()
      // Middleware is registered for every method and answers nothing by itself.
      for (const route of app.routes) {
        if (route.method !== 'ALL') router.add('ALL', route.path, route.method)
      }
    }
    const [found] = router.match('ALL', path)
    return [...new Set(found.map(([method]) => method))]
  }
}
