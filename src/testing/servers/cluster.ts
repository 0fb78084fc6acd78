import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPostgres } from '../../postgres/embedded/embedded-postgres.ts'
import { grantRoles, migrate } from '../../postgres/migrate/migrate.ts'
import { hashOf } from '../../postgres/migrate/sql-files.ts'
import { scratchFolder } from '../scratch.ts'
import { exclusively, FOLDER, VOLATILE } from './postgres-server.ts'
import { hashOfSql, urlOf, withAdmin } from './template.ts'

/** `roles` has a migrated database `postrider`, and the group roles. */
export type ClusterKind = 'empty' | 'roles'

/** The database of the kind `roles`. */
export const DATABASE_WITH_ROLES = 'postrider'

export const binariesOf = (major: number): string => `/usr/lib/postgresql/${major}/bin`

/**
 * Puts the data of a server into the folder, as its first start would make them, which takes a second of the
 * processor, and a migration two more: they are made once a run of tests and copied.
 *
 * @param major of Debian's package; left out: the embedded binaries
 */
export async function layOutCluster(
  dataDir: string,
  { kind = 'empty', major }: { kind?: ClusterKind; major?: number } = {},
): Promise<void> {
  const home = await exclusively(() => ensureCluster(kind, major))
  await mkdir(dataDir, { recursive: true })
  await chmod(dataDir, 0o711) // Postgres may run as another user
  await promisify(execFile)('cp', ['-a', join(home, 'data'), dataDir])
  await copyFile(join(home, 'password'), join(dataDir, 'password'))
}

/** What makes the roles and their rights, next to sql/. */
const MIGRATE = new URL('../../postgres/migrate/', import.meta.url)

/** What a run notes of one; `key` tells what it was made by. */
type Cluster = { home: string; key: string }

async function ensureCluster(kind: ClusterKind, major: number | undefined): Promise<string> {
  const file = join(FOLDER, `cluster-${kind}-${major ?? 'embedded'}.json`)
  const key = kind === 'roles' ? await sourcesOfRoles() : ''
  const before = await readCluster(file)
  if (before?.key === key) return before.home
  if (before) await rm(before.home, { recursive: true, force: true })
  const home = await mkdtemp(join(scratchFolder(), 'postrider-cluster-'))
  await chmod(home, 0o711)
  await makeCluster(home, kind, major)
  await writeFile(file, JSON.stringify({ home, key } satisfies Cluster))
  return home
}

/** A run that was killed has left its clusters to one of other sources. */
async function sourcesOfRoles(): Promise<string> {
  const names = (await readdir(MIGRATE)).filter((name) => !name.endsWith('.test.ts')).sort()
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, MIGRATE), 'utf8')))
  return hashOf([await hashOfSql(), ...texts])
}

async function makeCluster(dataDir: string, kind: ClusterKind, major: number | undefined) {
  const binaries = major && { binaries: binariesOf(major) }
  const server = await startPostgres({ dataDir, settings: VOLATILE, ...binaries })
  try {
    if (kind === 'empty') return
    await withAdmin(server.url, (admin) => admin.query(`create database ${DATABASE_WITH_ROLES}`))
    const url = urlOf(server.url, DATABASE_WITH_ROLES)
    await migrate(url)
    await grantRoles(url)
  } finally {
    await server.stop()
  }
}

/** One whose folder is gone is none. */
async function readCluster(file: string): Promise<Cluster | undefined> {
  try {
    const cluster: Cluster = JSON.parse(await readFile(file, 'utf8'))
    await readFile(join(cluster.home, 'data', 'PG_VERSION'))
    return cluster
  } catch {
    return undefined
  }
}

/** Once no test runs any more. */
export async function removeClusters(): Promise<void> {
  for (const name of (await readdir(FOLDER)).filter((name) => name.startsWith('cluster-'))) {
    const cluster = await readCluster(join(FOLDER, name))
    if (cluster) await rm(cluster.home, { recursive: true, force: true })
    await rm(join(FOLDER, name))
  }
}
