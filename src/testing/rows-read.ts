import type { Pool } from 'pg'

/** Rows of tables of ours with names like this that a query reads, by whatever kind of scan. */
export async function rowsRead(
  pool: Pool,
  tables: RegExp,
  sql: string,
  values: unknown[] = [],
): Promise<number> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(sql, values)
    const { rows } = await client.query<{ read: number }>(
      `select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as read
       from pg_stat_xact_all_tables where schemaname = 'postrider' and relname ~ $1`,
      [tables.source],
    )
    return rows[0]?.read ?? Number.NaN
  } finally {
    await client.query('rollback')
    client.release()
  }
}
