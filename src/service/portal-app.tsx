import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import type { Attempts } from '../attempts/attempts.ts'
import { addLivePages } from '../attempts/live.pages.tsx'
import type { LiveAttempts } from '../attempts/live.ts'
import type { PortalConfig } from '../config/config.ts'
import { loadAssets, type OwnAsset } from '../console/assets.ts'
import { formsOnly } from '../console/forms.ts'
import { createRenderPage, type Place } from '../console/layout.tsx'
import { answerMistakes } from '../console/mistakes.tsx'
import type { Names } from '../console/names.ts'
import type { Owners } from '../console/owners.ts'
import { refuseNul } from '../console/refuse-nul.ts'
import { securityHeaders } from '../console/security-headers.ts'
import { limitPages, type PageEnv, sessionCookie } from '../console/viewer.ts'
import type { createAllDeliveries } from '../deliveries/all-deliveries.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import { addDeliveryPage } from '../deliveries/delivery.pages.tsx'
import { addDeliveriesPage } from '../deliveries/delivery-list.pages.tsx'
import type { createSentBody } from '../deliveries/sent-body.ts'
import type { AllEndpoints } from '../endpoints/all-endpoints.ts'
import { addEndpointPages } from '../endpoints/endpoint.pages.tsx'
import { addEndpointsPages } from '../endpoints/endpoint-list.pages.tsx'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { createTryFilter } from '../endpoints/try-filter.form.ts'
import { addCataloguePages } from '../event-types/event-type.pages.tsx'
import type { EventTypes } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { Log } from '../log.ts'
import { addEnterRoutes, type EnterOptions, requireLink } from '../portal-links/enter.pages.tsx'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { themeCss } from '../portal-links/theme.ts'
import type { Tenants } from '../tenants/tenants.ts'

const PLACES: readonly Place[] = [
  { name: 'Endpoints', path: `${PORTAL_PATH}/endpoints` },
  { name: 'Deliveries', path: `${PORTAL_PATH}/deliveries` },
  { name: 'Live', path: `${PORTAL_PATH}/live` },
  { name: 'Event types', path: `${PORTAL_PATH}/event-types` },
]

/** Services that read see the tenant they are called within, and no other (`createTenantScope`). */
export interface PortalOptions extends Omit<EnterOptions, 'render' | 'cookie'> {
  portal: PortalConfig
  /** Of heavy pages; null = all at once. */
  pageSemaphore: FairSemaphore | null
  log: Pick<Log, 'error'>
  liveAttempts: Pick<LiveAttempts, 'open'>
  names: Names
  owners: Owners
  tenants: Pick<Tenants, 'get' | 'find'>
  eventTypes: Pick<EventTypes, 'outline' | 'get'>
  exampleOf: ExampleOf
  attempts: Pick<Attempts, 'get'>
  deliveries: Pick<Deliveries, 'find' | 'get'>
  allDeliveries: ReturnType<typeof createAllDeliveries>
  sentBody: ReturnType<typeof createSentBody>
  endpoints: Pick<Endpoints, 'get'>
  allEndpoints: AllEndpoints
  tryFilter: ReturnType<typeof createTryFilter>
  ratesOf: ReturnType<typeof createAttemptRates>
}

/** The pages of one tenant, for anyone who has a link, to be mounted at `PORTAL_PATH`. */
export function createPortal({ portal, ...options }: PortalOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const { frameOrigins } = portal
  const assets = loadAssets(`${PORTAL_PATH}/assets`, themeOf(portal))
  const render = createRenderPage({
    assets,
    product: 'Webhooks',
    home: `${PORTAL_PATH}/endpoints`,
    places: PLACES,
    signOut: `${PORTAL_PATH}/sign-out`,
  })
  const cookie = sessionCookie('portal', { isFramed: frameOrigins.length > 0 })
  const shared = { ...options, area: 'portal', render, cookie } as const

  app.use(securityHeaders('portal', frameOrigins.length > 0 ? frameOrigins.join(' ') : undefined))
  // By where a request comes from, and not by the cookie, which goes along from frames of other sites.
  app.use(csrf())
  app.use(formsOnly)
  assets.addRoutes(app)
  addEnterRoutes(app, shared)
  app.use(requireLink(shared))
  app.use(refuseNul)
  limitPages(app, options.pageSemaphore)
  app.get('/', (c) => c.redirect(`${PORTAL_PATH}/endpoints`, 303))
  addEndpointsPages(app, shared)
  addEndpointPages(app, shared)
  addDeliveriesPage(app, shared)
  addDeliveryPage(app, shared)
  addLivePages(app, shared)
  addCataloguePages(app, shared)
  answerMistakes(app, shared)
  return app
}

function themeOf({ accent, logo }: PortalConfig): OwnAsset[] {
  const own: OwnAsset[] = []
  if (accent !== undefined) {
    const bytes = Buffer.from(themeCss(accent))
    own.push({ name: 'theme.css', type: 'text/css; charset=utf-8', bytes })
  }
  if (logo) own.push({ name: 'logo', ...logo })
  return own
}
