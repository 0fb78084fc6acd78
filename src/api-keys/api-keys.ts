import { randomBytes, timingSafeEqual } from 'node:crypto'
import { type Kysely, type Selectable, sql } from 'kysely'
import { type Caller, hashApiKey } from '../access/caller.ts'
import { type Act, writeAct } from '../audit-log/audit-log.ts'
import type { ApiKeyId, TenantId } from '../ids.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { allOf, isBehind, type Order } from '../postgres/list-query.ts'
import type { ApiKeyTable, Database, Scope } from '../postgres/schema.ts'
import { createKeyCache } from './key-cache.ts'
import { createKeyUsage } from './key-usage.ts'

/** As strong as the SHA-256 that is stored; no key is ever guessed, so no slow hash is needed. */
const KEY_BYTES = 32

export type ApiKey = Omit<Selectable<ApiKeyTable>, 'hash'> & {
  id: ApiKeyId
  /** Key of the tenant that it is bound to. */
  tenant: string | null
}

interface NewApiKey {
  name: string
  scopes: Scope[]
  tenantId?: TenantId | null
  expiresAt?: Date | null | undefined
}

export class ApiKeyNotFound extends Error {
  override readonly name = 'ApiKeyNotFound'
  readonly code = 'api_key_not_found'
  constructor() {
    super('no API key has this id')
  }
}

export interface ApiKeys {
  /**
   * Stores the hash of a new key; the key itself is returned this once.
   *
   * @param who for the audit log
   */
  issue(values: NewApiKey, who?: string): Promise<{ key: string; apiKey: ApiKey }>
  /** Newest first unless the page says otherwise, from behind the id `before` on. */
  list(
    page: Order & {
      limit: number
      before: ApiKeyId | null
      /** Only those that are bound to the tenant with this key. */
      tenant?: string | undefined
    },
  ): Promise<ApiKey[]>
  /**
   * From now on it is refused here, and everywhere within five seconds. Again changes nothing.
   *
   * @throws ApiKeyNotFound
   */
  revoke(id: ApiKeyId, who: string): Promise<void>
  /** Who the key belongs to, or null when it is unknown, expired or revoked. */
  verify(key: string): Promise<Caller | null>
  /** The same by what `hashApiKey` makes of the key, for anyone who has seen the key before. */
  verifyHash(hash: Buffer): Promise<Caller | null>
  /** Whether the key is neither revoked nor expired at this moment: what lasts asks this now and then. */
  isLive(id: ApiKeyId): Promise<boolean>
  /** Resolves once no last use is being written down. */
  idle(): Promise<void>
}

export interface ApiKeysOptions {
  database: Kysely<Database>
  /** SHA-256 of the bootstrap admin key; null when there is none. */
  adminKeyHash: Buffer | null
  /** Milliseconds since 1970. */
  now?: () => number
}

export function createApiKeys({ database, adminKeyHash, now = Date.now }: ApiKeysOptions): ApiKeys {
  const cache = createKeyCache((hash) => findByHash(database, hash), now)
  const usage = createKeyUsage({ database, now })
  const verifyHash = async (hash: Buffer): Promise<Caller | null> => {
    if (adminKeyHash && timingSafeEqual(hash, adminKeyHash)) return ADMIN
    // Found by an index on the hash: how long that takes says nothing about a key that fits.
    const found = await cache.find(hash)
    if (!found || isOver(found.expiresAt, now())) return null
    usage.note(found.apiKeyId)
    return found
  }
  return {
    issue: (values, who = 'postrider') => issueKey(database, values, who),
    list: (page) => listKeys(database, page),
    async revoke(id, who) {
      const revoked = await revokeKey(database, id, who)
      if (!revoked) throw new ApiKeyNotFound()
      if ('hash' in revoked) cache.forget(revoked.hash)
    },
    verify: (key) => verifyHash(hashApiKey(key)),
    verifyHash,
    async isLive(id) {
      const end = await endOf(database, id)
      return end !== undefined && !isOver(end, now())
    },
    idle: usage.idle,
  }
}

