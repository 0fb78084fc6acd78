import type { Pool } from 'pg'
import { createSharedTurns } from '../access/in-turn.ts'
import { createKeyGuard } from '../access/key-guard.ts'
import { createAttemptRates } from '../attempts/attempt-rates.ts'
import { createAttempts } from '../attempts/attempts.ts'
import { createAuditLog } from '../audit-log/audit-log.ts'
import type { ServiceConfig } from '../config/config.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { createNames } from '../console/names.ts'
import { createOwners } from '../console/owners.ts'
import type { CallApi } from '../console/viewer.ts'
import { createAllDeliveries } from '../deliveries/all-deliveries.ts'
import { createDeliveries } from '../deliveries/deliveries.ts'
import { createSentBody } from '../deliveries/sent-body.ts'
import { createAllEndpoints } from '../endpoints/all-endpoints.ts'
import { createTroubledEndpoints } from '../endpoints/troubled-endpoints.ts'
import { createTryFilter } from '../endpoints/try-filter.form.ts'
import { createAllEvents } from '../events/all-events.ts'
import { createEvents } from '../events/events.ts'
import { createRouting } from '../events/routing.ts'
import type { EventId, TenantId } from '../ids.ts'
import { createBacklog } from '../operations/backlog.ts'
import { createRunnerList } from '../operations/runner-list.ts'
import { findViolations } from '../operations/violations.ts'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { createDatabase, createPool } from '../postgres/pool.ts'
import { createTenantScope, type TenantScope } from '../postgres/tenant-scope.ts'
import { createAllReplays } from '../replays/all-replays.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createTenants } from '../tenants/tenants.ts'
import { type createApi, sharesOf } from './api-service.ts'
import { createConsole } from './console-app.tsx'
import { createPortal } from './portal-app.tsx'
import type { SharedParts } from './shared-parts.ts'

/** Apart from those of the API, so that somebody who looks through everything slows no producer. */
const PAGE_CONNECTIONS = 3
/** One connection is always for pages that take a millisecond; people wait longer than programs. */
const HEAVY_PAGES = { atOnce: PAGE_CONNECTIONS - 1, waiting: 64, waitingPerKey: 16, waitMs: 5_000 }
const PAGE_STATEMENT_MS_MAX = 10_000
const PAGE_SILENCE_MS_MAX = 15_000
/** A minute: nobody mistypes what they paste more often; a key has too many bits to be guessed at any rate. */
const SIGN_INS = { what: 'sign-ins', ofClient: 10, inAll: 300 }
/** Some seconds of the database; `postrider doctor` looks at ten times as much. */
const CHECKED = { hours: 24, rowsMax: 20_000 }

/** Adds the pages for people to the API. A runner never loads this. */
export function addPages(
  config: ServiceConfig,
  { log, redis, metrics }: SharedParts,
  api: ReturnType<typeof createApi>,
) {
  const pool = createPool({
    connectionString: config.databaseUrl,
    pooled: config.databaseDirectUrl !== undefined,
    max: PAGE_CONNECTIONS,
    applicationName: 'postrider api pages',
    pipeline: true,
    statementTimeoutMs: PAGE_STATEMENT_MS_MAX,
    silenceMsMax: PAGE_SILENCE_MS_MAX,
    onError: (error) => {
      if (!pool.ending) log.warn({ err: error }, 'database.connection_lost')
    },
  })
  metrics.watchPool('pages', pool)
  const database = createDatabase(pool)
  const { app, apiKeys, portalLinks, ownRequests } = api
  const callApi: CallApi = (request, caller) => {
    ownRequests.set(request, caller)
    return app.fetch(request)
  }
  const pageTurns = createSharedTurns(sharesOf(config), HEAVY_PAGES)
  app.get(`${CONSOLE_PATH}/`, (c) => c.redirect(CONSOLE_PATH, 301))
  app.route(
    CONSOLE_PATH,
    createConsole({
      log,
      callApi,
      apiKeys,
      sessions: createSessions({ database, apiKeys }),
      pageTurns,
      signInGuard: createKeyGuard({ redis, known: api.strongKeys, limits: SIGN_INS }),
      keyGuard: api.keyGuard,
      liveAttempts: api.liveAttempts,
      settings: config.settings,
      check: () => findViolations(pool, CHECKED),
      endpoints: api.endpoints,
      eventTypes: api.eventTypes,
      exampleOf: api.exampleOf,
      ...createReads(pool),
    }),
  )
  const scope = createTenantScope(pool)
  app.get(`${PORTAL_PATH}/`, (c) => c.redirect(PORTAL_PATH, 301))
  app.route(
    PORTAL_PATH,
    createPortal({
      portal: config.portal,
      pageTurns,
      log,
      callApi,
      portalLinks,
      keyGuard: api.keyGuard,
      sessions: createSessions({ database, apiKeys: portalLinks }),
      inTenant: scope.inTenant,
      liveAttempts: api.liveAttempts,
      endpoints: api.endpointServices(scope.database).endpoints,
      eventTypes: api.eventTypes,
      exampleOf: api.exampleOf,
      ...createPortalReads(scope),
    }),
  )
  return { stop: () => pool.end() }
}

/** What the pages of operators show, of every tenant. */
export function createReads(pool: Pool) {
  const database = createDatabase(pool)
  const attempts = createAttempts({ database })
  const events = createEvents({ database })
  const routing = createRouting({ database })
  const scope = createTenantScope(pool)
  const scoped = createRouting({ database: scope.database })
  return {
    ratesOf: createAttemptRates({ database }),
    backlogOf: createBacklog({ database }),
    listRunners: createRunnerList({ database }),
    troubledEndpoints: createTroubledEndpoints({ database }),
    owners: createOwners({ database }),
    names: createNames({ database }),
    tenants: createTenants({ database }),
    events,
    // Its function is for those who are in the scope of a tenant, and for nobody else.
    routing: {
      explain: (tenantId: TenantId, id: EventId) =>
        scope.inTenant(tenantId, () => scoped.explain(tenantId, id)),
    },
    allEvents: createAllEvents({ database }),
    allDeliveries: createAllDeliveries({ database }),
    attempts,
    deliveries: createDeliveries({ database, attempts: { listOf: attempts.outlineOf } }),
    sentBody: createSentBody({ database }),
    allEndpoints: createAllEndpoints({ database }),
    tryFilter: createTryFilter({ events, routing }),
    allReplays: createAllReplays({ database }),
    auditLog: createAuditLog({ database }),
  }
}

/** What the portal shows, each within the scope of the tenant whose pages they are. */
export function createPortalReads({ database }: TenantScope) {
  const attempts = createAttempts({ database })
  const events = createEvents({ database })
  const routing = createRouting({ database })
  return {
    ratesOf: createAttemptRates({ database }),
    owners: createOwners({ database }),
    names: createNames({ database }),
    tenants: createTenants({ database }),
    allDeliveries: createAllDeliveries({ database }),
    attempts,
    deliveries: createDeliveries({ database, attempts: { listOf: attempts.outlineOf } }),
    sentBody: createSentBody({ database }),
    allEndpoints: createAllEndpoints({ database }),
    tryFilter: createTryFilter({ events, routing }),
  }
}
