import { readFileSync } from 'node:fs'
import { link, readFile, rm, writeFile } from 'node:fs/promises'

/** More rounds than processes that could plausibly start in one folder at the same moment. */
const ROUNDS_MAX = 10

/** Somebody who is alive holds the lock. */
export class LockedByProcess extends Error {
  override readonly name = 'LockedByProcess'
  readonly code = 'locked_by_process'
  readonly pid: number
  constructor(file: string, pid: number) {
    super(`process ${pid} holds ${file}`)
    this.pid = pid
  }
}

/**
 * Takes a lock file that lapses with the process that wrote it.
 *
 * The file names the process by id and start time, because ids are used again: after a reboot, or
 * in a container, another process soon has the same id.
 *
 * @returns a function that gives the lock back; safe to call twice
 * @throws LockedByProcess when a living process holds it
 */
export async function lockFile(file: string): Promise<() => Promise<void>> {
  const own = `${file}.${process.pid}`
  await writeFile(own, identity(process.pid) ?? '', { mode: 0o600 })
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (await linked(own, file)) return () => rm(file, { force: true })
      const holder = await readFile(file, 'utf8').catch(() => '')
      const pid = Number.parseInt(holder, 10)
      if (holder !== '' && identity(pid) === holder) throw new LockedByProcess(file, pid)
      await rm(file, { force: true })
    }
    throw new Error(`cannot take ${file}: others keep taking it`)
  } finally {
    await rm(own, { force: true })
  }
}

/** A hard link appears with its content or not at all, unlike a file that is created and filled. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** Whether the process exists and still runs; one that only waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  return identity(pid) !== undefined
}

/** `pid start-time`, or only the id where there is no /proc; undefined when it does not run. */
function identity(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    const isForeign = error instanceof Error && 'code' in error && error.code === 'EPERM'
    if (!isForeign) return undefined
  }
  const [state, startedAt] = stat(pid)
  return state === 'Z' || state === 'X' ? undefined : `${pid} ${startedAt}`
}

/** State and start time: fields 3 and 22 of proc(5); the name in front of them may hold spaces. */
function stat(pid: number): [state: string, startedAt: string] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return [fields[0] ?? '', fields[19] ?? '']
  } catch {
    return ['', '']
  }
}
