import type { Kysely } from 'kysely'
import { KeyGuard } from '../access/key-guard.ts'
import { createSharedSemaphore } from '../access/request-concurrency.ts'
import { cancelBackfill, listBackfills, listTables } from '../attached-tables/attached-tables.ts'
import { createAttemptRates } from '../attempts/attempt-rates.ts'
import { createAttemptStrips } from '../attempts/attempt-strips.ts'
import { createNameCache } from '../attempts/name-cache.ts'
import { createAuditLog } from '../audit-log/audit-log.ts'
import type { ServiceConfig } from '../config/config.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { createDeliveries } from '../deliveries/deliveries.ts'
import { createSentBody } from '../deliveries/sent-body.ts'
import { createEndpointAnswers } from '../endpoints/endpoint-answers.ts'
import { createEndpointHealth } from '../endpoints/endpoint-health.ts'
import { createTryFilter } from '../endpoints/try-filter.form.ts'
import { CATALOG_PATH } from '../event-types/catalog.pages.tsx'
import { createRevealEvent } from '../events/events.ts'
import { createTestEndpoint } from '../events/test-endpoint.ts'
import { createTestEvents } from '../events/test-events.ts'
import { createAdmit } from '../http/rate-limit.ts'
import { createTroubleOf } from '../incidents/endpoint-trouble.ts'
import { createIncidents } from '../incidents/incidents.ts'
import { createBacklog } from '../operations/backlog.ts'
import { createChartMarkers } from '../operations/chart-markers.ts'
import { createDatabaseReport } from '../operations/database-report.ts'
import { createPauseAll } from '../operations/pause-all.ts'
import { createRunnerList } from '../operations/runner-list.ts'
import { reportServer } from '../operations/server-report.ts'
import { findViolations } from '../operations/violations.ts'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { createDatabase } from '../postgres/pool.ts'
import type { Database } from '../postgres/schema.ts'
import { createTenantScope, type TenantScope } from '../postgres/tenant-scope.ts'
import { createSuggestions } from '../search/suggestions.ts'
import { createShowSecrets } from '../secrets/endpoint-secrets.ts'
import { egressRules } from '../sending/egress.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createResourcePages } from '../tenants/resource-pages.ts'
import { createTenantAccess } from '../tenants/tenant-access.ts'
import { createTenantDay } from '../tenants/tenant-day.ts'
import { createTenants } from '../tenants/tenants.ts'
import type { createApi } from './api-app.ts'
import { createCatalog } from './catalog-app.ts'
import { type ConsoleOptions, createConsole } from './console-app.tsx'
import { PAGE_CONNECTIONS, type Pools } from './pools.ts'
import { createPortal, type PortalOptions } from './portal-app.tsx'
import {
  createTenantServices,
  type ServiceParts,
  type Services,
  searchOf,
  sharesOf,
  strongKeysOf,
} from './services.ts'

/** One connection is always for pages that take a millisecond; people wait longer than programs. */
const HEAVY_PAGES = { atOnce: PAGE_CONNECTIONS - 1, waiting: 64, waitingPerKey: 16, waitMs: 5_000 }
/** A minute: nobody mistypes what they paste more often; a key has too many bits to be guessed at any rate. */
const SIGN_INS = { what: 'sign-ins', ofClient: 10, inAll: 300 }
/** Some seconds of the database; `postrider doctor` looks at ten times as much. */
const CHECKED = { hours: 24, rowsMax: 20_000 }

type Api = ReturnType<typeof createApi>
type PageOverrides = Partial<Pick<ConsoleOptions, 'pageSemaphore' | 'signInGuard'>>

/** Adds the pages for people to the API. */
export function addPages(
  config: ServiceConfig,
  parts: ServiceParts,
  api: Api,
  overrides: PageOverrides = {},
) {
  const shared = {
    ...api.services,
    log: parts.log,
    admit: createAdmit(api.services.requestLimiter),
    pageSemaphore: createSharedSemaphore(sharesOf(config), HEAVY_PAGES),
    ...overrides,
  }
  const operators = consoleOptions(config, parts, shared)
  api.app.get(`${CONSOLE_PATH}/`, (c) => c.redirect(CONSOLE_PATH, 301))
  api.app.route(CONSOLE_PATH, createConsole(operators))
  api.app.get(`${PORTAL_PATH}/`, (c) => c.redirect(PORTAL_PATH, 301))
  api.app.route(PORTAL_PATH, createPortal(portalOptions(config, parts, shared)))
  if (config.hasCatalog) {
    api.app.get(`${CATALOG_PATH}/`, (c) => c.redirect(CATALOG_PATH, 301))
    api.app.route(CATALOG_PATH, createCatalog({ ...shared, portal: config.portal }))
  }
  return { sessions: operators.sessions }
}

