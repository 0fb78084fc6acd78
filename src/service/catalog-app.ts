import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { PortalConfig } from '../config/config.ts'
import { loadAssets } from '../console/asset-files.ts'
import { addErrorPages } from '../console/error-pages.tsx'
import { inLanguage, languageOf } from '../console/language.ts'
import { createRenderPage } from '../console/layout.tsx'
import { refuseNul, securityHeaders } from '../console/security-headers.ts'
import type { PageEnv } from '../console/viewer.ts'
import { addCatalogPages, CATALOG_PATH, type CatalogPages } from '../event-types/catalog.pages.tsx'
import type { Log } from '../log.ts'
import { framedBy, themeOf } from './portal-app.tsx'

export type CatalogOptions = Omit<CatalogPages, 'render'> & {
  portal: PortalConfig
  log: Pick<Log, 'error'>
}

/** What browsers and proxies may keep, and what a page depends on. */
const KEPT = { 'cache-control': 'public, max-age=60', vary: 'accept-language, cookie' }

/** The event types as pages for everybody, in the look of the portal, to be mounted at `CATALOG_PATH`. */
export function createCatalog({ portal, ...options }: CatalogOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const assets = loadAssets(`${CATALOG_PATH}/assets`, themeOf(portal))
  const render = createRenderPage({
    assets,
    product: 'Webhooks',
    home: CATALOG_PATH,
    navigation: [],
  })
  const pages = { ...options, render }
  app.use(keptByAnyone)
  app.use(securityHeaders(CATALOG_PATH, framedBy(portal)))
  app.use(speakingAsBrowser)
  app.use(refuseNul)
  assets.addRoutes(app)
  addCatalogPages(app, pages)
  const list = { name: 'All event types', path: CATALOG_PATH, icon: 'type' } as const
  addErrorPages(app, { ...pages, ways: { home: CATALOG_PATH, navigation: [list] } })
  return app
}

/** Pages are the same for everybody who speaks the same language; a refusal may be none tomorrow. */
const keptByAnyone = createMiddleware<PageEnv>(async (c, next) => {
  await next()
  const isPage = c.res.status === 200 && !c.req.path.startsWith(`${CATALOG_PATH}/assets/`)
  if (isPage) for (const [name, value] of Object.entries(KEPT)) c.res.headers.set(name, value)
})

const speakingAsBrowser = createMiddleware<PageEnv>((c, next) =>
  inLanguage(languageOf(c.req.header('accept-language')) ?? 'en', next),
)
