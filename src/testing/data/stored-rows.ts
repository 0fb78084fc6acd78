import type { Pool } from 'pg'

const DAY_MS = 86_400_000

interface Table {
  name: string
  /** Of days, by its UUIDv7 id. */
  isPartitioned: boolean
}

/**
 * A digest of each table of ours, and of those with the jobs, that changes when a row comes, goes or is changed.
 * Of API keys only their number: when one was used last may be written by any request.
 */
export function createStoredRows(pool: Pool): () => Promise<string[]> {
  const text = tablesOf(pool).then((tables) => tables.map(digestOf).join(' union all '))
  return async () => {
    const { rows } = await pool.query<{ digest: string }>({ name: 'stored_rows', text: await text })
    return rows.map(({ digest }) => digest)
  }
}

async function tablesOf(pool: Pool): Promise<Table[]> {
  const { rows } = await pool.query<Table>(`
    select format('%I.%I', n.nspname, c.relname) as name, c.relkind = 'p' as "isPartitioned"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('postrider', 'graphile_worker') and c.relkind in ('r', 'p')
      and not c.relispartition`)
  return rows
}

/** A changed row is a new version, made by another transaction. */
function digestOf({ name, isPartitioned }: Table): string {
  const versions = name === 'postrider.api_key' ? '0' : 'coalesce(sum(t.xmin::text::bigint), 0)'
  const condition = isPartitioned
    ? `where t.id between '${idAt(-DAY_MS)}' and '${idAt(DAY_MS)}'`
    : ''
  return `select '${name} ' || count(*) || ' ' || ${versions} as digest from ${name} as t ${condition}`
}

/** The least UUIDv7 of a moment, so that only the partitions around today are looked at. */
function idAt(msFromNow: number): string {
  const ms = (Date.now() + msFromNow).toString(16).padStart(12, '0')
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`
}
