import type { Context, MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { Caller } from '../access/caller.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { TenantNotFound } from '../not-found.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { Problem } from '../problem.ts'
import { isReserved, type Tenant, type Tenants } from './tenants.ts'

/**
 * Makes the middleware that turns `{tenant}` into the tenant, and runs what follows in its scope. To
 * a key of one tenant every other tenant is as unknown as one that does not exist.
 */
export function createTenantOfPath(options: {
  tenants: Pick<Tenants, 'find'>
  inTenant: TenantScope['inTenant']
}): MiddlewareHandler<ApiEnv> {
  const { tenants, inTenant } = options
  return createMiddleware<ApiEnv>(async (c, next) => {
    const key = c.req.param('tenant') ?? ''
    if (!mayTouch(c.get('caller'), key)) throw new TenantNotFound()
    const tenant = await tenants.find(key)
    refuseSuspended(c, tenant)
    c.set('tenant', tenant)
    await inTenant(tenant.id, next)
  })
}

/** Tenants of the service itself are for admins, who manage the endpoints of operational events. */
export function mayTouch(caller: Caller, tenantKey: string): boolean {
  if (isReserved(tenantKey)) return caller.tenant === null && caller.scopes.has('admin')
  return caller.tenant === null || caller.tenant.key === tenantKey
}

/**
 * A key of a suspended tenant reads, and does nothing else: neither what was the reason for suspending it can go
 * on, nor can traces of that be removed. Anyone who has a key of no tenant goes on managing it.
 */
export function refuseSuspended(c: Context<ApiEnv>, tenant: Pick<Tenant, 'suspended_at'>): void {
  if (tenant.suspended_at && c.get('caller').tenant && c.get('scope') !== 'read') {
    throw tenantSuspended()
  }
}

export const tenantSuspended = (cause?: unknown): Problem =>
  new Problem('tenant_suspended', { detail: 'Until it is resumed, its keys may only read.', cause })
