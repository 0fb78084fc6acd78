import { setTimeout as delay } from 'node:timers/promises'
import { Logger, runMigrations } from 'graphile-worker'
import pg from 'pg'
import { beginDuty, endDuty, prepareDuties } from '../duty.ts'
import { createPool } from '../pool.ts'
import { setUpSession } from '../session-settings.ts'
import {
  applyFunctions,
  applyMigrations,
  grantAgain,
  MigrationFailed,
  missingRoles,
  pendingMigrations,
  serverMajor,
} from './apply-sql.ts'
import { ensureRoles } from './roles.ts'
import {
  createSchemaRecord,
  type Queryable,
  readSchemaRecord,
  type SchemaRecord,
} from './schema-record.ts'
import {
  refuseTooNew,
  SchemaMissing,
  SchemaOutdated,
  SchemaTooNew,
  unknownMigrations,
} from './schema-version.ts'
import { readSqlFiles, SQL_FOLDER, type SqlFiles } from './sql-files.ts'

const POSTGRES_MAJOR_MIN = 15
/** Several replicas start at once; a large table may keep the first of them busy for this long. */
const DUTY_WAIT_MS_MAX = 15 * 60_000
const DUTY_POLL_MS = 100
/** What graphile-worker sets as exit code when it meets a newer schema that breaks it. */
const GRAPHILE_EXIT_CODE_TOO_NEW = 57

const REWRITTEN = 'was changed after it was applied; undo that, and write a new migration'

export type MigrateOptions = {
  log?: (message: string, fields?: object) => void
  /** Name that the database gets where it has none. */
  environment?: string | undefined
  /** Default: the one of this program. */
  sqlFolder?: URL
}

/**
 * Brings a database to the state that this program needs; does nothing when it is there already.
 *
 * graphile-worker's schema, then our migrations, each in its own transaction, then our
 * functions if their text (or Postgres, or graphile-worker) changed, then partitions, then which database this is. Many may call
 * it at once: one works, the others wait. Takes a direct connection: a pooler would hand statements of one
 * session to several.
 *
 * @throws SchemaTooNew, MigrationFailed
 */
export async function migrate(
  connectionString: string,
  { log = () => undefined, sqlFolder = SQL_FOLDER, environment }: MigrateOptions = {},
): Promise<{ applied: string[] }> {
  const files = await readSqlFiles(sqlFolder)
  return await whileMigrating(connectionString, async (client) => {
    const record = await readSchemaRecord(client)
    if (record) refuseChanged(record, files)
    await migrateGraphileWorker(connectionString)
    if (!record) await createSchemaRecord(client)
    const migrations = await applyMigrations(client, pendingMigrations(record, files), log)
    const functions = await applyFunctions(client, record, files, log)
    if (migrations.length > 0) await grantAgain(client)
    await callIfThere(client, 'create_partitions')
    await callIfThere(client, 'note_timeline')
    await callIfThere(client, 'name_database', environment ?? null)
    return { applied: [...migrations, ...functions] }
  })
}

/**
 * Creates the group roles of the processes and people, or brings their grants up to date, on a database that
 * was migrated by this program.
 *
 * @throws RolesIncomplete with what an administrator has to run; SchemaMissing, SchemaOutdated, SchemaTooNew
 */
export async function grantRoles(connectionString: string): Promise<{ optional: string[] }> {
  await withClient(connectionString, assertSchema)
  return await whileMigrating(connectionString, async (client) => {
    await assertSchema(client)
    return await ensureRoles(client)
  })
}

/**
 * Makes sure that this program and the database fit, as every process does when it starts.
 *
 * A function whose text differs is no error: a newer release may have replaced it while this one
 * still runs, which is how a release without downtime goes.
 *
 * @throws SchemaMissing, SchemaOutdated or SchemaTooNew, each saying what to do
 */
export async function assertSchema(
  pool: Queryable,
  { sqlFolder = SQL_FOLDER } = {},
): Promise<void> {
  const files = await readSqlFiles(sqlFolder)
  const record = await readSchemaRecord(pool)
  if (!record) throw new SchemaMissing()
  refuseTooNew(record, files)
  // A newer program may have given its function files other names.
  const isNewer = unknownMigrations(record, files).length > 0
  const needed = [...files.migrations, ...(isNewer ? [] : files.functions)].map(({ name }) => name)
  const applied = new Set([...record.migrations, ...record.functions].map(({ name }) => name))
  const missing = needed.filter((name) => !applied.has(name))
  for (const role of await missingRoles(pool, files)) missing.push(`role ${role}`)
  if (missing.length > 0) throw new SchemaOutdated(missing)
}

