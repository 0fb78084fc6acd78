import type { Pool } from 'pg'
import type { PortalConfig } from '../../config/config.ts'
import { PORTAL_PATH } from '../../portal-links/portal-path.ts'
import { createPageClient, createTestPages, routesOf } from './pages.ts'

/** The portal on a database, without a port and without a browser. */
export async function createTestPortal(
  pool: Pool,
  portal: Partial<PortalConfig> = {},
  env: Record<string, string> = {},
) {
  const { app, request, logged } = createTestPages(pool, { portal, env })
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
    routes: routesOf(app, PORTAL_PATH),
    logged,
    /** The cookie of a new session in the portal of a tenant. */
    async entered(tenant: string, access: 'read' | 'manage' = 'manage'): Promise<string> {
      const { headers } = await open(await createLink(tenant, { access }))
      return cookieIn(headers)
    },
  }
}

export const cookieIn = (headers: Headers): string => headers.get('set-cookie')?.split(';')[0] ?? ''
