import type { Context, MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { RequestIdVariables } from 'hono/request-id'
import { auditName } from '../access/audit-name.ts'
import type { Client } from '../access/client-address.ts'
import type { KeyGuard } from '../access/key-guard.ts'
import type { ApiKeys, Caller } from '../api-keys/api-keys.ts'
import { asActor, currentActor } from '../postgres/actor.ts'
import type { Scope } from '../postgres/schema.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { isReserved, type Tenant, TenantNotFound, type Tenants } from '../tenants/tenants.ts'
import { Problem } from './problem.ts'
import type { Admit } from './rate-limit.ts'

/** What handlers find in the context. `scope` is what the route takes, `tenant` only on paths with `{tenant}`. */
export interface ApiEnv {
  Variables: RequestIdVariables & { client: Client; caller: Caller; scope: Scope; tenant: Tenant }
}

/** Ours have 46 characters; nobody gets to make us hash a megabyte. */
const KEY_LENGTH_MAX = 256
const BEARER = /^bearer +([!-~]+)$/i

/** Makes the middleware of a route: a valid key with this scope, or 401 and 403. */
export type Authenticate = (scope: Scope) => MiddlewareHandler<ApiEnv>

/**
 * Requests that this process makes itself, for a caller whom it knows from elsewhere: the pages of somebody
 * who has signed in. It is the object that counts, so nothing that is sent to us can be one of them.
 */
export type OwnRequests = Pick<WeakMap<Request, Caller>, 'get'>

export function createAuthenticate(options: {
  apiKeys: Pick<ApiKeys, 'verify'>
  /** Null = strangers may try as many keys as they like. */
  keyGuard: KeyGuard | null
  admit: Admit
  ownRequests?: OwnRequests | undefined
}): Authenticate {
  const { apiKeys, keyGuard, admit, ownRequests = new WeakMap() } = options
  const verify = (c: Context<ApiEnv>) => {
    const key = bearerOf(c)
    const find = () => apiKeys.verify(key)
    return keyGuard ? keyGuard.find(c.get('client').address, key, find) : find()
  }
  return (scope) =>
    createMiddleware<ApiEnv>(async (c, next) => {
      const caller = ownRequests.get(c.req.raw) ?? (await verify(c))
      if (!caller) throw unauthenticated('The API key is unknown, expired or revoked.')
      await admit(c, caller)
      if (!caller.scopes.has(scope) && !caller.scopes.has('admin')) {
        throw new Problem('scope_missing', { detail: `This needs the scope "${scope}".` })
      }
      c.set('caller', caller)
      c.set('scope', scope)
      const { client = '' } = currentActor() ?? {}
      await asActor({ who: auditName(caller), client }, next)
    })
}

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

/** For what concerns more than one tenant, after `authenticate`: refused to keys of one, all alike. */
export const ofNoTenant = createMiddleware<ApiEnv>(async (c, next) => {
  if (c.get('caller').tenant) {
    throw new Problem('key_of_one_tenant', {
      detail: 'This takes a key that is bound to no tenant.',
    })
  }
  await next()
})

function bearerOf(c: Context): string {
  const header = c.req.header('authorization')
  if (header === undefined) throw unauthenticated('Send Authorization: Bearer <api key>.')
  const key = BEARER.exec(header)?.[1]
  if (key === undefined || key.length > KEY_LENGTH_MAX) {
    throw unauthenticated('The header is not of the form Authorization: Bearer <api key>.')
  }
  return key
}

function unauthenticated(detail: string): Problem {
  const headers = { 'www-authenticate': 'Bearer realm="postrider"' }
  return new Problem('unauthenticated', { detail, headers })
}
