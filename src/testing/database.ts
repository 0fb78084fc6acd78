import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { startPostgres } from '../database/embedded.ts'
import { migrate } from '../database/migrate.ts'
import { createPool } from '../database/pool.ts'
import { readTestServer } from './server.ts'
import { urlOf, withAdmin } from './template.ts'

/** The part of a tap test that is needed here. */
export type TestLifetime = { teardown(done: () => Promise<void>): void; passing?(): boolean }

export type TestDatabase = { url: string; pool: pg.Pool; name: string }

const POOL = { max: 10, pipeline: true }
/** A test that keeps a client would otherwise wait for it for ever. */
const POOL_END_MS_MAX = 2_000
/** Copying takes 30 ms; it is refused while somebody is connected to the template. */
const COPIES_MAX = 50
const COPY_PAUSE_MS = 100
const OBJECT_IN_USE = '55006'
/** Nothing here has to survive a power cut. */
export const VOLATILE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

let made = 0

/**
 * A migrated database of its own for a test file (or a test), with a pool on it.
 *
 * Dropped when the test has passed; else kept, and its name printed.
 */
export async function createTestDatabase(t: TestLifetime): Promise<TestDatabase> {
  const server = await readTestServer()
  made += 1
  const name = `test_${process.pid}_${made}`
  await copyTemplate(server.url, name, server.template)
  const url = urlOf(server.url, name)
  const pool = createPool({ ...POOL, connectionString: url, applicationName: name })
  t.teardown(async () => {
    await endPool(pool)
    if (t.passing?.() ?? true) await drop(server.url, name)
    else console.error(`kept database ${name}; node scripts/test-database.ts, then psql ${url}`)
  })
  return { url, pool, name }
}

/**
 * A migrated database on a server of its own that runs another major version of Postgres.
 *
 * @returns null when it is not installed; skip then, and name `apt-get install postgresql`
 */
export async function startDebianPostgres(
  t: TestLifetime,
  major = 15,
): Promise<TestDatabase | null> {
  const binaries = `/usr/lib/postgresql/${major}/bin`
  if (!existsSync(join(binaries, 'postgres'))) return null
  const dataDir = await mkdtemp(join(tmpdir(), `postgres-${major}-`))
  await chmod(dataDir, 0o711) // Postgres may run as another user
  const server = await startPostgres({ dataDir, binaries, settings: VOLATILE })
  const name = 'postrider'
  const url = urlOf(server.url, name)
  const pool = createPool({ ...POOL, connectionString: url, applicationName: 'test' })
  t.teardown(async () => {
    await endPool(pool)
    await server.stop()
    await rm(dataDir, { recursive: true })
  })
  await withAdmin(server.url, (admin) => admin.query(`create database ${name}`))
  await migrate(url)
  return { url, pool, name }
}

async function copyTemplate(url: string, name: string, template: string): Promise<void> {
  await drop(url, name) // left by an earlier process of the same id
  for (let copy = 1; ; copy++) {
    try {
      await withAdmin(url, (admin) => admin.query(`create database ${name} template ${template}`))
      return
    } catch (error) {
      const isInUse = error instanceof pg.DatabaseError && error.code === OBJECT_IN_USE
      if (!isInUse || copy === COPIES_MAX) throw error
    }
    await delay(COPY_PAUSE_MS)
  }
}

async function drop(url: string, name: string): Promise<void> {
  await withAdmin(url, (admin) => admin.query(`drop database if exists ${name} with (force)`))
}

async function endPool(pool: pg.Pool): Promise<void> {
  if (pool.ended || pool.ending) return
  await Promise.race([pool.end(), delay(POOL_END_MS_MAX, undefined, { ref: false })])
}
