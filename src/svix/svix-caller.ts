import { createMiddleware } from 'hono/factory'
import { type Caller, hashApiKey } from '../access/caller.ts'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import type { PortalLinks } from '../portal-links/portal-links.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { Problem } from '../problem.ts'
import { refuseSuspended } from '../tenants/tenant-access.ts'
import { isReserved, type Tenant } from '../tenants/tenants.ts'
import type { SvixApplications } from './svix-applications.ts'
import { svixNotFound } from './svix-error.ts'
import { shownSvixId } from './svix-id.ts'

/** The tenant that a path names, with the id that is shown of it. */
type SvixApplication = Tenant & { svixId: string }

/** What handlers find in the context. `app` is there on paths with `{app_id}` only. */
export interface SvixEnv {
  Variables: ApiEnv['Variables'] & { app: SvixApplication }
}

/**
 * Makes the middleware that turns `{app_id}` into the tenant, and runs what follows in its scope. To a key of one
 * tenant every other one is as unknown as one that does not exist.
 */
export function createApplicationOfPath({
  svixApplications,
  inTenant,
}: {
  svixApplications: Pick<SvixApplications, 'find'>
  inTenant: TenantScope['inTenant']
}) {
  return createMiddleware<SvixEnv>(async (c, next) => {
    const tenant = await svixApplications.find(c.req.param('app_id') ?? '')
    const { tenant: own } = c.get('caller')
    if (!tenant || isReserved(tenant.key) || (own && own.id !== tenant.id)) throw svixNotFound()
    refuseSuspended(c.get('caller'), c.get('scope'), tenant)
    c.set('app', { ...tenant, svixId: shownSvixId('app', tenant) })
    await inTenant(tenant.id, next)
  })
}

/** For what concerns more than one application. */
export const ofOrganisation = createMiddleware<SvixEnv>(async (c, next) => {
  if (c.get('caller').tenant) {
    throw new Problem('key_of_one_tenant', {
      detail: 'This requires a key that is not bound to a tenant.',
    })
  }
  await next()
})

/** Keys, and links to the portal of an application, whose token is one for that application as long as they last. */
export function acceptingLinks<Keys extends Pick<ApiKeys, 'verify'>>({
  apiKeys,
  portalLinks,
}: {
  apiKeys: Keys
  portalLinks: Pick<PortalLinks, 'verifyHash'>
}): Keys {
  const verify = async (key: string): Promise<Caller | null> =>
    (await apiKeys.verify(key)) ?? (await portalLinks.verifyHash(hashApiKey(key)))
  return { ...apiKeys, verify }
}
