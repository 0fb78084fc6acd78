import type { Pool } from 'pg'
import type { Caller } from '../../access/caller.ts'
import { createKeyGuard } from '../../access/key-guard.ts'
import { createLiveAttempts } from '../../attempts/live.ts'
import type { PortalConfig } from '../../config/config.ts'
import { createEndpoints } from '../../endpoints/endpoints.ts'
import { createEventTypeServices } from '../../event-types/event-type-services.ts'
import { createLog } from '../../log.ts'
import { createPortalLinks } from '../../portal-links/portal-links.ts'
import { PORTAL_PATH } from '../../portal-links/portal-path.ts'
import { createDatabase } from '../../postgres/pool.ts'
import { createTenantScope } from '../../postgres/tenant-scope.ts'
import { connectRedis } from '../../redis/redis.ts'
import { createEndpointSecrets } from '../../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../../secrets/secrets.ts'
import { generateSecret } from '../../sending/signature.ts'
import { createPortalReads } from '../../service/page-service.ts'
import { createPortal } from '../../service/portal-app.tsx'
import { createSessions } from '../../sessions/sessions.ts'
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
