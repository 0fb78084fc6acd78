import { sql } from 'kysely'
import type { Caller } from '../access/caller.ts'
import type { TenantId } from '../ids.ts'
import type { Condition } from '../postgres/list-query.ts'
import type { Tenants } from './tenants.ts'

/** Whose rows a list shows: those of one tenant, or of all but some. */
export type ListedTenants = TenantId | { but: readonly TenantId[] }

export const EVERY_TENANT: ListedTenants = { but: [] }

/**
 * Those that a list shows a caller who asks for none: what `mayTouch` says of each, for all at once.
 *
 * @returns all but those of the service itself, unless the caller is an admin
 */
export async function listedFor(
  { tenant, scopes }: Pick<Caller, 'tenant' | 'scopes'>,
  tenants: Pick<Tenants, 'reservedIds'>,
): Promise<ListedTenants> {
  if (tenant) return tenant.id
  return scopes.has('admin') ? EVERY_TENANT : { but: await tenants.reservedIds() }
}

/** The one tenant that is listed; null = several. */
export const oneOf = (listed: ListedTenants): TenantId | null =>
  typeof listed === 'string' ? listed : null

/** What the list asks of each row; undefined = nothing. A row of no tenant is listed unless one tenant is asked for. */
export function ofTenants(listed: ListedTenants, column = 'tenant_id'): Condition | undefined {
  if (typeof listed === 'string') return sql`${sql.ref(column)} = ${listed}`
  if (listed.but.length === 0) return undefined
  return sql`(${sql.ref(column)} = any (${listed.but}::uuid[])) is not true`
}

/** The same, of a row that is here already. */
export function isListed(listed: ListedTenants, tenantId: string | null): boolean {
  if (typeof listed === 'string') return tenantId === listed
  return tenantId === null || !listed.but.some((id) => id === tenantId)
}
