import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import { addKeyPages, type KeyPages } from '../api-keys/api-key.pages.tsx'
import {
  type AttachedTablePages,
  addAttachedTablePages,
} from '../attached-tables/attached-table.pages.tsx'
import { addLivePages, type LivePages } from '../attempts/live.pages.tsx'
import { type AuditPages, addAuditPage } from '../audit-log/audit.pages.tsx'
import type { EnvironmentConfig } from '../config/config.ts'
import { loadAssets, type OwnAsset } from '../console/asset-files.ts'
import { cached } from '../console/cached.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { addErrorPages } from '../console/error-pages.tsx'
import { formsOnly } from '../console/forms.ts'
import { createRenderPage, type NavigationItem, type RenderPage } from '../console/layout.tsx'
import { refuseNul, securityHeaders } from '../console/security-headers.ts'
import {
  limitForms,
  limitPages,
  type PageEnv,
  requireViewer,
  sessionCookie,
} from '../console/viewer.ts'
import { addDeliveryPage, type DeliveryPages } from '../deliveries/delivery.pages.tsx'
import { addDeliveriesPage, type DeliveryListPages } from '../deliveries/delivery-list.pages.tsx'
import { addEndpointPages, type EndpointPages } from '../endpoints/endpoint.pages.tsx'
import { addEndpointsPages, type EndpointListPages } from '../endpoints/endpoint-list.pages.tsx'
import { addEventTypePages, type EventTypePages } from '../event-types/event-type.pages.tsx'
import { addEventPages, type EventPages } from '../events/event.pages.tsx'
import { refuseUnadopted, refuseWhileCommitsWait } from '../http/health.ts'
import type { Admit } from '../http/rate-limit.ts'
import { addIncidentPages, type IncidentPages } from '../incidents/incident.pages.tsx'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import { addDatabasePage, type DatabasePages } from '../operations/database.pages.tsx'
import { addOverviewPage, type OverviewPages } from '../operations/overview.pages.tsx'
import { addSettingsPages, type SettingsPages } from '../operations/settings.pages.tsx'
import { addOrderingPages, type OrderingPages } from '../ordering/ordering-key.pages.tsx'
import { addOrderingListPage, type OrderingListPages } from '../ordering/ordering-list.pages.tsx'
import { addPortalLinkPage, type PortalLinkPages } from '../portal-links/portal-link.pages.tsx'
import { environmentCss } from '../portal-links/theme.ts'
import { addBulkPages, type BulkPages } from '../replays/bulk.pages.tsx'
import { addReplayPages, type ReplayPages } from '../replays/replay.pages.tsx'
import { addSearchPage, type SearchPages } from '../search/search.pages.tsx'
import { addSuggestions, type SuggestionPages } from '../search/suggestions.routes.ts'
import { addSignInRoutes, type SignInOptions } from '../sessions/sign-in.pages.tsx'
import { addTenantPages, type TenantPages } from '../tenants/tenant.pages.tsx'

const at = (path: string) => `${CONSOLE_PATH}/${path}`

const NAVIGATION: readonly NavigationItem[] = [
  { name: 'Home', path: CONSOLE_PATH, icon: 'home', isMain: true },
  { name: 'Incidents', path: at('incidents'), icon: 'incident', group: 'Operate' },
  {
    name: 'Deliveries',
    path: at('deliveries'),
    icon: 'delivery',
    group: 'Operate',
    isMain: true,
  },
  { name: 'Events', path: at('events'), icon: 'event', group: 'Operate', isMain: true },
  { name: 'Ordering', path: at('ordering'), icon: 'order', group: 'Operate' },
  { name: 'Live', path: at('live'), icon: 'live', group: 'Operate' },
  { name: 'Tenants', path: at('tenants'), icon: 'tenant', group: 'Customers' },
  { name: 'Endpoints', path: at('endpoints'), icon: 'endpoint', group: 'Customers', isMain: true },
  { name: 'Event types', path: at('event-types'), icon: 'type', group: 'Catalogue' },
  { name: 'Tables', path: at('tables'), icon: 'columns', group: 'Catalogue' },
  { name: 'Replays', path: at('replays'), icon: 'replay', group: 'Recover' },
  { name: 'Keys', path: at('keys'), icon: 'key', group: 'Admin', scope: 'admin' },
  { name: 'Audit log', path: at('audit'), icon: 'audit', group: 'Admin' },
  { name: 'Settings', path: at('settings'), icon: 'settings', group: 'Admin' },
  { name: 'Doctor', path: at('doctor'), icon: 'doctor', group: 'Admin' },
  { name: 'Database', path: at('database'), icon: 'database', group: 'Admin' },
  { name: 'API docs', path: '/docs', icon: 'docs', group: 'Admin' },
]

