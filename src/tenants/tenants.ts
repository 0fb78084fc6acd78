import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { TenantId } from '../ids.ts'
import { TenantNotFound } from '../not-found.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { containsText } from '../postgres/contains-text.ts'
import { allOf, isBehind, type Order } from '../postgres/list-query.ts'
import { runList } from '../postgres/run-list.ts'
import type { Database, TenantTable } from '../postgres/schema.ts'

export type Tenant = Selectable<TenantTable> & { id: TenantId }

/** Rows that are left of a tenant that is being deleted, each counted up to 10,000. */
export interface Remaining {
  events: number
  deliveries: number
}

/** The constraint of `tenant.key`; also keeps a key usable as one part of a path. */
export const TENANT_KEY = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
/** Those of the service itself, such as the one that operational events belong to. */
export const RESERVED_PREFIX = 'postrider:'
/** So much is counted in some milliseconds, and nobody waits for the exact number. */
const REMAINING_COUNTED_MAX = 10_000

class TenantReserved extends Error {
  override readonly name = 'TenantReserved'
  readonly code = 'tenant_reserved'
  constructor() {
    super(`keys that begin with ${RESERVED_PREFIX} are for the service itself`)
  }
}

export class TenantDeleting extends Error {
  override readonly name = 'TenantDeleting'
  readonly code = 'tenant_deleting'
  constructor() {
    super('the tenant is being deleted; afterwards, its key can be used for a new one')
  }
}

export interface Tenants {
  /**
   * Makes the tenant or changes its name; a name that is left out stays, and is the key at first.
   *
   * @param key matches `TENANT_KEY`
   * @throws TenantReserved, TenantDeleting
   */
  put(key: string, change: TenantChange): Promise<{ tenant: Tenant; isNew: boolean }>
  /** @throws TenantNotFound, TenantReserved, TenantDeleting */
  change(key: string, change: TenantChange): Promise<Tenant>
  /** One that is being deleted counts as gone. @throws TenantNotFound */
  find(key: string): Promise<Tenant>
  /** Also one that is being deleted. @throws TenantNotFound */
  get(key: string): Promise<Tenant>
  /** With what is left of one that is being deleted. @throws TenantNotFound */
  show(key: string): Promise<{ tenant: Tenant; remaining: Remaining | null }>
  /**
   * Newest first unless the page says otherwise, from behind `before` on: an id, or a key where it is ordered by key.
   *
   * @throws SearchTooSlow
   */
  list(
    page: Order & {
      limit: number
      before: string | null
      /** By id, the order of time, where it is left out. */
      by?: 'key' | undefined
      /** Those of the service itself as well. */
      withReserved?: boolean
      /** Part of the key, the name or the uid. */
      search?: string | undefined
    },
  ): Promise<Tenant[]>
  /** Of those of the service itself. */
  reservedIds(): Promise<TenantId[]>
}

interface TenantChange {
  name?: string | undefined
}

export const isReserved = (key: string): boolean => key.startsWith(RESERVED_PREFIX)

/** @throws TenantReserved */
export function refuseReserved(key: string): void {
  if (isReserved(key)) throw new TenantReserved()
}

export function createTenants({ database }: { database: Kysely<Database> }): Tenants {
  return {
    get: (key) => get(database, key),
    put: (key, change) => put(database, key, change),
    change: (key, change) => rename(database, key, change),
    async find(key) {
      const tenant = await get(database, key)
      if (tenant.deletion_started_at) throw new TenantNotFound()
      return tenant
    },
    async show(key) {
      const tenant = await get(database, key)
      const remaining = tenant.deletion_started_at ? await countRows(database, tenant.id) : null
      return { tenant, remaining }
    },
    list: (page) => list(database, page),
    reservedIds: async () =>
      (await select(database).where(IS_RESERVED).execute()).map(({ id }) => id),
  }
}

async function get(database: Kysely<Database>, key: string): Promise<Tenant> {
  const tenant = TENANT_KEY.test(key)
    ? await select(database).where('key', '=', key).executeTakeFirst()
    : undefined
  if (!tenant) throw new TenantNotFound()
  return tenant
}

async function put(database: Kysely<Database>, key: string, { name }: TenantChange) {
  refuseReserved(key)
  const row = await changeAsActor(database, (transaction) =>
    transaction
      .insertInto('tenant')
      .values({ key, name: name ?? key })
      .onConflict((conflict) =>
        conflict
          .column('key')
          .doUpdateSet((eb) => ({ name: name ?? eb.ref('tenant.name'), updated_at: sql`now()` }))
          .where('tenant.deletion_started_at', 'is', null),
      )
      .returningAll()
      // A row that was inserted and not updated has no earlier version.
      .returning(sql<boolean>`xmax = 0`.as('is_new'))
      .$castTo<Tenant & { is_new: boolean }>()
      .executeTakeFirst(),
  )
  if (!row) throw new TenantDeleting()
  const { is_new: isNew, ...tenant } = row
  return { tenant, isNew }
}

async function rename(database: Kysely<Database>, key: string, { name }: TenantChange) {
  refuseReserved(key)
  const { id, deletion_started_at: deletionStartedAt } = await get(database, key)
  if (deletionStartedAt) throw new TenantDeleting()
  const tenant = await changeAsActor(database, (transaction) =>
    transaction
      .updateTable('tenant')
      .set((eb) => ({ name: name ?? eb.ref('name'), updated_at: sql`now()` }))
      .where('id', '=', id)
      .returningAll()
      .$castTo<Tenant>()
      .executeTakeFirst(),
  )
  if (!tenant) throw new TenantNotFound()
  return tenant
}

const IS_RESERVED = sql<SqlBool>`starts_with(key, ${RESERVED_PREFIX})`

type ListedPage = Omit<Parameters<Tenants['list']>[0], 'by'> & { by?: 'id' | 'key' | undefined }

function list(
  database: Kysely<Database>,
  { limit, by = 'id', withReserved = false, search, ...page }: ListedPage,
): Promise<Tenant[]> {
  const isAsked = allOf([isBehind(by, page), search ? isCalled(search) : undefined])
  return runList(database, { isIndexed: !search }, (on) =>
    select(on)
      .where(isAsked)
      .$if(!withReserved, (query) => query.where(sql<SqlBool>`not ${IS_RESERVED}`))
      .orderBy(by, page.isOldestFirst ? 'asc' : 'desc')
      .limit(limit)
      .execute(),
  )
}

const isCalled = (text: string) =>
  sql<SqlBool>`(${sql.join(
    ['key', 'name', 'uid'].map((column) => containsText(sql.ref(column), [text])),
    sql` or `,
  )})`

const select = (database: Kysely<Database>) =>
  database.selectFrom('tenant').selectAll().$castTo<Tenant>()

async function countRows(database: Kysely<Database>, id: TenantId): Promise<Remaining> {
  const count = (table: string) =>
    sql`(select count(*)::int from (
      select from ${sql.table(`postrider.${table}`)} where tenant_id = ${id} limit ${REMAINING_COUNTED_MAX}
    ) as counted)`
  const { rows } = await sql<Remaining>`
    select ${count('event')} as events, ${count('delivery')} as deliveries`.execute(database)
  return rows[0] ?? { events: 0, deliveries: 0 }
}
