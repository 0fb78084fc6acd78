import type { Pool } from 'pg'
import { assertSchema, assertServer } from '../postgres/migrate/migrate.ts'
import { createPool } from '../postgres/pool.ts'

interface WorkOnDatabase {
  databaseUrl: string
  /** What Postgres shows its session as: `postrider` and the command. */
  applicationName: string
  /** Left out, a statement may take any time. */
  statementTimeoutMs?: number
}

/** Runs an operator's command in SQL on a separate connection, if the schema is that of this program. */
export async function onDatabase<T>(
  { databaseUrl, ...options }: WorkOnDatabase,
  work: (pool: Pool) => Promise<T>,
): Promise<T> {
  const pool = createPool({ connectionString: databaseUrl, max: 1, ...options })
  try {
    await assertServer(pool)
    await assertSchema(pool)
    return await work(pool)
  } finally {
    await pool.end()
  }
}
