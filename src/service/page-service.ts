import type { Kysely } from 'kysely'
import { createKeyGuard } from '../access/key-guard.ts'
import { createSharedSemaphore } from '../access/request-concurrency.ts'
import { createAttemptRates } from '../attempts/attempt-rates.ts'
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
import { createRouting } from '../events/routing.ts'
import type { EventId, TenantId } from '../ids.ts'
import { createBacklog } from '../operations/backlog.ts'
import { createRunnerList } from '../operations/runner-list.ts'
import { findViolations } from '../operations/violations.ts'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { createDatabase } from '../postgres/pool.ts'
import type { Database } from '../postgres/schema.ts'
import { createTenantScope } from '../postgres/tenant-scope.ts'
import { createAllReplays } from '../replays/all-replays.ts'
import { createSessions } from '../sessions/sessions.ts'
import { createTenants } from '../tenants/tenants.ts'
import type { createApi } from './api-app.ts'
import { type ConsoleOptions, createConsole } from './console-app.tsx'
import { PAGE_CONNECTIONS, type Pools } from './pools.ts'
import { createPortal, type PortalOptions } from './portal-app.tsx'
import {
  createTenantServices,
  type ServiceParts,
  type Services,
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
    callApi: callerOf(api),
    pageSemaphore: createSharedSemaphore(sharesOf(config), HEAVY_PAGES),
    ...overrides,
  }
  api.app.get(`${CONSOLE_PATH}/`, (c) => c.redirect(CONSOLE_PATH, 301))
  const operators = consoleOptions(config, parts, shared)
  api.app.route(CONSOLE_PATH, createConsole(operators))
  api.app.get(`${PORTAL_PATH}/`, (c) => c.redirect(PORTAL_PATH, 301))
  api.app.route(PORTAL_PATH, createPortal(portalOptions(config, parts, shared)))
  return { sessions: operators.sessions }
}

function callerOf({ app, services }: Api): CallApi {
  return (request, caller) => {
    services.ownRequests.set(request, caller)
    return app.fetch(request)
  }
}

type PageParts = Services &
  Pick<ConsoleOptions, 'log' | 'callApi' | 'pageSemaphore'> &
  PageOverrides

/** Whoever signs in to the console is an operator, and sees every tenant. */
function consoleOptions(
  config: ServiceConfig,
  { redis, pools }: ServiceParts,
  shared: PageParts,
): ConsoleOptions {
  const database = createDatabase(pools.pages)
  return {
    signInGuard: createKeyGuard({ redis, known: strongKeysOf(config), limits: SIGN_INS }),
    ...shared,
    sessions: createSessions({ database, apiKeys: shared.apiKeys }),
    settings: config.settings,
    check: () => findViolations(pools.pages, CHECKED),
    ...readsOn(config, database),
    ...consoleReads(pools),
  }
}

/** Whoever has a link sees the tenant that it is for: what reads stays in its scope. */
function portalOptions(
  config: ServiceConfig,
  { pools }: ServiceParts,
  shared: PageParts,
): PortalOptions {
  const scope = createTenantScope(pools.pages)
  const database = createDatabase(pools.pages)
  return {
    ...shared,
    portal: config.portal,
    sessions: createSessions({ database, apiKeys: shared.portalLinks }),
    inTenant: scope.inTenant,
    ...readsOn(config, scope.database),
  }
}

/** What only the pages of operators show. */
function consoleReads({ pages }: Pools) {
  const database = createDatabase(pages)
  const scope = createTenantScope(pages)
  const scoped = createRouting({ database: scope.database })
  return {
    backlogOf: createBacklog({ database }),
    listRunners: createRunnerList({ database }),
    troubledEndpoints: createTroubledEndpoints({ database }),
    // Its function is for those who are in the scope of a tenant, and for nobody else.
    routing: {
      explain: (tenantId: TenantId, id: EventId) =>
        scope.inTenant(tenantId, () => scoped.explain(tenantId, id)),
    },
    allEvents: createAllEvents({ database }),
    allReplays: createAllReplays({ database }),
    auditLog: createAuditLog({ database }),
  }
}

/** What pages show, of every tenant or within the scope of one. */
function readsOn(config: ServiceConfig, database: Kysely<Database>) {
  const services = createTenantServices(config, database)
  const { attempts, events, routing } = services
  return {
    ...services,
    deliveries: createDeliveries({ database, attempts: { listOf: attempts.outlineOf } }),
    ratesOf: createAttemptRates({ database }),
    owners: createOwners({ database }),
    names: createNames({ database }),
    tenants: createTenants({ database }),
    allDeliveries: createAllDeliveries({ database }),
    sentBody: createSentBody({ database }),
    allEndpoints: createAllEndpoints({ database }),
    tryFilter: createTryFilter({ events, routing }),
  }
}
