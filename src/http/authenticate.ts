import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { RequestIdVariables } from 'hono/request-id'
import { type Caller, holds, onBehalfOf } from '../access/caller.ts'
import type { Client } from '../access/client-address.ts'
import type { KeyGuard } from '../access/key-guard.ts'
import type { TenantId } from '../ids.ts'
import type { Scope } from '../postgres/schema.ts'
import { Problem } from '../problem.ts'
import type { Admit } from './rate-limit.ts'

/** The tenant that a path names. */
interface TenantOfPath {
  id: TenantId
  key: string
  suspended_at: Date | null
}

/** What handlers find in the context. `scope` is what the route takes, `tenant` only on paths with `{tenant}`. */
export interface ApiEnv {
  Variables: RequestIdVariables & {
    client: Client
    caller: Caller
    scope: Scope
    tenant: TenantOfPath
  }
}

/** The API, and what routes are added to. */
export type App = OpenAPIHono<ApiEnv>

/** Ours have 46 characters; nobody gets to make us hash a megabyte. */
const KEY_LENGTH_MAX = 256
const BEARER = /^bearer +([!-~]+)$/i

/** Makes the middleware of a route: a valid key with this scope, or 401 and 403. */
export type Authenticate = (scope: Scope) => MiddlewareHandler<ApiEnv>

interface AuthenticateOptions {
  /** Finds who the key belongs to; null when it is unknown, expired or revoked. */
  apiKeys: { verify(key: string): Promise<Caller | null> }
  /** Null = strangers may try as many keys as they like. */
  keyGuard: KeyGuard | null
  admit: Admit
}

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { apiKeys, keyGuard, admit } = options
  const verify = (c: Context<ApiEnv>) => {
    const key = bearerOf(c)
    const find = () => apiKeys.verify(key)
    return keyGuard ? keyGuard.find(c.get('client').address, key, find) : find()
  }
  return (scope) =>
    createMiddleware<ApiEnv>(async (c, next) => {
      const caller = await verify(c)
      if (!caller) throw unauthenticated('The API key is unknown, expired or revoked.')
      await admit(c, caller)
      if (!holds(caller, scope)) {
        throw new Problem('scope_missing', { detail: `This needs the scope "${scope}".` })
      }
      c.set('caller', caller)
      c.set('scope', scope)
      await onBehalfOf(caller, next)
    })
}

/** For what concerns more than one tenant, after `authenticate`: refused to keys of one, all alike. */
export const ofNoTenant = createMiddleware<ApiEnv>(async (c, next) => {
  if (c.get('caller').tenant) {
    throw new Problem('key_of_one_tenant', {
      detail: 'This requires a key that is not bound to a tenant.',
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
