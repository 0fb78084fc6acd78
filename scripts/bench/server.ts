import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../src/database/embedded.ts'
import { urlOf, withAdmin } from '../../src/testing/template.ts'
import type { Cleanup } from './program.ts'

/** Every commit reaches the disk, as promised. These are the defaults; here they are stated. */
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** The Postgres that everything in one run is measured on. */
export interface Server {
  /** Such as `18.4`. */
  version: string
  /** Of the postmaster; null when DATABASE_URL names the server. */
  pid: number | null
  /** Folder for logs and data; gone with the run. */
  folder: string
  /** An empty database of its own. @returns its URL */
  createDatabase(name: string): Promise<string>
  dropDatabase(name: string): Promise<void>
}

/**
 * Starts an embedded Postgres in a temporary folder, or uses the server of DATABASE_URL, on which
 * databases named `bench_…` are made and dropped again.
 *
 * @param settings lines of postgresql.conf for the embedded one
 */
export async function startServer(
  cleanup: Cleanup,
  settings: Record<string, string> = {},
): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-bench-'))
  cleanup.defer(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o711) // as root, Postgres runs as another user
  const given = process.env['DATABASE_URL']
  const { url, pid } = given ? { url: given, pid: null } : await embedded(cleanup, folder, settings)
  return {
    version: await versionOf(url),
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

async function embedded(cleanup: Cleanup, folder: string, settings: Record<string, string>) {
  const dataDir = join(folder, 'postgres')
  const postgres = await startPostgres({ dataDir, settings: { ...DURABLE, ...settings } })
  cleanup.defer(postgres.stop)
  return postgres
}

/** Two runs on one server do not meet. */
const nameOf = (name: string) => `bench_${process.pid}_${name}`

async function versionOf(url: string): Promise<string> {
  return await withAdmin(url, async (admin) => {
    const { rows } = await admin.query<{ server_version: string }>('show server_version')
    return rows[0]?.server_version.split(' ')[0] ?? 'unknown'
  })
}

async function drop(url: string, database: string): Promise<void> {
  await withAdmin(url, (admin) => admin.query(`drop database if exists ${database} with (force)`))
}
