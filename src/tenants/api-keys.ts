import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Kysely, Selectable } from 'kysely'
import type { ApiKeyTable, Database, Scope } from '../database/schema.ts'
import type { ApiKeyId, TenantId } from '../ids.ts'

/** As strong as the SHA-256 that is stored; no key is ever guessed, so no slow hash is needed. */
const KEY_BYTES = 32
/** How long a revoked key may go on working in a process that has just seen it. */
const CACHED_MS_MAX = 5_000
/** More keys than one process sees in five seconds; about 2 MB. */
const CACHED_KEYS_MAX = 10_000

export type ApiKey = Selectable<ApiKeyTable> & { id: ApiKeyId }

/** Whoever made a request: what a valid key entitles to. */
export interface Caller {
  /** Null for the bootstrap admin key, which has no row. */
  apiKeyId: ApiKeyId | null
  /** The one tenant that it may touch; null = every tenant. */
  tenant: { id: TenantId; key: string } | null
  scopes: ReadonlySet<Scope>
}

export interface NewApiKey {
  name: string
  scopes: Scope[]
  tenantId?: TenantId | null
  expiresAt?: Date | null
}

export interface ApiKeys {
  /** Stores the hash of a new key; the key itself is returned this once. */
  issue(values: NewApiKey): Promise<{ key: string; apiKey: ApiKey }>
  /** Who the key belongs to, or null when it is unknown, expired or revoked. */
  verify(key: string): Promise<Caller | null>
}

export interface ApiKeysOptions {
  database: Kysely<Database>
  /** SHA-256 of the bootstrap admin key; null when there is none. */
  adminKeyHash: Buffer | null
  /** Milliseconds since 1970. */
  now?: () => number
}

/** What is stored of a key, and what it is found by. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

export function createApiKeys({ database, adminKeyHash, now = Date.now }: ApiKeysOptions): ApiKeys {
  const lookUp = cachedLookup((hash) => findByHash(database, hash), now)
  return {
    async issue({ name, scopes, tenantId = null, expiresAt = null }) {
      const key = `pr_${randomBytes(KEY_BYTES).toString('base64url')}`
      const apiKey = await database
        .insertInto('api_key')
        .values({ name, scopes, tenant_id: tenantId, expires_at: expiresAt, hash: hashApiKey(key) })
        .returningAll()
        .$castTo<ApiKey>()
        .executeTakeFirstOrThrow()
      return { key, apiKey }
    },
    async verify(key) {
      const hash = hashApiKey(key)
      if (adminKeyHash && timingSafeEqual(hash, adminKeyHash)) return ADMIN
      // Found by an index on the hash: how long that takes says nothing about a key that fits.
      const found = await lookUp(hash)
      return found && !isOver(found.expiresAt, now()) ? found : null
    },
  }
}

const ADMIN: Caller = {
  apiKeyId: null,
  tenant: null,
  scopes: new Set<Scope>(['publish', 'read', 'manage', 'admin']),
}

type Found = Caller & { expiresAt: Date | null }

const isOver = (end: Date | null, now: number): boolean => end !== null && end.getTime() <= now

async function findByHash(database: Kysely<Database>, hash: Buffer): Promise<Found | null> {
  const row = await database
    .selectFrom('api_key')
    .leftJoin('tenant', 'tenant.id', 'api_key.tenant_id')
    .select([
      'api_key.id',
      'api_key.scopes',
      'api_key.expires_at',
      'tenant.id as tenant_id',
      'tenant.key',
    ])
    .where('api_key.hash', '=', hash)
    .where('api_key.revoked_at', 'is', null)
    .executeTakeFirst()
  if (!row) return null
  const { tenant_id: id, key } = row
  return {
    apiKeyId: row.id as ApiKeyId,
    tenant: id !== null && key !== null ? { id: id as TenantId, key } : null,
    scopes: new Set(row.scopes),
    expiresAt: row.expires_at,
  }
}

/**
 * Remembers keys that were found for five seconds, and lets requests that ask for the same key at
 * the same time share one query. Those not found are forgotten at once, so that a flood of invented
 * keys cannot push out good ones.
 */
function cachedLookup(find: (hash: Buffer) => Promise<Found | null>, now: () => number) {
  const cache = new Map<string, { found: Promise<Found | null>; until: number }>()

  return async (hash: Buffer): Promise<Found | null> => {
    const name = hash.toString('base64')
    const cached = cache.get(name)
    if (cached && cached.until > now()) return cached.found

    // From the start of the query: what it reads may be revoked before its answer arrives.
    const entry = { found: find(hash), until: now() + CACHED_MS_MAX }
    cache.delete(name)
    cache.set(name, entry)
    forgetOldest(cache)
    const forget = () => void (cache.get(name) === entry && cache.delete(name))
    entry.found.then((found) => found ?? forget(), forget)
    return entry.found
  }
}

function forgetOldest(cache: Map<string, unknown>): void {
  if (cache.size <= CACHED_KEYS_MAX) return
  const [oldest] = cache.keys()
  if (oldest !== undefined) cache.delete(oldest)
}