async function issueKey(database: Kysely<Database>, values: NewApiKey, who: string) {
  const { name, scopes, tenantId = null, expiresAt = null } = values
  const key = `pr_${randomBytes(KEY_BYTES).toString('base64url')}`
  const row = { name, scopes, tenant_id: tenantId, expires_at: expiresAt, hash: hashApiKey(key) }
  const apiKey = await changeAsActor(database, async (transaction) => {
    const { id } = await transaction
      .insertInto('api_key')
      .values(row)
      .returning('id')
      .executeTakeFirstOrThrow()
    const target = { id, tenant_id: tenantId }
    await audit(transaction, who, 'create_api_key', target, { name, scopes, expiresAt })
    return select(transaction).where('api_key.id', '=', id).executeTakeFirstOrThrow()
  })
  return { key, apiKey }
}

function listKeys(
  database: Kysely<Database>,
  { limit, tenant, ...page }: Parameters<ApiKeys['list']>[0],
): Promise<ApiKey[]> {
  return select(database)
    .where(allOf([isBehind('api_key.id', page)]))
    .$if(tenant !== undefined, (query) => query.where('tenant.key', '=', tenant ?? ''))
    .orderBy('api_key.id', page.isOldestFirst ? 'asc' : 'desc')
    .limit(limit)
    .execute()
}

/** With its hash when it was not revoked before; undefined = there is none. */
function revokeKey(database: Kysely<Database>, id: ApiKeyId, who: string) {
  return changeAsActor(database, async (transaction) => {
    const row = await transaction
      .updateTable('api_key')
      .set({ revoked_at: sql`now()` })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returning(['id', 'tenant_id', 'hash'])
      .executeTakeFirst()
    if (row) await audit(transaction, who, 'revoke_api_key', row)
    return row ?? select(transaction).where('api_key.id', '=', id).executeTakeFirst()
  })
}

/** Null = it has none; undefined = it was revoked, or is unknown. */
async function endOf(database: Kysely<Database>, id: ApiKeyId): Promise<Date | null | undefined> {
  const row = await database
    .selectFrom('api_key')
    .select('expires_at')
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return row?.expires_at
}

const ADMIN: Caller = {
  apiKeyId: null,
  tenant: null,
  scopes: new Set<Scope>(['publish', 'read', 'reveal', 'manage', 'admin']),
}

type Found = Caller & { apiKeyId: ApiKeyId; expiresAt: Date | null }

const isOver = (end: Date | null, now: number): boolean => end !== null && end.getTime() <= now

/** Everything but the hash. */
const select = (database: Kysely<Database>) =>
  database
    .selectFrom('api_key')
    .leftJoin('tenant', 'tenant.id', 'api_key.tenant_id')
    .select([
      'api_key.id',
      'api_key.tenant_id',
      'api_key.name',
      'api_key.scopes',
      'api_key.expires_at',
      'api_key.last_used_at',
      'api_key.revoked_at',
      'api_key.created_at',
      'tenant.key as tenant',
    ])
    .$castTo<ApiKey>()

async function findByHash(database: Kysely<Database>, hash: Buffer): Promise<Found | null> {
  const row = await select(database)
    .where('api_key.hash', '=', hash)
    .where('api_key.revoked_at', 'is', null)
    .executeTakeFirst()
  if (!row) return null
  const { tenant_id: id, tenant: key } = row
  return {
    apiKeyId: row.id,
    tenant: id !== null && key !== null ? { id: id as TenantId, key } : null,
    scopes: new Set(row.scopes),
    expiresAt: row.expires_at,
  }
}

const audit = (
  on: Kysely<Database>,
  who: string,
  action: string,
  { id, tenant_id: tenantId }: { id: string; tenant_id: string | null },
  detail: Act['detail'] = {},
) => writeAct(on, { who, action, targetKind: 'api_key', targetId: id, tenantId, detail })
