import { type Kysely, type Selectable, sql } from 'kysely'
import type { Database, TenantTable } from '../database/schema.ts'
import type { TenantId } from '../ids.ts'

export type Tenant = Selectable<TenantTable> & { id: TenantId }

/** The constraint of `tenant.key`; also keeps a key usable as one part of a path. */
export const TENANT_KEY = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

export class TenantNotFound extends Error {
  override readonly name = 'TenantNotFound'
  readonly code = 'tenant_not_found'
  readonly field = 'tenant'
  constructor() {
    super('there is no tenant with this key')
  }
}

export interface Tenants {
  /**
   * Makes the tenant or changes its name; a name that is left out stays, and is the key at first.
   *
   * @param key matches `TENANT_KEY`
   */
  put(
    key: string,
    change: { name?: string | undefined },
  ): Promise<{ tenant: Tenant; isNew: boolean }>
  /** @throws TenantNotFound */
  find(key: string): Promise<Tenant>
  /** Newest first, from below the id `before` on. */
  list(page: { limit: number; before: TenantId | null }): Promise<Tenant[]>
}

export function createTenants({ database }: { database: Kysely<Database> }): Tenants {
  return {
    async put(key, { name }) {
      const { is_new: isNew, ...tenant } = await database
        .insertInto('tenant')
        .values({ key, name: name ?? key })
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet((eb) => ({ name: name ?? eb.ref('tenant.name') })),
        )
        .returningAll()
        // A row that was inserted and not updated has no earlier version.
        .returning(sql<boolean>`xmax = 0`.as('is_new'))
        .$castTo<Tenant & { is_new: boolean }>()
        .executeTakeFirstOrThrow()
      return { tenant, isNew }
    },
    async find(key) {
      const tenant = TENANT_KEY.test(key)
        ? await database
            .selectFrom('tenant')
            .selectAll()
            .where('key', '=', key)
            .$castTo<Tenant>()
            .executeTakeFirst()
        : undefined
      if (!tenant) throw new TenantNotFound()
      return tenant
    },
    list: ({ limit, before }) =>
      database
        .selectFrom('tenant')
        .selectAll()
        .$if(before !== null, (query) => query.where('id', '<', before))
        .orderBy('id', 'desc')
        .limit(limit)
        .$castTo<Tenant>()
        .execute(),
  }
}
