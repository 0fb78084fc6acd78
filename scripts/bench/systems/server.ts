import { existsSync, readdirSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../../src/postgres/embedded/embedded-postgres.ts'
import { urlOf, withAdmin } from '../../../src/testing/servers/template.ts'
import type { Cleanup } from '../program.ts'

/** Every commit reaches the disk, as promised. These are the defaults; here they are stated. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** Where Debian's packages are, a folder for each major version. They have JIT, as most servers in use have. */
const DEBIAN = '/usr/lib/postgresql'

/** What decides how fast a server is, or what a commit promises. */
const TOLD = [
  ...['jit', 'shared_buffers', 'work_mem', 'max_connections', 'max_parallel_workers_per_gather'],
  ...['fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'max_wal_size'],
]

/** Which server that is; figures of two that differ in this cannot be compared. */
export interface ServerFacts {
  from: 'DATABASE_URL' | 'debian' | 'embedded'
  /** Such as `15.18`. */
  version: string
  /** Whether it has JIT and `jit` is on. */
  jit_available: boolean
  /** As a session finds them that sets nothing; sessions of Postrider turn `jit` off. */
  settings: Record<string, string>
}

/** The Postgres that everything in one run is measured on. */
export interface Server {
  facts: ServerFacts
  /** Connects to its database as superuser. */
  url: string
  /** Of the postmaster; null when DATABASE_URL names the server. */
  pid: number | null
  /** Folder for logs and data; gone with the run. */
  folder: string
  /** Its own empty database. @returns its URL */
  createDatabase(name: string): Promise<string>
  dropDatabase(name: string): Promise<void>
}

/**
 * Starts a Postgres in a temporary folder, or uses the server of DATABASE_URL, on which
 * databases named `bench_…` are made and dropped again.
 *
 * It is the newest of Debian's packages where one is installed, as people run it, otherwise the embedded one;
 * BENCH_POSTGRES=embedded chooses that one.
 *
 * @param settings lines of postgresql.conf for one that is started
 */
export async function startServer(
  cleanup: Cleanup,
  settings: Record<string, string> = {},
): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-bench-'))
  cleanup.defer(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o711) // as root, Postgres runs as another user
  const given = process.env['DATABASE_URL']
  const binaries = debianBinaries()
  const { url, pid } = given
    ? { url: given, pid: null }
    : await start(cleanup, folder, settings, binaries)
  return {
    facts: await factsOf(url, given ? 'DATABASE_URL' : binaries ? 'debian' : 'embedded'),
    url,
    pid,
    folder,
    async createDatabase(name) {
      const database = nameOf(name)
      await withAdmin(url, async (admin) => {
        await admin.query(`drop database if exists ${database} with (force)`)
        await admin.query(`create database ${database}`)
      })
      cleanup.defer(() => drop(url, database))
      return urlOf(url, database)
    },
    dropDatabase: (name) => drop(url, nameOf(name)),
  }
}

/** @throws when BENCH_POSTGRES is neither `debian` nor `embedded`, or Debian's is asked for and not installed */
export function debianBinaries(): string | undefined {
  const wanted = process.env['BENCH_POSTGRES'] ?? ''
  if (!['', 'debian', 'embedded'].includes(wanted)) {
    throw new Error(`BENCH_POSTGRES is ${wanted}: debian or embedded`)
  }
  if (wanted === 'embedded') return undefined
  const [newest] = installedMajors()
  if (newest !== undefined) return join(DEBIAN, String(newest), 'bin')
  if (wanted === 'debian') throw new Error('no server is installed: apt-get install postgresql')
  return undefined
}

/** Newest first. */
function installedMajors(): number[] {
  if (!existsSync(DEBIAN)) return []
  return readdirSync(DEBIAN)
    .filter((major) => existsSync(join(DEBIAN, major, 'bin', 'postgres')))
    .map(Number)
    .sort((a, b) => b - a)
}

async function start(
  cleanup: Cleanup,
  folder: string,
  settings: Record<string, string>,
  binaries?: string,
) {
  const dataDir = join(folder, 'postgres')
  const options = { dataDir, settings: { ...DURABLE, ...settings } }
  const postgres = await startPostgres({ ...options, ...(binaries && { binaries }) })
  cleanup.defer(postgres.stop)
  return postgres
}

/** Two runs on one server do not meet. */
const nameOf = (name: string) => `bench_${process.pid}_${name}`

async function factsOf(url: string, from: ServerFacts['from']): Promise<ServerFacts> {
  return await withAdmin(url, async (admin) => {
    const { rows } = await admin.query<Omit<ServerFacts, 'from'>>(
      `select split_part(current_setting('server_version'), ' ', 1) as version,
         pg_jit_available() as jit_available,
         (select jsonb_object_agg(name, current_setting(name)) from unnest($1::text[]) as name) as settings`,
      [TOLD],
    )
    const [facts] = rows
    if (!facts) throw new Error('the server tells nothing of itself')
    return { from, ...facts }
  })
}

async function drop(url: string, database: string): Promise<void> {
  await withAdmin(url, (admin) => admin.query(`drop database if exists ${database} with (force)`))
}
