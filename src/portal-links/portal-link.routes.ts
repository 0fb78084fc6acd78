import type { Context } from 'hono'
import { auditName } from '../access/caller.ts'
import type { Client } from '../access/client-address.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { Problem } from '../problem.ts'
import { tenantParams, tenantTags } from '../tenants/tenant.routes.ts'
import { refuseReserved } from '../tenants/tenants.ts'
import { portalLinkInput, portalLinkSchema } from './portal-link.fields.ts'
import type { PortalLinks } from './portal-links.ts'

/** Where a link leads; the portal opens it. */
const OPEN_PATH = '/portal/open'

export interface LinkUrlOptions {
  /** Where people reach this service; undefined = where the request did. */
  publicUrl: string | undefined
  /** Whether it has to be known. */
  needsPublicUrl?: boolean
}

interface Options extends LinkUrlOptions {
  portalLinks: Pick<PortalLinks, 'create' | 'revokeAll'>
}

const route = routesFor<Options>()
const collection = { path: '/api/tenants/{tenant}/portal-links', tags: tenantTags } as const

const create = route({
  ...collection,
  method: 'post',
  summary: 'Create portal link',
  description:
    'Anyone with the link can open it until it expires, in a window or in a frame of an allowed origin ' +
    '(`PORTAL_FRAME_ORIGINS`). It opens the portal of this tenant only. It allows no more than the key ' +
    'that creates it, so it needs a key with `read` and, for access `manage`, `manage`. It ends when ' +
    'that key is revoked or expires, and when the tenant is suspended or deleted. In production it ' +
    'needs `PUBLIC_URL` (otherwise 409, `public_url_missing`).',
  request: {
    params: tenantParams,
    body: jsonBody(portalLinkInput),
  },
  responses: {
    201: json(portalLinkSchema, 'The link, which is not stored and not shown again.'),
    ...problems(404, 409, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  async answer(c, options) {
    const tenant = c.get('tenant')
    const { urlOf } = linkUrl(c, options, tenant.key)
    const link = portalLinkInput.parse(c.req.valid('json'))
    const { token, expiresAt } = await options.portalLinks.create(tenant, link, c.get('caller'))
    return c.json({ url: urlOf(token), expiresAt: expiresAt.toISOString() }, 201)
  },
})

const revoke = route({
  ...collection,
  method: 'delete',
  summary: 'Revoke portal links',
  description: 'Revokes every portal link of a tenant, and ends the sessions that they opened.',
  request: { params: tenantParams },
  responses: { 204: { description: 'All links are revoked.' }, ...problems(404) },
  guards: ofTenant('manage'),
  async answer(c, { portalLinks }) {
    await portalLinks.revokeAll(c.get('tenant').id, auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

export const addPortalLinkRoutes = addingRoutes([create, revoke])

/** Where a link will lead that is about to be made. @throws TenantReserved, Problem public_url_missing */
export function linkUrl<E extends { Variables: { client: Client } }>(
  c: Context<E>,
  { publicUrl, needsPublicUrl }: LinkUrlOptions,
  tenantKey: string,
) {
  refuseReserved(tenantKey)
  if (needsPublicUrl && publicUrl === undefined) throw noPublicUrl()
  const origin = publicUrl ?? originOf(c)
  return { urlOf: (token: string) => `${origin}${OPEN_PATH}?token=${token}` }
}

/** Also behind a proxy that ends TLS; only who asks for the link is told. */
function originOf<E extends { Variables: { client: Client } }>(c: Context<E>): string {
  const { protocol, host } = new URL(c.req.url)
  const isHttps = c.get('client').isHttps || protocol === 'https:'
  return `${isHttps ? 'https' : 'http'}://${host}`
}

/** The address that a request came to is whatever its sender, or a proxy, wrote there. */
function noPublicUrl(): Problem {
  return new Problem('public_url_missing', {
    detail: 'Set PUBLIC_URL to where people reach the service, such as https://hooks.example.com.',
  })
}