type PageParts = Services & Pick<ConsoleOptions, 'log' | 'admit' | 'pageSemaphore'> & PageOverrides

/** On the page of a tenant; the list of endpoints has them all. */
const TENANT_ENDPOINTS_SHOWN = 20

/** Anyone who signs in to the console is an operator, and sees every tenant. */
function consoleOptions(
  config: ServiceConfig,
  { redis, pools }: ServiceParts,
  shared: PageParts,
): ConsoleOptions {
  const database = createDatabase(pools.pages)
  const scope = createTenantScope(pools.pages)
  const pages = pagesOn(config, pools, shared, { database, scope })
  return {
    signInGuard: new KeyGuard({ redis, known: strongKeysOf(config), limits: SIGN_INS }),
    ...shared,
    sessions: createSessions({ database, apiKeys: shared.apiKeys }),
    settings: config.settings,
    environment: config.environment,
    check: async () => ({
      server: await reportServer(pools.pages),
      violations: await findViolations(pools.pages, CHECKED),
    }),
    attachedTables: {
      list: () => listTables(pools.pages),
      backfills: () => listBackfills(pools.pages),
      cancel: (id, who) => cancelBackfill(pools.pages, id, who),
    },
    ...pages,
    endpointsOf: (tenantId) =>
      pages.lists.endpoints.list(tenantId, { limit: TENANT_ENDPOINTS_SHOWN, before: null }),
    dayOf: createTenantDay({ database }),
    incidentsOf: createIncidents({ database }).openOf,
    backlogOf: createBacklog({ database }),
    listRunners: createRunnerList({ database }),
    markersOf: createChartMarkers({ database }),
    troubleOf: createTroubleOf({ incidents: createIncidents({ database }) }),
    pauseAll: createPauseAll({ database }),
    auditLog: createAuditLog({ database }),
    reportDatabase: createDatabaseReport({ database, retentionDays: config.retentionDays }),
    search: searchOf(config, database),
    publicUrl: config.publicUrl,
    needsPublicUrl: config.isProduction,
  }
}

/** Anyone who has a link sees the tenant that it is for: all that is asked stays in its scope. */
function portalOptions(
  config: ServiceConfig,
  { pools }: ServiceParts,
  shared: PageParts,
): PortalOptions {
  const apiKeys = shared.portalLinks
  const scope = createTenantScope(pools.pages)
  return {
    ...shared,
    portal: config.portal,
    sessions: createSessions({ database: createDatabase(pools.pages), apiKeys }),
    healthOf: createEndpointHealth({ database: scope.database }),
    // Customers get the data anyway.
    ...pagesOn(config, pools, shared, { database: scope.database, scope, isMasked: false }),
  }
}

/**
 * Services of the pages. What is about one tenant is done in its scope, for operators too.
 *
 * @param on.database what lists show, and where the tenant of something is looked up
 */
function pagesOn(
  config: ServiceConfig,
  { pages }: Pools,
  { audit, exampleOf, thinLinks }: PageParts,
  {
    database,
    scope,
    isMasked = true,
  }: { database: Kysely<Database>; scope: TenantScope; isMasked?: boolean },
) {
  const services = createTenantServices(config, scope.database, { isMasked })
  const { attempts } = services
  const { inTenant } = scope
  const tenants = createTenants({ database })
  const access = createTenantAccess({ tenants, inTenant })
  const testEvents = createTestEvents({ database: scope.database, pool: pages })
  const { deliveryTimeoutSeconds, retryScheduleSeconds, httpsOnly } = config
  return {
    ...services,
    deliveries: createDeliveries({
      database: scope.database,
      attempts: { listOf: attempts.outlineOf },
    }),
    lists: createTenantServices(config, database, { isMasked }),
    ...{ access, inTenant, tenants, httpsOnly, egressAllow: egressRules(config) },
    resources: createResourcePages({ database, access }),
    names: createNameCache({ database }),
    suggestions: createSuggestions({ database }),
    ratesOf: createAttemptRates({ database }),
    stripsOf: createAttemptStrips({ database }),
    answersOf: createEndpointAnswers({ database }),
    sentBody: createSentBody({
      database: scope.database,
      linkOf: thinLinks.linkOf,
      isMasked,
    }),
    tryFilter: createTryFilter(services),
    defaults: { timeoutSeconds: deliveryTimeoutSeconds, retrySchedule: retryScheduleSeconds },
    showSecrets: createShowSecrets({ ...services, audit }),
    revealEvent: createRevealEvent({ ...services, audit }),
    testEndpoint: createTestEndpoint({
      ...services,
      ...{ testEvents, exampleOf, deliveryTimeoutSeconds },
    }),
  }
}
