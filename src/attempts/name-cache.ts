import { type Kysely, sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../postgres/schema.ts'

/** Names of more than are ever on one screen. */
const REMEMBERED_MAX = 10_000

export interface EndpointNames {
  url: string
  description: string
}

export interface NameCache {
  tenantKey(id: string): Promise<string>
  /** An endpoint that nobody knows is shown by its id. */
  endpoint(id: string): Promise<EndpointNames>
}

/** What has changed is shown as it was for no longer. */
const FRESH_MS = 5_000

/** What ids stand for, for a view that would otherwise ask for the same few again and again. Keys never change. */
export function createNameCache(options: {
  database: Kysely<Database>
  now?: () => number
}): NameCache {
  const { database, now = Date.now } = options
  const tenantKey = remembering({ freshMs: 0, now }, async (id) => {
    const { rows } = await sql<{ key: string }>`
      select key from postrider.tenant where id = ${id}`.execute(database)
    return rows[0]?.key
  })
  const endpoint = remembering({ freshMs: FRESH_MS, now }, async (id) => {
    const { rows } = await sql<EndpointNames>`
      select url, description from postrider.endpoint where id = ${id}`.execute(database)
    return rows[0]
  })
  return {
    tenantKey: async (id) => (await tenantKey(id)) ?? id,
    endpoint: async (id) => (await endpoint(id)) ?? { url: id, description: '' },
  }
}

/** @param freshMs 0 = for ever */
function remembering<T extends NonNullable<unknown>>(
  { freshMs, now }: { freshMs: number; now: () => number },
  find: (id: string) => Promise<T | undefined>,
) {
  const known = new LRUCache<string, T>({
    max: REMEMBERED_MAX,
    ttl: freshMs,
    ttlResolution: 0,
    perf: { now },
  })
  return async (id: string): Promise<T | undefined> => {
    const remembered = known.get(id)
    if (remembered !== undefined) return remembered
    const found = await find(id)
    if (found !== undefined) known.set(id, found)
    return found
  }
}
