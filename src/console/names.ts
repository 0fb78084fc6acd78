import type { Kysely } from 'kysely'
import type { Database } from '../database/schema.ts'

/** Names of more than are ever on one screen; about 2 MB. */
const REMEMBERED_MAX = 10_000

export interface Names {
  tenantKey(id: string): Promise<string>
  endpointUrl(id: string): Promise<string>
}

/**
 * What ids stand for, for a view that would otherwise ask for the same few again and again. Keys never
 * change; a URL that has changed is shown as it was until the process ends or forgets it.
 */
export function createNames({ database }: { database: Kysely<Database> }): Names {
  return {
    tenantKey: remembering(async (id) => {
      const row = await database
        .selectFrom('tenant')
        .select('key')
        .where('id', '=', id)
        .executeTakeFirst()
      return row?.key
    }),
    endpointUrl: remembering(async (id) => {
      const row = await database
        .selectFrom('endpoint')
        .select('url')
        .where('id', '=', id)
        .executeTakeFirst()
      return row?.url
    }),
  }
}

function remembering(find: (id: string) => Promise<string | undefined>) {
  const known = new Map<string, string>()
  return async (id: string): Promise<string> => {
    const name = known.get(id) ?? (await find(id))
    if (name === undefined) return id
    if (known.size >= REMEMBERED_MAX) known.clear()
    known.set(id, name)
    return name
  }
}
