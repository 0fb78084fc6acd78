import pg from 'pg'
import { migrate } from '../../postgres/migrate/migrate.ts'
import { hashOf, readSqlFiles } from '../../postgres/migrate/sql-files.ts'
import { isAlive } from '../../postgres/process-lock.ts'

/** A run with other sql/ files may still use the one before. */
const TEMPLATES_KEPT = 3
/** Of failed tests, to look into; more would only fill the disk. */
const DATABASES_KEPT = 10

/**
 * Makes the migrated database that test databases are copies of, once for each state of sql/.
 *
 * It gets its name when it is complete, and takes no connections then: a database that somebody is
 * connected to cannot be copied.
 */
export async function ensureTemplate(url: string): Promise<string> {
  const template = `template_${await hashOfSql()}`
  await withAdmin(url, async (admin) => {
    const { rowCount } = await admin.query('select from pg_database where datname = $1', [template])
    if (rowCount) return
    await admin.query(`drop database if exists ${template}_unfinished with (force)`)
    await admin.query(`create database ${template}_unfinished`)
    await migrate(urlOf(url, `${template}_unfinished`))
    await withAdmin(urlOf(url, `${template}_unfinished`), (made) =>
      // Its copies are no copies of anything that sends.
      made.query('update postrider.service set identity = null'),
    )
    await admin.query(`alter database ${template}_unfinished rename to ${template}`)
    await admin.query(`alter database ${template} with is_template true allow_connections false`)
  })
  return template
}

/** Tells states of sql/ apart. */
export async function hashOfSql(): Promise<string> {
  const { migrations, functions } = await readSqlFiles()
  return hashOf([...migrations, ...functions].flatMap(({ name, sql }) => [name, sql])).slice(0, 12)
}

/** Drops all but the newest templates and the newest databases of failed tests. */
export async function dropLeftovers(url: string): Promise<void> {
  await withAdmin(url, async (admin) => {
    for (const name of (await namesLike(admin, 'template\\_%')).slice(TEMPLATES_KEPT)) {
      await admin.query(`alter database ${name} with is_template false`)
      await admin.query(`drop database ${name} with (force)`)
    }
    const kept = (await namesLike(admin, 'test\\_%')).filter((name) => !isAlive(makerOf(name)))
    for (const name of kept.slice(DATABASES_KEPT)) {
      await admin.query(`drop database ${name} with (force)`)
    }
  })
}

/** Whether a test that failed has left its database. */
export async function holdsTestDatabases(admin: pg.Client): Promise<boolean> {
  return (await namesLike(admin, 'test\\_%')).length > 0
}

/** The process that made the database test_<pid>_<n>. */
function makerOf(name: string): number {
  return Number(name.split('_')[1])
}

/** Newest first. */
async function namesLike(admin: pg.Client, pattern: string): Promise<string[]> {
  const { rows } = await admin.query(
    'select datname from pg_database where datname like $1 order by oid desc',
    [pattern],
  )
  return rows.map(({ datname }) => datname)
}

/** Runs statements as superuser on the server's own database. */
export async function withAdmin<T>(url: string, use: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.end()
  }
}

/** The same server, another database. */
export function urlOf(url: string, database: string): string {
  return Object.assign(new URL(url), { pathname: database }).href
}
