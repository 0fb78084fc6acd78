import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'

/** Seen from here it is the same in a checkout (src/postgres/migrate) and in a build (dist/src/postgres/migrate). */
export const SQL_FOLDER = new URL('../../../sql/', import.meta.url)

export type Migration = { name: string; sql: string; checksum: string; breaking: boolean }
export type FunctionFile = { name: string; sql: string }
export type SqlFiles = { migrations: Migration[]; functions: FunctionFile[] }

/**
 * Reads the program's migrations and functions, each in the order in which they are applied: migrations by their
 * names, functions as `functions/ORDER` lists them.
 */
export async function readSqlFiles(folder: URL = SQL_FOLDER): Promise<SqlFiles> {
  const [migrations, functions] = [new URL('migrations/', folder), new URL('functions/', folder)]
  return {
    migrations: (await readFiles(migrations, await namesIn(migrations))).map(toMigration),
    functions: await readFiles(functions, await functionOrder(functions)),
  }
}

async function namesIn(folder: URL): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.endsWith('.sql')).sort()
}

/** A file that the list lacks would never be applied, so that is refused, as is a name without its file. */
async function functionOrder(folder: URL): Promise<string[]> {
  const list = await readFile(new URL('ORDER', folder), 'utf8')
  const order = list.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'))
  const listed = new Set(order)
  const unlisted = (await namesIn(folder)).filter((name) => !listed.has(name))
  if (unlisted.length > 0) throw new Error(`functions/ORDER lacks ${unlisted.join(', ')}`)
  return order
}

async function readFiles(folder: URL, names: string[]): Promise<FunctionFile[]> {
  return await Promise.all(
    names.map(async (name) => ({ name, sql: await readFile(new URL(name, folder), 'utf8') })),
  )
}

function toMigration({ name, sql }: FunctionFile): Migration {
  if (!/^\d{6}_[a-z0-9_]+\.sql$/.test(name)) {
    throw new Error(`${name}: a migration is named like 000001_what_it_does.sql`)
  }
  const breaking = /^-- breaking: (yes|no)$/m.exec(sql.replaceAll('\r', ''))?.[1]
  if (!breaking)
    throw new Error(`${name}: the header lacks "-- breaking: yes" or "-- breaking: no"`)
  return { name, sql, checksum: hashOf([sql]), breaking: breaking === 'yes' }
}

/** SHA-256 of texts, in which line ends do not count: Git may change them in a checkout. */
export function hashOf(texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text.replaceAll('\r', '')).update('\0')
  return hash.digest('hex')
}
