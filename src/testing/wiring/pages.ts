import type { Pool } from 'pg'
import { hashApiKey } from '../../access/caller.ts'
import { KeyGuard } from '../../access/key-guard.ts'
import type { PortalConfig } from '../../config/config.ts'
import { CONSOLE_PATH } from '../../console/console-path.ts'
import type { App } from '../../http/authenticate.ts'
import type { TenantId } from '../../ids.ts'
import { createApi } from '../../service/api-app.ts'
import { addPages } from '../../service/page-service.ts'
import { createTenant } from '../data/tenant.ts'
import type { World } from '../data/world.ts'
import { ADMIN_KEY, requesting, testConfig, testParts } from './api.ts'

/** More than any test makes. */
const SIGN_INS_MAX = 1_000

export interface PageOptions {
  /** Value of the header `cookie`; null sends none. */
  cookie: string | null
  headers?: Record<string, string>
}

/** API, console and portal on a database, without a port and without a browser. */
export function createTestPages(
  pool: Pool,
  options: {
    portal?: Partial<PortalConfig>
    signInsMax?: number
    now?: () => number
    env?: Record<string, string>
  } = {},
) {
  const { parts, logged } = testParts(pool, options.now)
  const config = testConfig({ PORT: '8081', ...options.env })
  const portal = { ...config.portal, ...options.portal }
  const api = createApi(config, parts, { keyGuard: null, heavySemaphore: null })
  const signIns = { what: 'sign-ins', ofClient: options.signInsMax ?? SIGN_INS_MAX }
  const signInGuard = new KeyGuard({ redis: parts.redis, limits: signIns })
  const { sessions } = addPages({ ...config, portal }, parts, api, {
    pageSemaphore: null,
    signInGuard,
  })
  return { ...api, sessions, logged, request: requesting(api.app) }
}

/** The console on a database, without a port and without a browser. */
export async function createTestConsole(
  pool: Pool,
  options: { signInsMax?: number; env?: Record<string, string> } = {},
) {
  const now = { ms: Date.now() }
  const { app, services, sessions, logged, request } = createTestPages(pool, {
    ...options,
    now: () => now.ms,
  })
  const { apiKeys } = services
  const { get, post } = createPageClient(app)
  const signIn = (fields: Record<string, string> = {}, options: Partial<PageOptions> = {}) =>
    post('/console/sign-in', { key: ADMIN_KEY, ...fields }, { cookie: null, ...options })
  return {
    app,
    get,
    post,
    request,
    /** Every route of the console, as `METHOD /path/:id`. */
    routes: routesOf(app, CONSOLE_PATH),
    signIn,
    apiKeys,
    services,
    sessions,
    adminKeyHash: hashApiKey(ADMIN_KEY),
    logged,
    /** Of the process; moved by tests. */
    now,
    tenantId: async () => (await createTenant(pool)).id as TenantId,
    /** The cookie of a new session. */
    async signedIn(key = ADMIN_KEY): Promise<string> {
      const { headers } = await signIn({ key })
      return headers.get('set-cookie')?.split(';')[0] ?? ''
    },
  }
}

/** Signs in to the console of a running service; resolves with the cookie of the session. */
export async function signedInAt(url: string, key: string): Promise<string> {
  const response = await fetch(`${url}/console/sign-in`, {
    ...{ method: 'POST', redirect: 'manual' },
    headers: { origin: url },
    body: new URLSearchParams({ key }),
  })
  return response.headers.get('set-cookie')?.split(';')[0] ?? ''
}

/** Looks at pages, and sends forms as a browser does. */
export function createPageClient(app: Pick<App, 'request'>) {
  const answer = async (path: string, init: RequestInit, { cookie, headers }: PageOptions) => {
    const own = { ...(cookie !== null && { cookie }), ...headers }
    const response = await app.request(path, { ...init, headers: own })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  return {
    get: (path: string, options: PageOptions) => answer(path, {}, options),
    post: (path: string, fields: Record<string, string>, options: PageOptions) =>
      answer(
        path,
        { method: 'POST', body: new URLSearchParams(fields) },
        { ...options, headers: { origin: 'http://localhost', ...options.headers } },
      ),
  }
}

/** What an app answers below a path, as `METHOD /path/:id`. */
export function routesOf({ routes }: Pick<App, 'routes'>, below: string): string[] {
  const own = routes.filter(
    ({ method, path }) =>
      method !== 'ALL' &&
      !path.includes('*') &&
      `${path}/`.startsWith(`${below}/`) &&
      path !== `${below}/`,
  )
  return [...new Set(own.map(({ method, path }) => `${method} ${path}`))]
}

export const UNKNOWN = '00000000-0000-7000-8000-000000000000'

/** The path of a route, about something in the world. */
export function pagePath({ tenant, ids }: World, route: string): string {
  return route
    .replace(/^\w+ /, '')
    .replace(':tenant', tenant.key)
    .replace(':number', '1')
    .replace(
      /([\w-]+)\/:(?:id|name)/,
      (_, collection) => `${collection}/${ids[collection] ?? UNKNOWN}`,
    )
}

/** Of signing in and of files, which need no session, and the stream, which has no end. */
export const isOpen = (route: string): boolean => /sign-(?:in|out)|assets|stream/.test(route)
export const reading = (routes: string[]): string[] =>
  routes.filter((route) => route.startsWith('GET') && !isOpen(route))
export const acting = (routes: string[]): string[] =>
  routes.filter((route) => route.startsWith('POST') && !isOpen(route))
