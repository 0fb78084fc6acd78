import { type Kysely, type SqlBool, sql, type Transaction } from 'kysely'
import type { TenantId } from '../ids.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { allOf, isBehind } from '../postgres/list-query.ts'
import type { Database } from '../postgres/schema.ts'
import { RESERVED_PREFIX, TENANT_KEY, type Tenant } from '../tenants/tenants.ts'
import { SvixError, svixNotFound } from './svix-error.ts'
import { svixId, uuidOf } from './svix-id.ts'
import type { SvixRange } from './svix-page.ts'

/** What is left out stays. */
interface SvixApplicationChange {
  name?: string | undefined
  uid?: string | null | undefined
  metadata?: Record<string, string> | undefined
}

/** Tenants as Svix calls them, found by what its SDKs name them with. Those of the service itself are none. */
export interface SvixApplications {
  /**
   * By its id, its uid or the id that Svix gave it, or by its key where it has no uid, as SQL publishes for it; null =
   * there is none, or it is being deleted.
   */
  find(named: string): Promise<Tenant | null>
  list(range: SvixRange<TenantId>): Promise<Tenant[]>
  /**
   * Its key is the uid where that is free, and can be one, so that SQL publishes for it by that name; its id otherwise.
   *
   * @throws SvixError conflict: another one has the uid, or has it as its key and no uid
   */
  create(values: SvixApplicationChange & { name: string }): Promise<Tenant>
  /**
   * The application with the uid, or the tenant that has it as its key and no uid, which it is given; null = there is
   * neither.
   */
  take(uid: string): Promise<Tenant | null>
  /** @throws SvixError conflict, not_found */
  change(id: TenantId, change: SvixApplicationChange): Promise<Tenant>
}

export function createSvixApplications({
  database,
}: {
  database: Kysely<Database>
}): SvixApplications {
  return {
    find: (named) => find(database, named),
    list: ({ limit, ...range }) =>
      applications(database)
        .where(allOf([isBehind('id', range)]))
        .orderBy('id', range.isOldestFirst ? 'asc' : 'desc')
        .limit(limit)
        .execute(),
    create: (values) => changed(database, (transaction) => create(transaction, values)),
    take: (uid) => changed(database, (transaction) => take(transaction, uid)),
    change: (id, values) => changed(database, (transaction) => change(transaction, id, values)),
  }
}

const applications = (database: Kysely<Database>) =>
  database
    .selectFrom('tenant')
    .selectAll()
    .where('deletion_started_at', 'is', null)
    .where(sql<SqlBool>`not starts_with(key, ${RESERVED_PREFIX})`)
    .$castTo<Tenant>()

async function find(database: Kysely<Database>, named: string): Promise<Tenant | null> {
  const id = uuidOf('app', named)
  const isNamed =
    id === null
      ? sql<SqlBool>`(uid = ${named} or svix_id = ${named} or (key = ${named} and uid is null))`
      : sql<SqlBool>`id = ${id}`
  const row = await applications(database)
    .where(isNamed)
    // What is the id of one and the uid of another names the one with the id, and its key names a tenant last.
    .orderBy(sql`svix_id is not distinct from ${named}`, 'desc')
    .orderBy(sql`uid is not distinct from ${named}`, 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ?? null
}

async function create(
  transaction: Transaction<Database>,
  { name, uid = null, metadata = {} }: SvixApplicationChange & { name: string },
): Promise<Tenant> {
  await refuseKey(transaction, uid)
  const made = await sql<{ id: string }>`select postrider.uuidv7() as id`.execute(transaction)
  const { id } = made.rows[0] as { id: TenantId }
  const insert = (key: string) =>
    transaction
      .insertInto('tenant')
      .values({ id, key, name, uid, metadata: JSON.stringify(metadata) })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .returningAll()
      .$castTo<Tenant>()
  const named = uid !== null && TENANT_KEY.test(uid) ? await insert(uid).executeTakeFirst() : null
  return named ?? (await insert(svixId('app', id)).executeTakeFirstOrThrow())
}

/** One name may not lead to one tenant from SQL and to another one from an SDK. */
async function refuseKey(
  transaction: Transaction<Database>,
  uid: string | null | undefined,
  own: TenantId | null = null,
): Promise<void> {
  if (uid == null) return
  const named = await applications(transaction)
    .where('key', '=', uid)
    .where('uid', 'is', null)
    .where(sql<SqlBool>`id is distinct from ${own}::uuid`)
    .executeTakeFirst()
  if (named) throw uidTaken()
}

async function take(transaction: Transaction<Database>, uid: string): Promise<Tenant | null> {
  const found = await applications(transaction).where('uid', '=', uid).executeTakeFirst()
  if (found) return found
  const taken = await transaction
    .updateTable('tenant')
    .set({ uid, updated_at: sql<Date>`now()` })
    .where('key', '=', uid)
    .where('uid', 'is', null)
    .where('deletion_started_at', 'is', null)
    .returningAll()
    .$castTo<Tenant>()
    .executeTakeFirst()
  return taken ?? null
}

async function change(
  transaction: Transaction<Database>,
  id: TenantId,
  { metadata, ...values }: SvixApplicationChange,
): Promise<Tenant> {
  await refuseKey(transaction, values.uid, id)
  const row = await transaction
    .updateTable('tenant')
    .set({
      ...(values.name !== undefined && { name: values.name }),
      ...(values.uid !== undefined && { uid: values.uid }),
      ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
      updated_at: sql<Date>`now()`,
    })
    .where('id', '=', id)
    .where('deletion_started_at', 'is', null)
    .returningAll()
    .$castTo<Tenant>()
    .executeTakeFirst()
  if (!row) throw svixNotFound()
  return row
}

async function changed<T>(
  database: Kysely<Database>,
  work: (transaction: Transaction<Database>) => Promise<T>,
): Promise<T> {
  try {
    return await changeAsActor(database, work)
  } catch (error) {
    throw (error as { constraint?: unknown }).constraint === 'tenant_uid' ? uidTaken(error) : error
  }
}

const uidTaken = (cause?: unknown): SvixError =>
  new SvixError(409, 'conflict', 'An application with that id or uid already exists', { cause })
