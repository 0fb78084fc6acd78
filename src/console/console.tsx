import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import type { Attempts } from '../attempts/attempts.ts'
import type { LiveAttempts } from '../attempts/live.ts'
import type { Setting } from '../config.ts'
import type { createAuditLog } from '../database/audit-log.ts'
import type { createRunnerList } from '../database/runner-list.ts'
import type { AllEndpoints } from '../endpoints/all-endpoints.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { createTroubledEndpoints } from '../endpoints/troubled-endpoints.ts'
import type { createAllDeliveries } from '../events/all-deliveries.ts'
import type { createAllEvents } from '../events/all-events.ts'
import type { createBacklog } from '../events/backlog.ts'
import type { Deliveries } from '../events/deliveries.ts'
import type { EventTypes } from '../events/event-types.ts'
import type { Events } from '../events/events.ts'
import type { ExampleOf } from '../events/example.ts'
import type { Routing } from '../events/routing.ts'
import type { createSentBody } from '../events/sent-body.ts'
import type { Turns } from '../limits/turns.ts'
import type { Log } from '../log.ts'
import type { createAllReplays } from '../recovery/all-replays.ts'
import type { Violation } from '../recovery/doctor.ts'
import type { ApiKeys } from '../tenants/api-keys.ts'
import type { KeyGuard } from '../tenants/key-guard.ts'
import type { Sessions } from '../tenants/sessions.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { loadAssets } from './assets.ts'
import { CONSOLE_PATH } from './console-path.ts'
import { formsOnly } from './forms.ts'
import { createRenderPage, type Place } from './layout.tsx'
import { answerMistakes } from './mistakes.tsx'
import type { Names } from './names.ts'
import type { Owners } from './owners.ts'
import { addAuditPage } from './pages/audit.tsx'
import { addDeliveriesPage } from './pages/deliveries.tsx'
import { addDeliveryPage } from './pages/delivery.tsx'
import { addEndpointPages } from './pages/endpoint.tsx'
import { addEndpointsPages } from './pages/endpoints.tsx'
import { addEventTypePages } from './pages/event-types.tsx'
import { addEventPages } from './pages/events.tsx'
import { addKeyPages } from './pages/keys.tsx'
import { addLivePages } from './pages/live.tsx'
import { addOverviewPage } from './pages/overview.tsx'
import { addReplayPages } from './pages/replays.tsx'
import { addSettingsPages } from './pages/settings.tsx'
import { addTenantPages } from './pages/tenants.tsx'
import { refuseNul } from './refuse-nul.ts'
import { securityHeaders } from './security-headers.ts'
import { addSignInRoutes } from './sign-in.tsx'
import type { createTryFilter } from './try-filter.ts'
import { type CallApi, type PageEnv, requireViewer, sessionCookie, useTurns } from './viewer.ts'

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
  pageTurns: Turns | null
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
  useTurns(app, options.pageTurns)
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
