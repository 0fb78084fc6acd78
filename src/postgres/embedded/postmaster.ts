import { execFile } from 'node:child_process'
import { readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isAlive } from '../process-lock.ts'

/** A fast shutdown ends with a checkpoint, which a slow disk may take this long to write. */
const FAST_SHUTDOWN_MS_MAX = 30_000
/** Postgres itself kills children that outlast an immediate shutdown by five seconds. */
const IMMEDIATE_SHUTDOWN_MS_MAX = 10_000
const POLL_MS = 20

/** What a Postgres server writes about itself into its data directory. */
type PidFile = { pid: number; isReady: boolean }

/** Reads `postmaster.pid`; undefined when no server runs there, or was killed before writing it. */
export async function readPidFile(pgdata: string): Promise<PidFile | undefined> {
  const text = await readFile(join(pgdata, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number.parseInt(lines[0] ?? '', 10)
  return pid > 1 ? { pid, isReady: lines[7]?.trim() === 'ready' } : undefined
}

/**
 * Stops a server that outlived the process that started it, and clears away a misleading pid file.
 *
 * Postgres refuses to start when the recorded id belongs to any process of its user, so the file
 * goes when that process is something else. A file of a dead process stays: Postgres uses it to
 * find out whether children of the dead server still use its memory.
 */
export async function stopOrphan(pgdata: string): Promise<void> {
  const file = await readPidFile(pgdata)
  if (!file || !isAlive(file.pid)) return
  if (await isPostmasterOf(file.pid, pgdata)) await stopPostmaster(file.pid)
  else await rm(join(pgdata, 'postmaster.pid'), { force: true })
}

/**
 * Asks the server to end its sessions and stop, then to stop without saving, then gives up.
 *
 * Never SIGKILL: it would leave the children running on the data.
 */
export async function stopPostmaster(pid: number): Promise<void> {
  if (signal(pid, 'SIGINT') && !(await isGone(pid, FAST_SHUTDOWN_MS_MAX))) {
    if (signal(pid, 'SIGQUIT') && !(await isGone(pid, IMMEDIATE_SHUTDOWN_MS_MAX))) {
      throw new Error(`Postgres (process ${pid}) does not stop, not even at once`)
    }
  }
}

/** A server changes into its data directory; without /proc its command line has to tell. */
async function isPostmasterOf(pid: number, pgdata: string): Promise<boolean> {
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
  if (folder !== undefined) return folder === pgdata
  const ps = await promisify(execFile)('ps', ['-o', 'command=', '-p', `${pid}`]).catch(
    () => undefined,
  )
  return ps?.stdout.includes(pgdata) ?? false
}

function signal(pid: number, name: 'SIGINT' | 'SIGQUIT'): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

async function isGone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false
    await delay(POLL_MS)
  }
  return true
}
