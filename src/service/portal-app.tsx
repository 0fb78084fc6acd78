import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import { createMiddleware } from 'hono/factory'
import { addLivePages, type LivePages } from '../attempts/live.pages.tsx'
import type { PortalConfig } from '../config/config.ts'
import { loadAssets, type OwnAsset } from '../console/asset-files.ts'
import { addErrorPages } from '../console/error-pages.tsx'
import { formsOnly } from '../console/forms.ts'
import { inLanguage, languageOf } from '../console/language.ts'
import { createRenderPage, type NavigationItem } from '../console/layout.tsx'
import { refuseNul, securityHeaders } from '../console/security-headers.ts'
import { limitForms, limitPages, type PageEnv, sessionCookie } from '../console/viewer.ts'
import { addDeliveryPage, type DeliveryPages } from '../deliveries/delivery.pages.tsx'
import { addDeliveriesPage, type DeliveryListPages } from '../deliveries/delivery-list.pages.tsx'
import { addEndpointPages, type EndpointPages } from '../endpoints/endpoint.pages.tsx'
import { addEndpointsPages, type EndpointListPages } from '../endpoints/endpoint-list.pages.tsx'
import { addCataloguePages, type CataloguePages } from '../event-types/event-type.pages.tsx'
import { refuseUnadopted, refuseWhileCommitsWait } from '../http/health.ts'
import type { Admit } from '../http/rate-limit.ts'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import { addOrderingPages, type OrderingPages } from '../ordering/ordering-key.pages.tsx'
import { addEnterRoutes, type EnterOptions, requireLink } from '../portal-links/enter.pages.tsx'
import { addLookRoutes } from '../portal-links/look.pages.tsx'
import { addPortalEventPages, type PortalEventPages } from '../portal-links/portal-event.pages.tsx'
import { addHomePage, type HomePages } from '../portal-links/portal-home.pages.tsx'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { themeCss } from '../portal-links/theme.ts'
import { addRecoverPages, type RecoverPages } from '../replays/recover.pages.tsx'
import { addSuggestions, type SuggestionPages } from '../search/suggestions.routes.ts'

const at = (path: string) => `${PORTAL_PATH}/${path}`

const NAVIGATION: readonly NavigationItem[] = [
  { name: 'Overview', path: PORTAL_PATH, icon: 'home', isMain: true },
  { name: 'Endpoints', path: at('endpoints'), icon: 'endpoint', isMain: true },
  { name: 'Deliveries', path: at('deliveries'), icon: 'delivery', isMain: true },
  { name: 'Events', path: at('events'), icon: 'event', isMain: true },
  { name: 'Live', path: at('live'), icon: 'live' },
  { name: 'Event types', path: at('event-types'), icon: 'type' },
]

type Pages = EnterOptions &
  (HomePages & PortalEventPages & RecoverPages) &
  (LivePages & DeliveryListPages & DeliveryPages & EndpointListPages & EndpointPages) &
  (CataloguePages & OrderingPages & SuggestionPages)

/** What its pages need. Services see the tenant they are called within, and no other (`createTenantScope`). */
export type PortalOptions = Omit<Pages, 'area' | 'render' | 'cookie'> & {
  portal: PortalConfig
  /** Of heavy pages; null = all at once. */
  pageSemaphore: FairSemaphore | null
  /** Counts a form as a request of its link. */
  admit: Admit
  /** Whether forms are refused, as their commits would wait for a standby that is away. */
  doCommitsWait: () => boolean
  whyUnadopted: () => string | null
}

/** Of what is refused before it is known which link somebody came with, and what language that has. */
const inLanguageOfBrowser = createMiddleware<PageEnv>((c, next) =>
  inLanguage(languageOf(c.req.header('accept-language')) ?? 'en', next),
)

/** The pages of one tenant, for anyone who has a link, to be mounted at `PORTAL_PATH`. */
export function createPortal({ portal, ...options }: PortalOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const { frameOrigins } = portal
  const assets = loadAssets(`${PORTAL_PATH}/assets`, themeOf(portal))
  const render = createRenderPage({
    assets,
    product: 'Webhooks',
    home: PORTAL_PATH,
    navigation: NAVIGATION,
    signOut: `${PORTAL_PATH}/sign-out`,
  })
  const cookie = sessionCookie('portal', { isFramed: frameOrigins.length > 0 })
  const pages = { ...options, area: 'portal', render, cookie } as const

  app.use(securityHeaders(PORTAL_PATH, framedBy(portal)))
  app.use(inLanguageOfBrowser)
  // By where a request comes from, and not by the cookie, which goes along from frames of other sites.
  app.use(csrf())
  app.use(formsOnly)
  app.use(refuseWhileCommitsWait(options.doCommitsWait))
  addLookRoutes(app, pages)
  assets.addRoutes(app)
  addEnterRoutes(app, pages)
  app.use(refuseUnadopted(options.whyUnadopted))
  app.use(requireLink(pages))
  app.use(refuseNul)
  app.use(limitForms(options.admit))
  limitPages(app, options.pageSemaphore)
  addHomePage(app, pages)
  addEndpointsPages(app, pages)
  addEndpointPages(app, pages)
  addOrderingPages(app, pages)
  addDeliveriesPage(app, pages)
  addDeliveryPage(app, pages)
  addPortalEventPages(app, pages)
  addLivePages(app, pages)
  addRecoverPages(app, pages)
  addCataloguePages(app, pages)
  addSuggestions(app, pages)
  addErrorPages(app, { ...pages, ways: { home: PORTAL_PATH, navigation: NAVIGATION } })
  return app
}

/** Nobody unless given. */
export const framedBy = ({ frameOrigins }: PortalConfig): string | undefined =>
  frameOrigins.length > 0 ? frameOrigins.join(' ') : undefined

/** The colour and the logo of the service. */
export function themeOf({ accent, logo }: PortalConfig): OwnAsset[] {
  const own: OwnAsset[] = []
  if (accent !== undefined) {
    const bytes = Buffer.from(themeCss(accent))
    own.push({ name: 'theme.css', type: 'text/css; charset=utf-8', bytes })
  }
  if (logo) own.push({ name: 'logo', ...logo })
  return own
}
