import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { once } from '../../clock.ts'
import { LockedByProcess, lockFile } from '../process-lock.ts'
import { type Binaries, locateBinaries } from './embedded-binaries.ts'
import { ensureCluster, postgresEnvironment, tailOf } from './embedded-cluster.ts'
import { chooseFolders, type Folders } from './embedded-folders.ts'
import { readPidFile, stopOrphan, stopPostmaster } from './postmaster.ts'

/** Usually 0.1 s; after a power cut Postgres first repeats what its log holds. */
const START_MS_MAX = 120_000
const POLL_MS = 20
/** For what passes by itself: a port taken by somebody in between, children of a killed server. */
const STARTS_MAX = 5
const RESTART_PAUSE_MS = 500

export type PostgresOptions = {
  /** Kept between starts. As root the data may have to be elsewhere; see {@link Folders}. */
  dataDir: string
  /** Default: a free one, and the same again at the next start if it is still free. */
  port?: number
  /** Lines of postgresql.conf, such as `{ fsync: 'off' }`. */
  settings?: Record<string, string>
  /** Folder with `postgres` and `initdb`, such as /usr/lib/postgresql/15/bin. */
  binaries?: string
  /** Let the server outlive this process; the next start in the folder replaces it. */
  detached?: boolean
}

export type RunningPostgres = {
  /** Of the superuser, to the database `postgres`. */
  url: string
  port: number
  pid: number
  /** The folder that was asked for, without symbolic links. */
  dataDir: string
  /** Resolves when the server has ended, asked to or not. */
  exited: Promise<void>
  /** Ends sessions, saves and stops. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Starts a Postgres of our own, on 127.0.0.1 only and with a password; makes its data at first.
 *
 * A server that was left behind because our process was killed is stopped and replaced. One whose
 * process lives is not touched: then this throws.
 *
 * @throws with the end of Postgres' own log when it does not start
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const folders = await chooseFolders(options.dataDir)
  const unlock = await lock(folders)
  try {
    const binaries = await locateBinaries(options.binaries, folders.account)
    await stopOrphan(join(folders.base, 'data'))
    const { fsync } = options.settings ?? {}
    const password = await ensureCluster(folders, binaries, { isDurable: fsync !== 'off' })
    const { child, port } = await start(folders, binaries, options)
    if (options.detached) await unlock()
    return handle(folders, child, port, password, unlock)
  } catch (error) {
    await unlock()
    throw error
  }
}

/** Stops a server that was started `detached`, or left behind; does nothing when none runs. */
export async function stopPostgres(dataDir: string): Promise<void> {
  const folders = await chooseFolders(dataDir)
  const unlock = await lock(folders)
  try {
    await stopOrphan(join(folders.base, 'data'))
  } finally {
    await unlock()
  }
}

async function lock({ home }: Folders): Promise<() => Promise<void>> {
  try {
    return await lockFile(join(home, 'lock'))
  } catch (error) {
    if (!(error instanceof LockedByProcess)) throw error
    const message = `the database in ${home} is in use by process ${error.pid}; stop that first`
    throw new Error(message, { cause: error })
  }
}

function handle(
  { home }: Folders,
  child: ChildProcess & { pid: number },
  port: number,
  password: string,
  unlock: () => Promise<void>,
): RunningPostgres {
  const exited = endOf(child)
  return {
    url: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid: child.pid,
    dataDir: home,
    exited,
    stop: once(() => stopPostmaster(child.pid).then(unlock)),
  }
}

/** Starts until it holds, for the few causes that pass by themselves. */
async function start(folders: Folders, binaries: Binaries, options: PostgresOptions) {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await rememberedPort(folders))
    const child = await spawnPostgres(folders, binaries, port, options)
    if (await becomesReady(child, folders)) {
      await writeFile(join(folders.home, 'port'), `${port}\n`)
      if (options.detached) child.unref()
      return { child, port }
    }
    const log = await tailOf(logFile(folders))
    if (attempt === STARTS_MAX || !(await mayPass(log, port, options.port))) {
      throw new Error(`Postgres does not start in ${folders.base}:\n${log}`)
    }
    await delay(RESTART_PAUSE_MS)
  }
}

async function mayPass(log: string, port: number, fixedPort: number | undefined): Promise<boolean> {
  if (log.includes('pre-existing shared memory block')) return true // children of a killed server
  if (await isFree(port)) return false
  if (fixedPort !== undefined) throw new Error(`port ${port} is taken; choose another`)
  return true
}

/** In its own process group, so that Ctrl-C reaches it through us, after its clients. */
async function spawnPostgres(
  folders: Folders,
  binaries: Binaries,
  port: number,
  options: PostgresOptions,
) {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '', // a folder's path may be longer than a socket's can be
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    log_checkpoints: 'off',
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = await newLog(folders)
  const child = spawn(
    join(binaries.folder, 'postgres'),
    ['-D', join(folders.base, 'data'), '-p', `${port}`, ...args],
    {
      ...folders.account,
      cwd: '/',
      env: postgresEnvironment(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    },
  )
  await log.close()
  if (child.pid === undefined) throw await new Promise((resolve) => child.once('error', resolve))
  return child as ChildProcess & { pid: number }
}

/** One log per start and the one before, so that a server that runs for months stays readable. */
async function newLog(folders: Folders) {
  await rename(logFile(folders), `${logFile(folders)}.1`).catch(() => undefined)
  return await open(logFile(folders), 'w', 0o600)
}

function logFile({ home }: Folders): string {
  return join(home, 'postgres.log')
}

/** Postgres says in its pid file when it accepts connections. */
async function becomesReady(
  child: ChildProcess & { pid: number },
  { base }: Folders,
): Promise<boolean> {
  const deadline = Date.now() + START_MS_MAX
  while (child.exitCode === null && child.signalCode === null) {
    const file = await readPidFile(join(base, 'data'))
    if (file?.pid === child.pid && file.isReady) return true
    if (Date.now() > deadline) {
      await stopPostmaster(child.pid)
      return false
    }
    await delay(POLL_MS)
  }
  return false
}

function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

async function rememberedPort({ home }: Folders): Promise<number> {
  const port = Number.parseInt(await readFile(join(home, 'port'), 'utf8').catch(() => ''), 10)
  return port > 0 && (await isFree(port)) ? port : await freePort()
}

async function isFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== undefined
}

async function freePort(): Promise<number> {
  const port = await listenOnce(0)
  if (port === undefined) throw new Error('no free port on 127.0.0.1')
  return port
}

/** The port that could be listened on; undefined when it is taken. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1' }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
