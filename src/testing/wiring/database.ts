import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { createPool } from '../../postgres/pool.ts'
import { isLong } from '../long.ts'
import { ensureDebianServer, readTestServer, type TestServer } from '../servers/postgres-server.ts'
import { urlOf, withAdmin } from '../servers/template.ts'

/** The part of a tap test that is needed here. */
export type TestLifetime = { teardown(done: () => Promise<void>): void; passing?(): boolean }

export type TestDatabase = { url: string; pool: pg.Pool; name: string }

const POOL = { max: 10, pipeline: true }
/** A test that keeps a client would otherwise wait for it for ever. */
const POOL_END_MS_MAX = 2_000
/** Copying is refused while somebody is connected to the template. */
const COPIES_MAX = 50
const COPY_PAUSE_MS = 100
const OBJECT_IN_USE = '55006'

let made = 0

/**
 * Its own migrated database for a test file (or a test), with a pool on it.
 *
 * Dropped when the test has passed; otherwise kept, and its name printed.
 */
export async function createTestDatabase(t: TestLifetime): Promise<TestDatabase> {
  return await createDatabaseOn(await readTestServer(), t)
}

/**
 * The same on a server of Debian's package, by default of the oldest version that is supported. It has
 * JIT and the settings of the package's `postgres`, except that nothing outlives a power cut.
 *
 * @returns null when it is not installed; skip then, and name `apt-get install postgresql`
 */
export async function startDebianPostgres(
  t: TestLifetime,
  major = 15,
): Promise<TestDatabase | null> {
  const server = await ensureDebianServer(major)
  return server && (await createDatabaseOn(server, t))
}

/**
 * The same tests on the newest Postgres, and in a long run on the oldest that is supported as well. What differs between
 * them is seen in any run: hostile-settings.test.ts has the oldest, with JIT, migrated, called by every route, and
 * delivered from.
 */
export function onBothPostgres(t: Test, conformance: Conformance): void {
  onNewest(t, conformance)
  if (isLong) onOldest(t, conformance)
}

type Conformance = (t: Test, database: TestDatabase) => unknown

function onNewest(t: Test, conformance: Conformance): void {
  t.test('on Postgres 18', async (t) => conformance(t, await createTestDatabase(t)))
}

function onOldest(t: Test, conformance: Conformance): void {
  t.test('on Postgres 15', async (t) => {
    const database = await startDebianPostgres(t)
    if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
    return conformance(t, database)
  })
}

async function createDatabaseOn(server: TestServer, t: TestLifetime): Promise<TestDatabase> {
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

async function copyTemplate(url: string, name: string, template: string): Promise<void> {
  await drop(url, name) // left by an earlier process of the same id
  for (let copy = 1; ; copy++) {
    try {
      await withAdmin(url, (admin) =>
        admin.query(`create database ${name} template ${template} strategy file_copy`),
      )
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
