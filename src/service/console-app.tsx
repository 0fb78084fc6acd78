import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import type { KeyGuard } from '../access/key-guard.ts'
import { addKeyPages } from '../api-keys/api-key.pages.tsx'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import type { Attempts } from '../attempts/attempts.ts'
import { addLivePages } from '../attempts/live.pages.tsx'
import type { LiveAttempts } from '../attempts/live.ts'
import { addAuditPage } from '../audit-log/audit.pages.tsx'
import type { createAuditLog } from '../audit-log/audit-log.ts'
import type { Setting } from '../config/config.ts'
import { loadAssets } from '../console/assets.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { formsOnly } from '../console/forms.ts'
import { createRenderPage, type Place } from '../console/layout.tsx'
import { answerMistakes } from '../console/mistakes.tsx'
import type { Names } from '../console/names.ts'
import type { Owners } from '../console/owners.ts'
import { refuseNul } from '../console/refuse-nul.ts'
import { securityHeaders } from '../console/security-headers.ts'
import {
  type CallApi,
  limitPages,
  type PageEnv,
  requireViewer,
  sessionCookie,
} from '../console/viewer.ts'
import type { createAllDeliveries } from '../deliveries/all-deliveries.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import { addDeliveryPage } from '../deliveries/delivery.pages.tsx'
import { addDeliveriesPage } from '../deliveries/delivery-list.pages.tsx'
import type { createSentBody } from '../deliveries/sent-body.ts'
import type { AllEndpoints } from '../endpoints/all-endpoints.ts'
import { addEndpointPages } from '../endpoints/endpoint.pages.tsx'
import { addEndpointsPages } from '../endpoints/endpoint-list.pages.tsx'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { createTroubledEndpoints } from '../endpoints/troubled-endpoints.ts'
import type { createTryFilter } from '../endpoints/try-filter.form.ts'
import { addEventTypePages } from '../event-types/event-type.pages.tsx'
import type { EventTypes } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { createAllEvents } from '../events/all-events.ts'
import { addEventPages } from '../events/event.pages.tsx'
import type { Events } from '../events/events.ts'
import type { Routing } from '../events/routing.ts'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { Log } from '../log.ts'
import type { createBacklog } from '../operations/backlog.ts'
import { addOverviewPage } from '../operations/overview.pages.tsx'
import type { createRunnerList } from '../operations/runner-list.ts'
import { addSettingsPages } from '../operations/settings.pages.tsx'
import type { Violation } from '../operations/violations.ts'
import type { createAllReplays } from '../replays/all-replays.ts'
import { addReplayPages } from '../replays/replay.pages.tsx'
import type { Sessions } from '../sessions/sessions.ts'
import { addSignInRoutes } from '../sessions/sign-in.pages.tsx'
import { addTenantPages } from '../tenants/tenant.pages.tsx'
import type { Tenants } from '../tenants/tenants.ts'

const PLACES: readonly Place[] = [
  { name: 'Overview', path: CONSOLE_PATH },
  { name: 'Live', path: `${CONSOLE_PATH}/live` },
  { name: 'Deliveries', path: `${CONSOLE_PATH}/deliveries` },
  { name: 'Events', path: `${CONSOLE_PATH}/events` },
  { name: 'Endpoints', path: `${CONSOLE_PATH}/endpoints` },
  { name: 'Tenants', path: `${CONSOLE_PATH}/tenants` },
  { name: 'Event types', path: `${CONSOLE_PATH}/event-types` },
  { name: 'Replays', path: `${CONSOLE_PATH}/replays` },
  { name: 'Keys', path: `${CONSOLE_PATH}/keys`, scope: 'admin' },
  { name: 'Audit log', path: `${CONSOLE_PATH}/audit` },
  { name: 'Settings', path: `${CONSOLE_PATH}/settings` },
  { name: 'Doctor', path: `${CONSOLE_PATH}/doctor` },
]

/** Services see every tenant: anyone who signs in is an operator. */
export interface ConsoleOptions {
  log: Pick<Log, 'error'>
  callApi: CallApi
  apiKeys: Pick<ApiKeys, 'verify' | 'list'>
  sessions: Sessions
  /** Of heavy pages; null = all at once. */
  pageSemaphore: FairSemaphore | null
  signInGuard: KeyGuard
  keyGuard: KeyGuard
  liveAttempts: Pick<LiveAttempts, 'open'>
  names: Names
  owners: Owners
  tenants: Pick<Tenants, 'get' | 'show' | 'find' | 'list'>
  events: Pick<Events, 'get' | 'dataOf'>
  allEvents: ReturnType<typeof createAllEvents>
  routing: Pick<Routing, 'explain'>
  eventTypes: Pick<EventTypes, 'outline' | 'get'>
  exampleOf: ExampleOf
  attempts: Pick<Attempts, 'get'>
  deliveries: Pick<Deliveries, 'find' | 'get'>
  allDeliveries: ReturnType<typeof createAllDeliveries>
  sentBody: ReturnType<typeof createSentBody>
  endpoints: Pick<Endpoints, 'get'>
  allEndpoints: AllEndpoints
  troubledEndpoints: ReturnType<typeof createTroubledEndpoints>
  tryFilter: ReturnType<typeof createTryFilter>
  ratesOf: ReturnType<typeof createAttemptRates>
  backlogOf: ReturnType<typeof createBacklog>
  listRunners: ReturnType<typeof createRunnerList>
  allReplays: ReturnType<typeof createAllReplays>
  auditLog: ReturnType<typeof createAuditLog>
  settings: readonly Setting[]
  check: () => Promise<Violation[]>
}

/** The pages of operators, to be mounted at `CONSOLE_PATH`. */
export function createConsole(options: ConsoleOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const assets = loadAssets(`${CONSOLE_PATH}/assets`)
  const render = createRenderPage({
    assets,
    product: 'Postrider',
    label: 'console',
    home: CONSOLE_PATH,
    places: PLACES,
    signOut: `${CONSOLE_PATH}/sign-out`,
  })
  const cookie = sessionCookie('console')
  const shared = { ...options, render }

  app.use(securityHeaders('console'))
  app.use(csrf())
  app.use(formsOnly)
  assets.addRoutes(app)
  addSignInRoutes(app, { ...shared, cookie })
  app.use(requireViewer({ ...options, area: 'console', cookie, signIn: `${CONSOLE_PATH}/sign-in` }))
  app.use(refuseNul)
  limitPages(app, options.pageSemaphore)
  addOverviewPage(app, shared)
  addLivePages(app, { ...shared, cookie })
  addDeliveriesPage(app, shared)
  addDeliveryPage(app, shared)
  addEventPages(app, shared)
  addEndpointsPages(app, shared)
  addEndpointPages(app, shared)
  addTenantPages(app, shared)
  addEventTypePages(app, shared)
  addReplayPages(app, shared)
  addKeyPages(app, shared)
  addAuditPage(app, shared)
  addSettingsPages(app, shared)
  answerMistakes(app, shared)
  return app
}
