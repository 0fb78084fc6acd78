import { hash } from 'node:crypto'
import type { ApiKeyId, PortalLinkId, TenantId } from '../ids.ts'
import { asActor, currentActor } from '../postgres/actor.ts'
import type { Scope } from '../postgres/schema.ts'

/** The one who made a request: what a valid key entitles to. */
export interface Caller {
  /** Null for the bootstrap admin key, which has no row, and for portal links. */
  apiKeyId: ApiKeyId | null
  /** Set where it is no key but a link to the portal. */
  portalLinkId?: PortalLinkId
  /** The one tenant that it may touch; null = every tenant. */
  tenant: { id: TenantId; key: string } | null
  scopes: ReadonlySet<Scope>
}

/** What the work of a caller is counted under: its key or link, or the bootstrap admin key. */
export function countedAs({ apiKeyId, portalLinkId }: Caller): ApiKeyId | PortalLinkId | 'admin' {
  return portalLinkId ?? apiKeyId ?? 'admin'
}

/** Who did it, for the audit log. */
export function auditName({ apiKeyId, portalLinkId }: Caller): string {
  if (portalLinkId !== undefined) return `portal link ${portalLinkId}`
  return apiKeyId === null ? 'admin key' : `api key ${apiKeyId}`
}

/** Whether the key or link has the scope; `admin` includes the others. */
export function holds({ scopes }: Pick<Caller, 'scopes'>, scope: Scope): boolean {
  return scopes.has(scope) || scopes.has('admin')
}

/** Runs `work` on behalf of the caller: the audit log then names them, and the address that the request came from. */
export function onBehalfOf<T>(caller: Caller, work: () => T): T {
  const { client = '' } = currentActor() ?? {}
  return asActor({ who: auditName(caller), client }, work)
}

/** What is stored of a key, and what it is found by. */
export function hashApiKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}