/** Runs `use` on a new connection. */
export async function withClient<T>(
  connectionString: string,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString,
    application_name: 'postrider migrate',
    keepAlive: true,
  })
  client.on('error', () => undefined) // the query that is running fails as well, and is reported
  await client.connect()
  try {
    // Among them: large tables take their time, whatever limit the role has, and every name in sql/ says its schema.
    await setUpSession(client)
    return await use(client)
  } finally {
    await client.end()
  }
}

/** The server, or the database on it, can never do. */
class ServerUnsuitable extends Error {
  override readonly name = 'ServerUnsuitable'
  readonly code = 'server_unsuitable'
}

/** The server follows another one, and stores nothing itself. */
class ServerIsStandby extends Error {
  override readonly name = 'ServerIsStandby'
  readonly code = 'server_is_standby'
  constructor(secondsBehind: number | null) {
    const behind = secondsBehind === null ? '' : `, ${secondsBehind} s behind its primary`
    super(
      `this server is a standby${behind}; give the primary, or several hosts: postgres://user@a:5432,b:5432/name?target_session_attrs=read-write`,
    )
  }
}

/** A standby that has applied all it got says nothing about when that was written. */
const BEHIND = `
  select pg_is_in_recovery() as is_standby,
    case when pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
      then round(extract(epoch from now() - pg_last_xact_replay_timestamp()))::int
    end as behind`

/** @throws ServerIsStandby; ServerUnsuitable when it is too old, or cannot store every character */
export async function assertServer(client: Queryable): Promise<void> {
  const { rows: states } = await client.query(BEHIND)
  if (states[0].is_standby) throw new ServerIsStandby(states[0].behind)
  const major = await serverMajor(client)
  if (major < POSTGRES_MAJOR_MIN) {
    throw new ServerUnsuitable(
      `Postgres ${POSTGRES_MAJOR_MIN} or newer is needed; this server is Postgres ${major}`,
    )
  }
  const { rows } = await client.query(
    `select current_database() as database, current_setting('server_encoding') as encoding`,
  )
  const { database, encoding } = rows[0]
  if (encoding === 'UTF8') return
  throw new ServerUnsuitable(
    `database ${database} has the encoding ${encoding}, in which not every event can be stored; make one with: create database … encoding 'UTF8' template template0`,
  )
}

/** Runs `work` while no other process migrates this database; the duty is held on a second connection. */
async function whileMigrating<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  return await withClient(connectionString, async (duty) => {
    await assertServer(duty)
    await prepareDuties(duty)
    await waitForDuty(duty)
    const result = await withClient(connectionString, work)
    await endDuty(duty)
    return result
  })
}

/**
 * Asks again and again: a statement that waits inside Postgres holds a snapshot, for which
 * `create index concurrently` of the process at work would wait in turn.
 */
async function waitForDuty(client: pg.Client): Promise<void> {
  const deadline = Date.now() + DUTY_WAIT_MS_MAX
  while (!(await beginDuty(client, 'migrate'))) {
    if (Date.now() > deadline)
      throw new Error('another `postrider migrate` does not come to an end')
    await delay(DUTY_POLL_MS)
  }
}

/** Refuses what would go wrong later: a newer database, and history that was rewritten. */
export function refuseChanged(record: SchemaRecord, files: SqlFiles): void {
  refuseTooNew(record, files)
  const checksums = new Map(record.migrations.map(({ name, checksum }) => [name, checksum]))
  for (const { name, checksum } of files.migrations) {
    if ((checksums.get(name) ?? checksum) === checksum) continue
    throw new MigrationFailed(REWRITTEN, { file: name })
  }
}

async function migrateGraphileWorker(connectionString: string): Promise<void> {
  const exitCode = process.exitCode
  const pgPool = createPool({ connectionString, max: 1, applicationName: 'postrider migrate' })
  try {
    const logger = new Logger(() => () => undefined)
    await runMigrations({ pgPool, logger })
  } catch (error) {
    if (process.exitCode !== GRAPHILE_EXIT_CODE_TOO_NEW) throw error
    process.exitCode = exitCode
    throw new SchemaTooNew(['graphile_worker'], { cause: error })
  } finally {
    await pgPool.end()
  }
}

async function callIfThere(client: pg.Client, name: string, ...values: unknown[]): Promise<void> {
  const { rowCount } = await client.query(
    `select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'postrider' and p.proname = $1`,
    [name],
  )
  const places = values.map((_, index) => `$${index + 1}`)
  if (rowCount) await client.query(`select postrider.${name}(${places})`, values)
}
