import type { MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import { type Caller, holds } from '../access/caller.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { TenantNotFound } from '../not-found.ts'
import type { Scope } from '../postgres/schema.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { Problem } from '../problem.ts'
import { type ListedTenants, listedFor } from './listed-tenants.ts'
import { isReserved, refuseReserved, type Tenant, type Tenants } from './tenants.ts'

/**
 * Runs `work` within the scope of a tenant, if the caller may do what takes this scope there; for routes and pages
 * alike. To a key of one tenant every other tenant is as unknown as one that does not exist.
 *
 * @throws TenantNotFound
 * @throws Problem scope_missing, tenant_suspended
 */
export type TenantAccess = <T>(
  caller: Caller,
  scope: Scope,
  tenantKey: string,
  work: (tenant: Tenant) => Promise<T>,
) => Promise<T>

interface AccessOptions {
  tenants: Pick<Tenants, 'find'>
  inTenant: TenantScope['inTenant']
}

export function createTenantAccess({ tenants, inTenant }: AccessOptions): TenantAccess {
  return async (caller, scope, tenantKey, work) => {
    refuseWithout(caller, scope)
    if (!mayTouch(caller, tenantKey)) throw new TenantNotFound()
    const tenant = await tenants.find(tenantKey)
    refuseSuspended(caller, scope, tenant)
    return await inTenant(tenant.id, () => work(tenant))
  }
}

/** Makes the middleware that turns `{tenant}` into the tenant, and runs what follows in its scope. */
export function createTenantOfPath(options: AccessOptions): MiddlewareHandler<ApiEnv> {
  const access = createTenantAccess(options)
  return createMiddleware<ApiEnv>(async (c, next) => {
    const key = c.req.param('tenant') ?? ''
    await access(c.get('caller'), c.get('scope'), key, (tenant) => {
      c.set('tenant', tenant)
      return next()
    })
  })
}

/**
 * For a tenant that is about to be made, or is itself changed.
 *
 * @throws TenantReserved, TenantNotFound
 * @throws Problem tenant_suspended
 */
export async function assertMayManage(
  caller: Caller,
  tenantKey: string,
  tenants: Pick<Tenants, 'get'>,
): Promise<void> {
  refuseReserved(tenantKey)
  if (!mayTouch(caller, tenantKey)) throw new TenantNotFound()
  if (caller.tenant) refuseSuspended(caller, 'manage', await tenants.get(tenantKey))
}

/** Tenants of the service itself are for admins, who manage the endpoints of operational events. */
export function mayTouch(caller: Caller, tenantKey: string): boolean {
  if (isReserved(tenantKey)) return caller.tenant === null && caller.scopes.has('admin')
  return caller.tenant === null || caller.tenant.key === tenantKey
}

/** Whose rows a list shows that was asked for the tenant with this key, or for none. @throws TenantNotFound */
export async function listedBy(
  caller: Caller,
  tenants: Pick<Tenants, 'get' | 'reservedIds'>,
  key: string | undefined,
): Promise<ListedTenants> {
  if (key === undefined || key === caller.tenant?.key) return await listedFor(caller, tenants)
  if (caller.tenant || !mayTouch(caller, key)) throw new TenantNotFound()
  return (await tenants.get(key)).id
}

function refuseWithout(caller: Caller, scope: Scope): void {
  if (holds(caller, scope)) return
  throw new Problem('scope_missing', { detail: `This needs the scope "${scope}".` })
}

/**
 * A key of a suspended tenant reads, and does nothing else: neither what was the reason for suspending it can go
 * on, nor can traces of that be removed. Anyone who has a key of no tenant goes on managing it.
 */
export function refuseSuspended(
  caller: Caller,
  scope: Scope,
  tenant: Pick<Tenant, 'suspended_at'>,
): void {
  if (tenant.suspended_at && caller.tenant && scope !== 'read') throw tenantSuspended()
}

export const tenantSuspended = (cause?: unknown): Problem =>
  new Problem('tenant_suspended', { detail: 'Until it is resumed, its keys are read-only.', cause })
