import { auditName } from '../access/caller.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { tenantParams, tenantTags } from '../tenants/tenant.routes.ts'
import { type LinkUrlOptions, linkUrl } from './link-url.ts'
import { portalLinkInput, portalLinkSchema } from './portal-link.fields.ts'
import type { PortalLinks } from './portal-links.ts'

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
