import { type Kysely, sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../postgres/schema.ts'

/** Names of more than are ever on one screen. */
const REMEMBERED_MAX = 10_000

export interface NameCache {
  tenantKey(id: string): Promise<string>
  endpointUrl(id: string): Promise<string>
}

/** A URL that has changed is shown as it was for no longer. */
const URL_FRESH_MS = 5_000

/** What ids stand for, for a view that would otherwise ask for the same few again and again. Keys never change. */
export function createNameCache({
  database,
  now = Date.now,
}: {
  database: Kysely<Database>
  now?: () => number
}): NameCache {
  const find = (table: 'tenant' | 'endpoint', column: 'key' | 'url', freshMs: number) =>
    remembering({ freshMs, now }, async (id) => {
      const { rows } = await sql<{ name: string }>`
        select ${sql.ref(column)} as name from ${sql.table(`postrider.${table}`)} where id = ${id}`.execute(
        database,
      )
      return rows[0]?.name
    })
  return {
    tenantKey: find('tenant', 'key', 0),
    endpointUrl: find('endpoint', 'url', URL_FRESH_MS),
  }
}

/** @param freshMs 0 = for ever */
function remembering(
  { freshMs, now }: { freshMs: number; now: () => number },
  find: (id: string) => Promise<string | undefined>,
) {
  const known = new LRUCache<string, string>({
    max: REMEMBERED_MAX,
    ttl: freshMs,
    ttlResolution: 0,
    perf: { now },
  })
  return async (id: string): Promise<string> => {
    const remembered = known.get(id)
    if (remembered !== undefined) return remembered
    const name = await find(id)
    if (name !== undefined) known.set(id, name)
    return name ?? id
  }
}
