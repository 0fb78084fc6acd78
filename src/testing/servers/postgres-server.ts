import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startPostgres, stopPostgres } from '../../postgres/embedded/embedded-postgres.ts'
import { isAlive, LockedByProcess, lockFile } from '../../postgres/process-lock.ts'
import { scratchFolder } from '../scratch.ts'
import { dropLeftovers, ensureTemplate, holdsTestDatabases, withAdmin } from './template.ts'

/** In the checkout, so that two checkouts never share a server. */
export const FOLDER = fileURLToPath(new URL('../../../.tap/test-database/', import.meta.url))
/** Far more than starting the server and migrating a template takes. */
const LOCK_MS_MAX = 60_000
const LOCK_POLL_MS = 50

const SETTINGS = {
  max_connections: '200', // several test files at once, each with a pool or two
  max_wal_size: '256MB', // it may be in memory
  max_prepared_transactions: '2', // a test shows what does not go together with them
  // Copying, loading and planning over 42 days of partitions was a good part of what the tests cost the server.
  'postrider.partition_days_ahead': '2',
}
/** Nothing here has to survive a power cut. */
export const VOLATILE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

/** As most servers in use have them; the first also counts what was compiled. */
const PRELOADED = 'pg_stat_statements,auto_explain'

/** Where test files find a server that they share, what they make their databases from, and its data. */
export type TestServer = { url: string; template: string; dataDir: string }

/** @throws when no test run has started the server */
export async function readTestServer(): Promise<TestServer> {
  try {
    return await readServer('embedded')
  } catch (error) {
    throw new Error('no test database; run this file with `npx tap <file>`', { cause: error })
  }
}

/**
 * The shared server with the embedded binaries, and its template database; started when it does not run.
 *
 * It outlives the process that starts it, until `stopTestServers`. One that was left behind, because a
 * run was killed, is used again.
 */
export function ensureTestServer(): Promise<TestServer> {
  return ensureServer('embedded')
}

/**
 * The same with the binaries of Debian's package of that major version, which has JIT as most servers in
 * use have; started by the first test file that needs it.
 *
 * @returns null when it is not installed
 */
export async function ensureDebianServer(major: number): Promise<TestServer | null> {
  const binaries = `/usr/lib/postgresql/${major}/bin`
  if (!existsSync(join(binaries, 'postgres'))) return null
  return await exclusively(() => ensureServer(`debian-${major}`, binaries))
}

/** Stops every server that test files share, and removes it unless it holds databases of tests that failed. */
export async function stopTestServers(): Promise<void> {
  const names = (await readdir(FOLDER)).filter((name) => /^(embedded|debian-\d+)\.json$/.test(name))
  await Promise.all(names.map((name) => stopServer(name.replace('.json', ''))))
}

async function stopServer(name: string): Promise<void> {
  const { url, dataDir } = await readServer(name)
  const holdsSomething = await withAdmin(url, holdsTestDatabases).catch(() => false)
  await stopPostgres(dataDir)
  if (holdsSomething) return
  await rm(dataDir, { recursive: true, force: true })
  await rm(join(FOLDER, `${name}.json`))
}

async function ensureServer(name: string, binaries?: string): Promise<TestServer> {
  const server = (await runningServer(name)) ?? (await startServer(name, binaries))
  const { url } = server
  const ready = { ...server, template: await ensureTemplate(url) }
  await writeServer(name, ready)
  await dropLeftovers(url)
  return ready
}

async function runningServer(name: string): Promise<TestServer | undefined> {
  try {
    const server = await readServer(name)
    await withAdmin(server.url, (admin) => admin.query('select 1'))
    return server
  } catch {
    return undefined
  }
}

/** Where its data is from an earlier run, it goes on with that. */
async function startServer(name: string, binaries: string | undefined) {
  const settings = {
    ...VOLATILE,
    ...SETTINGS,
    ...(binaries && { shared_preload_libraries: PRELOADED }),
  }
  const before = await readServer(name).catch(() => undefined)
  const isThere = before !== undefined && existsSync(before.dataDir)
  const dataDir = isThere
    ? before.dataDir
    : await mkdtemp(join(scratchFolder(), 'postrider-tests-'))
  await chmod(dataDir, 0o711) // Postgres may run as another user
  const options = { dataDir, settings, detached: true, ...(binaries && { binaries }) }
  return { url: (await startPostgres(options)).url, dataDir }
}

async function readServer(name: string): Promise<TestServer> {
  return JSON.parse(await readFile(join(FOLDER, `${name}.json`), 'utf8'))
}

/** Replaces the file as a whole, as test files of another run may be reading it. */
async function writeServer(name: string, server: TestServer): Promise<void> {
  const file = join(FOLDER, `${name}.json`)
  await writeFile(`${file}.${process.pid}`, JSON.stringify(server), { mode: 0o600 })
  await rename(`${file}.${process.pid}`, file)
}

/** Notes that the given test run uses the server, until the run says otherwise or its process ends. */
export async function enter(run: number): Promise<void> {
  await writeFile(join(FOLDER, `run.${run}`), '')
}

/** Takes the note back, and those of runs that were killed; tells whether another run goes on. */
export async function leave(run: number): Promise<{ isLast: boolean }> {
  let isLast = true
  for (const name of (await readdir(FOLDER)).filter((name) => name.startsWith('run.'))) {
    const pid = Number(name.slice('run.'.length))
    if (pid === run || !isAlive(pid)) await rm(join(FOLDER, name), { force: true })
    else isLast = false
  }
  return { isLast }
}

/** One at a time: two runs may begin, or one end while another begins. */
export async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  await mkdir(FOLDER, { recursive: true })
  const unlock = await waitForLock()
  try {
    return await work()
  } finally {
    await unlock()
  }
}

async function waitForLock(): Promise<() => Promise<void>> {
  const deadline = Date.now() + LOCK_MS_MAX
  for (;;) {
    try {
      return await lockFile(join(FOLDER, 'lock'))
    } catch (error) {
      if (!(error instanceof LockedByProcess) || Date.now() > deadline) throw error
    }
    await delay(LOCK_POLL_MS)
  }
}
