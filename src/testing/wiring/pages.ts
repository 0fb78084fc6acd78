import type { Pool } from 'pg'
import { type Caller, hashApiKey } from '../../access/caller.ts'
import { createKeyGuard } from '../../access/key-guard.ts'
import { createApiKeys } from '../../api-keys/api-keys.ts'
import { createLiveAttempts } from '../../attempts/live.ts'
import { describeSettings } from '../../config/config.ts'
import { CONSOLE_PATH } from '../../console/console-path.ts'
import { createEndpoints } from '../../endpoints/endpoints.ts'
import { createEventTypeServices } from '../../event-types/event-type-services.ts'
import type { TenantId } from '../../ids.ts'
import { createLog } from '../../log.ts'
import { findViolations } from '../../operations/violations.ts'
import { createDatabase } from '../../postgres/pool.ts'
import { connectRedis } from '../../redis/redis.ts'
import { createEndpointSecrets } from '../../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../../secrets/secrets.ts'
import { generateSecret } from '../../sending/signature.ts'
import type { App } from '../../service/api-app.ts'
import { createConsole } from '../../service/console-app.tsx'
import { createReads } from '../../service/page-service.ts'
import { createSessions } from '../../sessions/sessions.ts'
import { createTenant } from '../data/tenant.ts'
import type { World } from '../data/world.ts'
import { ADMIN_KEY, createTestApi, ENCRYPTION_KEY } from './api.ts'

/** More than any test makes. */
const SIGN_INS_MAX = 1_000

export interface PageOptions {
  /** Value of the header `cookie`; null sends none. */
  cookie: string | null
  headers?: Record<string, string>
}

/** The console on a database, without a port and without a browser. */
export async function createTestConsole(
  pool: Pool,
  { signInsMax = SIGN_INS_MAX }: { signInsMax?: number } = {},
) {
  const database = createDatabase(pool)
  const ownRequests = new WeakMap<Request, Caller>()
  const { app, request } = createTestApi(pool, { ownRequests })
  const now = { ms: Date.now() }
  const adminKeyHash = hashApiKey(ADMIN_KEY)
  const apiKeys = createApiKeys({ database, adminKeyHash, now: () => now.ms })
  const sessions = createSessions({ database, apiKeys })
  const redis = await connectRedis({ url: undefined, log: createLog('silent') })
  const logged: unknown[] = []
  const pages = createConsole({
    log: { error: (line: unknown) => void logged.push(line) },
    callApi: (own, caller) => {
      ownRequests.set(own, caller)
      return app.fetch(own)
    },
    apiKeys,
    sessions,
    liveAttempts: createLiveAttempts({ database, onError: (error) => logged.push(error) }),
    settings: describeSettings({ DATABASE_URL: 'postgres://a:b@c/d', PORT: '8081' }),
    check: () => findViolations(pool),
    ...createEventTypeServices({ database, isStrict: false }),
    endpoints: createEndpoints({
      database,
      secrets: createEndpointSecrets({
        database,
        box: createSecretBox([ENCRYPTION_KEY]),
        generateSecret,
      }),
    }),
    pageTurns: null,
    signInGuard: createKeyGuard({ redis, limits: { what: 'sign-ins', ofClient: signInsMax } }),
    keyGuard: createKeyGuard({ redis }),
    ...createReads(pool),
  })
  app.route(CONSOLE_PATH, pages)

  const { get, post } = createPageClient(app)
  const signIn = (fields: Record<string, string> = {}, options: Partial<PageOptions> = {}) =>
    post('/console/sign-in', { key: ADMIN_KEY, ...fields }, { cookie: null, ...options })
  return {
    app,
    get,
    post,
    request,
    /** Every route of the console, as `METHOD /path/:id`. */
    routes: routesOf(pages, CONSOLE_PATH),
    signIn,
    apiKeys,
    sessions,
    adminKeyHash,
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

/** As `METHOD /path/:id`. */
export function routesOf(
  { routes }: ReturnType<typeof createConsole>,
  mountedAt: string,
): string[] {
  const own = routes.filter(({ method, path }) => method !== 'ALL' && !path.includes('*'))
  return [
    ...new Set(own.map(({ method, path }) => `${method} ${mountedAt}${path === '/' ? '' : path}`)),
  ]
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
