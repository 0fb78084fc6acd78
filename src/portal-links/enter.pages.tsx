import type { Context, Hono, MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { KeyGuard } from '../access/key-guard.ts'
import { inLanguage } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { asViewer, findSession, type PageEnv, type SessionCookie } from '../console/viewer.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { closedPage } from './closed-page.tsx'
import { lookFrom } from './look.pages.tsx'
import type { LinkCaller, PortalLinks } from './portal-links.ts'
import { PORTAL_PATH } from './portal-path.ts'

/** Ours have 43 characters. */
const TOKEN_LENGTH_MAX = 256

export interface EnterOptions {
  render: RenderPage
  cookie: SessionCookie
  portalLinks: Pick<PortalLinks, 'open' | 'logoOf'>
  /** Those that portal links have opened: worth what the link is worth now. */
  sessions: Sessions<LinkCaller>
  keyGuard: KeyGuard
  inTenant: TenantScope['inTenant']
}

/** Opening a link, which may be done again until it expires, and leaving. */
export function addEnterRoutes(app: Hono<PageEnv>, options: EnterOptions): void {
  app.get('/open', (c) => open(c, options))
  app.post('/sign-out', (c) => leave(c, options))
  app.get('/closed', (c) => closedPage(c, options.render))
}

async function open(c: Context<PageEnv>, options: EnterOptions) {
  const { render, cookie, portalLinks, sessions, keyGuard } = options
  const token = c.req.query('token') ?? ''
  const find = () => portalLinks.open(token)
  const isLong = token.length > TOKEN_LENGTH_MAX
  const link = isLong ? null : await keyGuard.find(c.get('client').address, token, find)
  if (!link) return closedPage(c, render)
  const lifeSeconds = Math.max(0, (link.expiresAt.getTime() - Date.now()) / 1_000)
  const session = await sessions.begin('portal', link.hash, lifeSeconds)
  cookie.write(c, session.token, session.expiresAt)
  // Away from the address with the token in it.
  return c.redirect(PORTAL_PATH, 303)
}

async function leave(c: Context<PageEnv>, options: EnterOptions) {
  const found = await findSession(c, { ...options, area: 'portal' })
  if (found) await options.sessions.end(found.session.id)
  options.cookie.remove(c)
  return c.redirect('/portal/closed', 303)
}

/**
 * Lets in who has opened a link, and runs what follows in the scope of its tenant: whatever a page asks the
 * database for, row-level security shows it rows of this tenant and of no other.
 */
export function requireLink(options: EnterOptions): MiddlewareHandler<PageEnv> {
  const { render, inTenant } = options
  return createMiddleware<PageEnv>(async (c, next) => {
    const found = await findSession(c, { ...options, area: 'portal' })
    const tenant = found?.caller.tenant
    if (!tenant) {
      // A part of a page that is fetched again would show this in its place: load the page again.
      if (c.req.header('hx-request')) return c.body(null, 401, { 'hx-refresh': 'true' })
      return closedPage(c, render)
    }
    const look = lookFrom(c, found.caller)
    c.set('look', look)
    return await asViewer(c, found, () =>
      inLanguage(look.language, () => inTenant(tenant.id, next)),
    )
  })
}
