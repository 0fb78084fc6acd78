import type { Context, Hono } from 'hono'
import type { KeyGuard } from '../access/key-guard.ts'
import { typeOfImage } from '../config/image.ts'
import { languageOf } from '../console/language.ts'
import type { Look } from '../console/viewer.ts'
import { findSession, type PageEnv, type SessionCookie } from '../console/viewer.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { LinkCaller, PortalLinks } from './portal-links.ts'
import { PORTAL_PATH } from './portal-path.ts'
import { themeCss } from './theme.ts'

interface LookOptions {
  cookie: SessionCookie
  portalLinks: Pick<PortalLinks, 'logoOf'>
  sessions: Sessions<LinkCaller>
  keyGuard: KeyGuard
}

/** Such as `c-1f4fc4.css`: all that a style sheet says is in its address. */
const SHEET = /^c-([0-9a-f]{6})\.css$/
const FOREVER = 'public, max-age=31536000, immutable'
/** Other links have another address, and nobody else may have a copy. */
const OF_LINK = 'private, max-age=86400'

/** The colour and the picture that links come with, as files of this service: pages load nothing from elsewhere. */
export function addLookRoutes(app: Hono<PageEnv>, options: LookOptions): void {
  app.get('/assets/look/:name', (c) => sendSheet(c))
  app.get('/assets/logos/:link', (c) => sendLogo(c, options))
}

function sendSheet(c: Context<PageEnv>) {
  const [, colour] = SHEET.exec(c.req.param('name') ?? '') ?? []
  if (colour === undefined) return c.body(null, 404)
  return c.body(themeCss(`#${colour}`), 200, {
    'content-type': 'text/css; charset=utf-8',
    'cache-control': FOREVER,
    'x-content-type-options': 'nosniff',
  })
}

/** Only to those who have opened this link. */
async function sendLogo(c: Context<PageEnv>, options: LookOptions) {
  const found = await findSession(c, { ...options, area: 'portal' })
  const link = found?.caller.portalLinkId
  const isOwn = link !== undefined && link === c.req.param('link')
  const bytes = isOwn ? await options.portalLinks.logoOf(link) : null
  const type = bytes && typeOfImage(bytes)
  if (!bytes || !type) return c.body(null, 404)
  return c.body(new Uint8Array(bytes), 200, {
    'content-type': type,
    'cache-control': OF_LINK,
    'x-content-type-options': 'nosniff',
  })
}

/** How the pages look that a link has opened. */
export function lookFrom(c: Context<PageEnv>, { portalLinkId: id, look }: LinkCaller): Look {
  const { name, accent, theme, locale, backUrl, logoUrl, hasLogo, expiresAt } = look
  const assets = `${PORTAL_PATH}/assets`
  return {
    language: locale ?? languageOf(c.req.header('accept-language')) ?? 'en',
    name: name ?? undefined,
    theme: theme ?? undefined,
    logo: logoUrl ?? (hasLogo ? `${assets}/logos/${id}` : undefined),
    logoOrigin: logoUrl === null ? undefined : new URL(logoUrl).origin,
    css: accent === null ? undefined : `${assets}/look/c-${accent.slice(1)}.css`,
    backUrl: backUrl ?? undefined,
    endsAt: expiresAt,
  }
}
