import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { RIGHTS } from './rights.ts'
import { areRolesInUse, grantStatements } from './roles.ts'
import type { Queryable, SchemaRecord } from './schema-record.ts'
import { unknownMigrations } from './schema-version.ts'
import { type FunctionFile, hashOf, type Migration, type SqlFiles } from './sql-files.ts'

/** Well below the second after which Postgres looks for deadlocks. */
const LOCK_MS_MAX = 300
/** As long again and more for those who waited. */
const LOCK_PAUSE_MS = 700
/** Five minutes: by then somebody's transaction is forgotten, and a person has to look. */
const LOCK_TRIES_MAX = 300
/** As publish_many() comes to them. */
const LOCKED_IN_ORDER =
  'tenant idempotency event endpoint_subscription endpoint circuit delivery'.split(' ')
/** Lock not available, deadlock. */
const LOCK_CONFLICTS = new Set(['55P03', '40P01'])

type Log = (message: string, fields?: object) => void

/** A file of sql/ that could not be applied; the database is as it was before this file. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed'
  readonly code = 'migration_failed'
  readonly file: string
  constructor(reason: string, { file, cause }: { file: string; cause?: unknown }) {
    super(`${file}: ${reason}`, { cause })
    this.file = file
  }
}

/** Migrations of this program that the database lacks, in order. */
export function pendingMigrations(record: SchemaRecord | null, files: SqlFiles): Migration[] {
  const applied = new Set(record?.migrations.map(({ name }) => name))
  return files.migrations.filter(({ name }) => !applied.has(name))
}

/**
 * Roles that a function file makes, said by `-- role: <name>` in its header, and that the server lacks: they are
 * no part of a dump, so a database that was restored on another server has its functions but not them.
 */
export async function missingRoles(client: Queryable, files: SqlFiles): Promise<string[]> {
  const needed = files.functions.flatMap(({ sql }) => /^-- role: (\w+)$/m.exec(sql)?.[1] ?? [])
  const { rows } = await client.query(
    'select role from unnest($1::text[]) as role where to_regrole(role) is null',
    [needed],
  )
  return rows.map(({ role }) => role)
}

/** Each in its own transaction, so that what went well stays. */
export async function applyMigrations(
  client: pg.Client,
  pending: readonly Migration[],
  log: Log,
): Promise<string[]> {
  for (const { name, sql, checksum, breaking } of pending) {
    await underLock(client, async () => {
      await applyFile(client, { name, sql })
      await client.query(
        'insert into postrider.migration (name, checksum, breaking) values ($1, $2, $3)',
        [name, checksum, breaking],
      )
    })
    log('migration.applied', { name, breaking })
  }
  return pending.map(({ name }) => name)
}

const RECORD_FUNCTION = 'insert into postrider.function_source (name, hash) values ($1, $2)'

/**
 * All functions or none, in one transaction: they call each other.
 *
 * Not on a database that is newer than this program, whose functions are newer too.
 */
export async function applyFunctions(
  client: pg.Client,
  record: SchemaRecord | null,
  files: SqlFiles,
  log: Log,
): Promise<string[]> {
  if (await areFunctionsCurrent(client, record, files)) return []
  const hashes = await functionHashes(client, files)
  await underLock(client, async () => {
    await client.query('delete from postrider.function_source')
    for (const file of files.functions) {
      await applyFile(client, file)
      await client.query(RECORD_FUNCTION, [file.name, hashes.get(file.name)])
    }
    await grantAgain(client)
  })
  log('functions.applied', { count: files.functions.length })
  return files.functions.map(({ name }) => name)
}

/**
 * Where `migrate --roles` was run once, what is new gets its grants by itself: processes of the release before
 * go on, and functions that had to be dropped lose none for a moment.
 */
export async function grantAgain(client: pg.Client): Promise<void> {
  if (!(await areRolesInUse(client))) return
  for (const statement of await grantStatements(client)) await client.query(statement)
}

/** Whether all functions are in force as this program has them, or as a newer one has. */
export async function areFunctionsCurrent(
  client: pg.Client,
  record: SchemaRecord | null,
  files: SqlFiles,
): Promise<boolean> {
  if (!record) return files.functions.length === 0
  if (unknownMigrations(record, files).length > 0) return true
  if ((await missingRoles(client, files)).length > 0) return false
  const hashes = await functionHashes(client, files)
  const isCurrent = record.functions.every(({ name, hash }) => hashes.get(name) === hash)
  return isCurrent && record.functions.length === hashes.size
}

async function functionHashes(client: pg.Client, files: SqlFiles): Promise<Map<string, string>> {
  // Whose functions are granted to whom is part of what is in force.
  const versions = [`${await serverMajor(client)}`, graphileWorkerVersion(), JSON.stringify(RIGHTS)]
  return new Map(files.functions.map(({ name, sql }) => [name, hashOf([sql, ...versions])]))
}

/** Its package exports nothing but the module, hence the way over the module's path. */
function graphileWorkerVersion(): string {
  const require = createRequire(import.meta.url)
  return require(require.resolve('graphile-worker').replace(/dist\/index\.js$/, 'package.json'))
    .version
}

async function applyFile(client: pg.Client, { name, sql }: FunctionFile): Promise<void> {
  try {
    await client.query(sql)
  } catch (error) {
    const { position, message } = error as pg.DatabaseError
    const line = position ? `line ${sql.slice(0, Number(position)).split('\n').length}: ` : ''
    throw new MigrationFailed(`${line}${message}`, { file: name, cause: error })
  }
}

/**
 * A transaction that gives up when it does not get a lock, and begins again: anyone who publishes waits behind it
 * meanwhile, and is never the one whom Postgres ends where both hold what the other one wants. From the second
 * try on it takes its locks in the order in which publishing does, otherwise it might never get past busy producers.
 */
async function underLock(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_MS_MAX}`)
  for (let tried = 1; ; tried++) {
    try {
      return await inTransaction(client, async () => {
        if (tried > 1) await lockLikePublishing(client)
        await work()
      })
    } catch (error) {
      if (!isLockConflict(error) || tried === LOCK_TRIES_MAX) throw error
    }
    await delay(LOCK_PAUSE_MS)
  }
}

async function lockLikePublishing(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ tables: string | null }>(
    `select string_agg('postrider.' || name, ', ' order by nth) as tables
     from unnest($1::text[]) with ordinality as t (name, nth)
     where to_regclass('postrider.' || name) is not null`,
    [LOCKED_IN_ORDER],
  )
  const tables = rows[0]?.tables
  if (tables) await client.query(`lock table ${tables} in access exclusive mode`)
}

function isLockConflict(error: unknown): boolean {
  const { code } = ((error instanceof MigrationFailed ? error.cause : error) ?? {}) as {
    code?: string
  }
  return code !== undefined && LOCK_CONFLICTS.has(code)
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined) // fails only with the connection
    throw error
  }
}

/** 18 for 18.4. */
export async function serverMajor(client: Queryable): Promise<number> {
  const { rows } = await client.query(
    `select current_setting('server_version_num')::int / 10000 as major`,
  )
  return rows[0].major
}
