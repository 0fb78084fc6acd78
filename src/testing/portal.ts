import type { Pool } from 'pg'
import { createPortalReads } from '../app/page-service.ts'
import { createLiveAttempts } from '../attempts/live.ts'
import type { PortalConfig } from '../config.ts'
import { createPortal } from '../console/portal/portal.tsx'
import { PORTAL_PATH } from '../console/portal/portal-path.ts'
import { createDatabase } from '../database/pool.ts'
import { createTenantScope } from '../database/tenant-scope.ts'
import { generateSecret } from '../delivery/signature.ts'
import { createEndpointSecrets } from '../endpoints/endpoint-secrets.ts'
import { createEndpoints } from '../endpoints/endpoints.ts'
import { createSecretBox } from '../endpoints/secrets.ts'
import { createEventTypeServices } from '../events/event-type-services.ts'
import { connectRedis } from '../limits/redis.ts'
import { createLog } from '../log.ts'
import type { Caller } from '../tenants/api-keys.ts'
import { createKeyGuard } from '../tenants/key-guard.ts'
import { createPortalLinks } from '../tenants/portal-links.ts'
import { createSessions } from '../tenants/sessions.ts'
import { createTestApi, ENCRYPTION_KEY } from './api.ts'
import { createPageClient, routesOf } from './pages.ts'

/** The portal on a database, without a port and without a browser. */
export async function createTestPortal(pool: Pool, portal: Partial<PortalConfig> = {}) {
  const database = createDatabase(pool)
  const scope = createTenantScope(pool)
  const ownRequests = new WeakMap<Request, Caller>()
  const { app, request, logged } = createTestApi(pool, { ownRequests })
  const redis = await connectRedis({ url: undefined, log: createLog('silent') })
  const portalLinks = createPortalLinks({ database })
  const box = createSecretBox([ENCRYPTION_KEY])
  const secrets = createEndpointSecrets({ database: scope.database, box, generateSecret })
  const pages = createPortal({
    portal: { frameOrigins: [], accent: undefined, logo: undefined, ...portal },
    log: { error: (line: unknown) => void logged.push(line) },
    callApi: (own, caller) => {
      ownRequests.set(own, caller)
      return app.fetch(own)
    },
    pageTurns: null,
    portalLinks,
    keyGuard: createKeyGuard({ redis }),
    sessions: createSessions({ database, apiKeys: portalLinks }),
    inTenant: scope.inTenant,
    liveAttempts: createLiveAttempts({ database, onError: (error) => logged.push(error) }),
    endpoints: createEndpoints({ database: scope.database, secrets }),
    ...createEventTypeServices({ database, isStrict: false }),
    ...createPortalReads(scope),
  })
  app.route(PORTAL_PATH, pages)
  const { get, post } = createPageClient(app)

  /** Opens a link as a browser does. */
  const open = (url: string, headers: Record<string, string> = {}) => {
    const { pathname, search } = new URL(url)
    return get(pathname + search, { cookie: null, headers })
  }
  const createLink = async (tenant: string, body: unknown = {}): Promise<string> => {
    const path = `/api/tenants/${tenant}/portal-links`
    const { status, json, text } = await request('POST', path, { body })
    if (status !== 201) throw new Error(text)
    return json.url
  }
  return {
    app,
    get,
    post,
    request,
    open,
    createLink,
    /** Every route of the portal, as `METHOD /path/:id`. */
    routes: routesOf(pages, PORTAL_PATH),
    logged,
    /** The cookie of a new session in the portal of a tenant. */
    async entered(tenant: string, access: 'read' | 'manage' = 'manage'): Promise<string> {
      const { headers } = await open(await createLink(tenant, { access }))
      return cookieIn(headers)
    },
  }
}

export const cookieIn = (headers: Headers): string => headers.get('set-cookie')?.split(';')[0] ?? ''
