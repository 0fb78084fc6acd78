import { type Kysely, sql } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import type { Tenant } from '../tenants/tenants.ts'
import { uuidOf } from './svix-id.ts'

/** Tenants as Svix calls them, found by what its SDKs name them with. */
export interface SvixApplications {
  /** By its id, its uid or the id that Svix gave it; null = there is none, or it is being deleted. */
  find(named: string): Promise<Tenant | null>
}

export function createSvixApplications({
  database,
}: {
  database: Kysely<Database>
}): SvixApplications {
  return { find: (named) => find(database, named) }
}

async function find(database: Kysely<Database>, named: string): Promise<Tenant | null> {
  const id = uuidOf('app', named)
  const isNamed =
    id === null ? sql<boolean>`(uid = ${named} or svix_id = ${named})` : sql<boolean>`id = ${id}`
  const row = await database
    .selectFrom('tenant')
    .selectAll()
    .where(isNamed)
    .where('deletion_started_at', 'is', null)
    // Who has one id and the other's uid is found by the id.
    .orderBy(sql`svix_id = ${named}`, (order) => order.desc().nullsLast())
    .limit(1)
    .$castTo<Tenant>()
    .executeTakeFirst()
  return row ?? null
}