/** The number beside the navigation is read once in this time, however many pages are opened. */
const TROUBLE_FRESH_MS = 5_000

type Pages = OverviewPages &
  (LivePages & DeliveryListPages & DeliveryPages & EventPages & EndpointListPages & EndpointPages) &
  (TenantPages &
    EventTypePages &
    ReplayPages &
    IncidentPages &
    OrderingPages &
    OrderingListPages &
    BulkPages &
    SearchPages &
    SuggestionPages &
    PortalLinkPages &
    KeyPages &
    AuditPages &
    AttachedTablePages &
    SettingsPages &
    DatabasePages) &
  SignInOptions

/** What its pages need. Lists are of every tenant: anyone who signs in is an operator. */
export type ConsoleOptions = Omit<Pages, 'area' | 'render' | 'cookie'> & {
  environment: EnvironmentConfig
  /** Of heavy pages; null = all at once. */
  pageSemaphore: FairSemaphore | null
  /** Counts a form as a request of its key. */
  admit: Admit
  /** Whether forms are refused, as their commits would wait for a standby that is away. */
  doCommitsWait: () => boolean
  /** Why nothing is sent from this database, in words; null = it is. */
  whyUnadopted: () => string | null
}

/** The pages of operators, to be mounted at `CONSOLE_PATH`. */
export function createConsole(options: ConsoleOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const assets = loadAssets(`${CONSOLE_PATH}/assets`, coloursOf(options.environment))
  const render = renderOf(options, assets)
  const pages = { ...options, area: 'console', render, cookie: sessionCookie('console') } as const

  app.use(securityHeaders(CONSOLE_PATH))
  app.use(csrf())
  app.use(formsOnly)
  app.use(refuseWhileCommitsWait(options.doCommitsWait))
  assets.addRoutes(app)
  addSignInRoutes(app, pages)
  app.use(refuseUnadopted(options.whyUnadopted))
  app.use(requireViewer({ ...pages, signIn: `${CONSOLE_PATH}/sign-in` }))
  app.use(refuseNul)
  app.use(limitForms(options.admit))
  limitPages(app, options.pageSemaphore)
  for (const addPages of PAGES) addPages(app, pages)
  const ways = { home: CONSOLE_PATH, navigation: NAVIGATION, search: at('search') }
  addErrorPages(app, { ...pages, ways })
  return app
}

const PAGES: readonly ((app: Hono<PageEnv>, pages: Pages) => void)[] = [
  addOverviewPage,
  addLivePages,
  addDeliveriesPage,
  addDeliveryPage,
  addEventPages,
  addEndpointsPages,
  addEndpointPages,
  addTenantPages,
  addPortalLinkPage,
  addSearchPage,
  addSuggestions,
  addEventTypePages,
  addReplayPages,
  addBulkPages,
  addIncidentPages,
  addOrderingPages,
  addOrderingListPage,
  addKeyPages,
  addAuditPage,
  addAttachedTablePages,
  addSettingsPages,
  addDatabasePage,
]

const renderOf = (
  { environment, lists, whyUnadopted }: ConsoleOptions,
  assets: ReturnType<typeof loadAssets>,
): RenderPage =>
  createRenderPage({
    assets,
    product: 'Postrider',
    label: 'console',
    home: CONSOLE_PATH,
    navigation: NAVIGATION,
    signOut: `${CONSOLE_PATH}/sign-out`,
    search: at('search'),
    environment: environment.shownAs,
    whyUnadopted,
    trouble: {
      path: at('incidents'),
      count: cached(TROUBLE_FRESH_MS, () => lists.incidents.count()),
    },
  })

function coloursOf({ colour }: EnvironmentConfig): OwnAsset[] {
  if (colour === undefined) return []
  const bytes = Buffer.from(environmentCss(colour))
  return [{ name: 'theme.css', type: 'text/css; charset=utf-8', bytes }]
}
