import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono, MiddlewareHandler } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import { createMiddleware } from 'hono/factory'
import { auditName, type Caller, holds, onBehalfOf } from '../access/caller.ts'
import type { Client } from '../access/client-address.ts'
import type { KeyGuard } from '../access/key-guard.ts'
import { limitConcurrency } from '../access/request-concurrency.ts'
import type { SessionId } from '../ids.ts'
import type { FairSemaphore } from '../limits/fair-semaphore.ts'
import type { Scope, SessionTable } from '../postgres/schema.ts'
import type { Language } from './language.ts'

/** The pages of operators, or those of one tenant. */
export type Area = SessionTable['area']

/** Who looks at a page, and what they may do. */
export interface Viewer {
  caller: Caller
  session: { id: SessionId }
  /** For the audit log. */
  who: string
  may(scope: Scope): boolean
}

/** How the pages of one customer look, and until when they can be seen; undefined = as the service says. */
export interface Look {
  language: Language
  name: string | undefined
  theme: 'light' | 'dark' | undefined
  /** Address of a picture. */
  logo: string | undefined
  /** Of another host, where the picture is there. */
  logoOrigin: string | undefined
  /** Address of a style sheet of this service. */
  css: string | undefined
  backUrl: string | undefined
  endsAt: Date
}

/** `Bindings` are missing where there is no server, as in tests. */
export interface PageEnv {
  Bindings: Partial<HttpBindings>
  Variables: { client: Client; viewer: Viewer; look?: Look }
}

/** What a browser that has signed in is found by. */
interface FoundSession<Who extends Caller = Caller> {
  session: { id: SessionId }
  caller: Who
}

/** Runs the rest of a request for them: pages find the viewer, and the audit log names them. */
export function asViewer<T>(c: Context<PageEnv>, found: FoundSession, work: () => T): T {
  const { caller, session } = found
  const who = auditName(caller)
  c.set('viewer', { caller, session, who, may: (scope) => holds(caller, scope) })
  return onBehalfOf(caller, work)
}

export interface SessionCookie {
  read(c: Context<PageEnv>): string | undefined
  write(c: Context<PageEnv>, token: string, expires: Date): void
  remove(c: Context<PageEnv>): void
}

/**
 * The cookie of a session: no script reads it, and other sites' forms do not send it. Links do, so that an
 * address somebody has shared opens. Over https its name is one that browsers take from this host alone
 * (`__Host-`), so that no neighbour under the same domain can put another in its place; that needs the path `/`.
 *
 * One that is to work within a frame of another site has to be sent there as well, which browsers do over https
 * only. It is partitioned: under any other site than the one that framed the page when it was set, it is not there.
 */
export function sessionCookie(area: Area, { isFramed = false } = {}): SessionCookie {
  const name = `postrider_${area}`
  const nameOver = (c: Context<PageEnv>) => (isHttps(c) ? `__Host-${name}` : name)
  const attributes = (c: Context<PageEnv>) => {
    const secure = isHttps(c)
    const own = { path: secure ? '/' : `/${area}`, httpOnly: true, secure } as const
    return isFramed && own.secure
      ? ({ ...own, sameSite: 'None', partitioned: true } as const)
      : ({ ...own, sameSite: 'Lax' } as const)
  }
  return {
    read: (c) => getCookie(c, nameOver(c)),
    write: (c, token, expires) => setCookie(c, nameOver(c), token, { ...attributes(c), expires }),
    remove: (c) => void deleteCookie(c, nameOver(c), attributes(c)),
  }
}

/** Also behind a proxy that ends TLS. */
function isHttps(c: Context<PageEnv>): boolean {
  return c.get('client').isHttps || new URL(c.req.url).protocol === 'https:'
}

