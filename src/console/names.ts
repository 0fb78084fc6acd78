import { type Kysely, sql } from 'kysely'
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
  const find = (table: 'tenant' | 'endpoint', column: 'key' | 'url') =>
    remembering(async (id) => {
      const { rows } = await sql<{ name: string }>`
        select ${sql.ref(column)} as name from ${sql.table(`postrider.${table}`)} where id = ${id}`.execute(
        database,
      )
      return rows[0]?.name
    })
  return { tenantKey: find('tenant', 'key'), endpointUrl: find('endpoint', 'url') }
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
