import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { areFunctionsCurrent, pendingMigrations } from './apply-sql.ts'
import { assertServer, refuseChanged, withClient } from './migrate.ts'
import { type Queryable, readSchemaRecord } from './schema-record.ts'
import { readSqlFiles, SQL_FOLDER } from './sql-files.ts'

/** A file that `migrate` would apply. */
export interface PlannedFile {
  /** `migrations/…` and `functions/…` are ours, `graphile-worker/…` those of the queue. */
  file: string
  sql: string
  /** Whether programs of the release before must not run afterwards. */
  breaking: boolean
}

/** The files that `migrate` would apply now, with their text, in order. Changes nothing. */
export async function migrationPlan(
  connectionString: string,
  { sqlFolder = SQL_FOLDER }: { sqlFolder?: URL } = {},
): Promise<PlannedFile[]> {
  const files = await readSqlFiles(sqlFolder)
  return await withClient(connectionString, async (client) => {
    await assertServer(client)
    const record = await readSchemaRecord(client)
    if (record) refuseChanged(record, files)
    const functions = (await areFunctionsCurrent(client, record, files)) ? [] : files.functions
    return [
      ...(await planOfGraphileWorker(client)),
      ...pendingMigrations(record, files).map(({ name, sql, breaking }) => ({
        file: `migrations/${name}`,
        sql,
        breaking,
      })),
      ...functions.map(({ name, sql }) => ({ file: `functions/${name}`, sql, breaking: false })),
    ]
  })
}

/** Its migrations are in its package, and it applies them itself; it marks those that are breaking. */
async function planOfGraphileWorker(client: Queryable): Promise<PlannedFile[]> {
  const applied = await appliedByGraphileWorker(client)
  const folder = new URL('../sql/', graphileWorkerModule())
  if (!existsSync(folder))
    throw new Error('graphile-worker has no migrations where they are looked for')
  const names = (await readdir(folder)).filter((name) => /^\d{6}\.sql$/.test(name)).sort()
  const pending = names.filter((name) => !applied.has(Number(name.slice(0, 6))))
  return await Promise.all(
    pending.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8')
      return {
        file: `graphile-worker/${name}`,
        sql: text.replaceAll(':GRAPHILE_WORKER_SCHEMA', 'graphile_worker'),
        breaking: text.startsWith('--! breaking'),
      }
    }),
  )
}

function graphileWorkerModule(): URL {
  return pathToFileURL(createRequire(import.meta.url).resolve('graphile-worker'))
}

async function appliedByGraphileWorker(client: Queryable): Promise<Set<number>> {
  const { rows } = await client.query<{ exists: boolean }>(
    `select to_regclass('graphile_worker.migrations') is not null as exists`,
  )
  if (!rows[0]?.exists) return new Set()
  const applied = await client.query<{ id: number }>('select id from graphile_worker.migrations')
  return new Set(applied.rows.map(({ id }) => id))
}
