import type { Socket } from 'node:net'
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

/** Calls of functions of ours with names like this that a query makes, other than those that are planned as part of it. */
export async function functionCalls(pool: Pool, functions: RegExp, sql: string): Promise<number> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(`set local track_functions = 'all'`)
    await client.query(sql)
    const { rows } = await client.query<{ calls: number }>(
      `select coalesce(sum(calls), 0)::int as calls
       from pg_stat_xact_user_functions where schemaname = 'postrider' and funcname ~ $1`,
      [functions.source],
    )
    return rows[0]?.calls ?? Number.NaN
  } finally {
    await client.query('rollback')
    client.release()
  }
}

/**
 * How many bytes Postgres has sent to this pool so far: what was loaded, whatever became of it. To be called
 * before the pool is used.
 */
export function countBytesLoaded(pool: Pool): () => number {
  const streams: Socket[] = []
  pool.on('connect', (client) => {
    streams.push((client as unknown as { connection: { stream: Socket } }).connection.stream)
  })
  return () => streams.reduce((bytes, stream) => bytes + stream.bytesRead, 0)
}