/** Who has the cookie of a session, unless there were too many wrong ones. */
export async function findSession<Who extends Caller>(
  c: Context<PageEnv>,
  { area, sessions, cookie, keyGuard }: SessionLookUp<Who>,
): Promise<FoundSession<Who> | null> {
  const token = cookie.read(c)
  if (token === undefined) return null
  return await keyGuard.find(c.get('client').address, token, () => sessions.find(area, token))
}

export interface SessionLookUp<Who extends Caller = Caller> {
  area: Area
  sessions: { find(area: Area, token: string): Promise<FoundSession<Who> | null> }
  cookie: SessionCookie
  keyGuard: KeyGuard
}

/**
 * Lets in who has signed in with a key of no tenant, and sends everybody else to sign in first and back here after.
 *
 * @param signIn path of the page to sign in at
 */
export function requireViewer(
  options: SessionLookUp & { signIn: string },
): MiddlewareHandler<PageEnv> {
  const { signIn } = options
  return createMiddleware<PageEnv>(async (c, next) => {
    const found = await findSession(c, options)
    if (!found || found.caller.tenant) {
      // A part of a page that is fetched again would show the form in its place: load the page again.
      if (c.req.header('hx-request')) return c.body(null, 401, { 'hx-refresh': 'true' })
      const { pathname, search } = new URL(c.req.url)
      const back = c.req.method === 'GET' ? `?to=${encodeURIComponent(pathname + search)}` : ''
      return c.redirect(signIn + back, 303)
    }
    return await asViewer(c, found, next)
  })
}

/** Of both areas, what reads a lot; `/endpoints/:id` is also where a filter is tried before there is an endpoint. */
const HEAVY_PAGES = [
  ...['/', '/deliveries', '/deliveries/:id', '/deliveries/:id/attempts/:number'],
  ...['/deliveries/:id/body.json', '/events', '/events/:id', '/events/:id/data.json'],
  ...['/endpoints', '/endpoints/:id', '/endpoints/:id/edit', '/incidents', '/incidents/:id'],
  ...['/audit', '/database', '/doctor', '/search', '/tenants'],
]
/** Where what is sent counts deliveries, and what is shown reads little. */
const HEAVY_FORMS = ['/replays', '/deliveries/bulk', '/incidents/bulk']

/** Lets requests for heavy pages go on when it is their turn, by the key or link that somebody came in with. */
export function limitPages(app: Hono<PageEnv>, pageSemaphore: FairSemaphore | null): void {
  const limitHeavy = limitConcurrency<PageEnv>(pageSemaphore, (c) => {
    const { caller } = c.get('viewer')
    return { caller, tenantId: caller.tenant?.id ?? null }
  })
  for (const path of HEAVY_PAGES) app.use(path, limitHeavy)
  for (const path of HEAVY_FORMS) {
    app.use(path, (c, next) => (c.req.method === 'POST' ? limitHeavy(c, next) : next()))
  }
}

/** Counts each form that is sent as a request of the key or link that somebody came in with. */
export function limitForms(
  admit: (c: Context, caller: Caller) => Promise<void>,
): MiddlewareHandler<PageEnv> {
  return createMiddleware<PageEnv>(async (c, next) => {
    if (c.req.method === 'POST') await admit(c, c.get('viewer').caller)
    await next()
  })
}

/** The viewer lacks a scope for what they asked. */
class ScopeMissing extends Error {
  override readonly name = 'ScopeMissing'
  readonly code = 'scope_missing'
  readonly scope: Scope
  constructor(scope: Scope) {
    super(`This needs the scope “${scope}”, which your key or link lacks.`)
    this.scope = scope
  }
}

/** @throws ScopeMissing */
export function viewerWith(c: Context<PageEnv>, scope: Scope): Viewer {
  const viewer = c.get('viewer')
  if (!viewer.may(scope)) throw new ScopeMissing(scope)
  return viewer
}

/** For routes that act, and for forms that lead to them. */
export function requireScope(scope: Scope): MiddlewareHandler<PageEnv> {
  return createMiddleware<PageEnv>(async (c, next) => {
    viewerWith(c, scope)
    await next()
  })
}
