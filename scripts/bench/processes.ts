import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cleanup } from './program.ts'

/** A runner lets its attempts end, which takes as long as the slowest receiver. */
const STOP_MS_MAX = 30_000
const LOG_LINES_SHOWN = 20

export interface Child {
  name: string
  pid: number
  /** How it ended: `code 0`, `signal SIGTERM`. */
  ended: Promise<string>
  /** Rejects when the process ends before `stop` was called, with the end of its log. */
  failed: Promise<never>
  /** SIGTERM, and SIGKILL when that does not help. Safe to call twice. */
  stop(): Promise<void>
}

export interface ChildOptions {
  name: string
  command: string
  args?: string[]
  env: Record<string, string>
  cwd?: string
  /** Takes stdout and stderr. A file, so that writing logs costs what it costs in production. */
  logFile: string
  /** Stop the children of the process as well. */
  isGroup?: boolean
}

/** Starts a process, with nothing of our environment but where programs are found. */
export function startChild(cleanup: Cleanup, options: ChildOptions): Child {
  const log = openSync(options.logFile, 'w')
  const child = spawn(options.command, options.args ?? [], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env },
    detached: options.isGroup ?? false,
    ...(options.cwd && { cwd: options.cwd }),
  })
  closeSync(log)
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= stopChild(child, options.isGroup)
    return stopped
  }
  cleanup.defer(stop)
  const ended = endOf(child)
  const failed = ended.then(async (reason) => {
    await stopped // then anyone who waits is being stopped as well
    return fail(options, reason)
  })
  failed.catch(() => undefined) // anyone who waits for something races it with this
  return { name: options.name, pid: child.pid ?? 0, ended, failed, stop }
}

async function fail({ name, logFile }: ChildOptions, reason: string): Promise<never> {
  throw new Error(`${name} ended: ${reason}\n${await tailOf(logFile)}`)
}

/** Runs a process to its end; throws unless it succeeds. */
export async function runChild(cleanup: Cleanup, options: ChildOptions): Promise<void> {
  const reason = await startChild(cleanup, options).ended
  if (reason !== 'code 0') await fail(options, reason)
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = await once(child, 'exit')
    return signal ? `signal ${signal}` : `code ${code}`
  } catch (error) {
    return String(error) // it could not be started
  }
}

export async function stopChild(child: ChildProcess, isGroup = false): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return
  signal(isGroup ? -child.pid : child.pid, 'SIGTERM')
  await endOrKill(child, isGroup)
}

/** Waits for one that has been told to end, and kills it when that takes too long. */
export async function endOrKill(child: ChildProcess, isGroup = false): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return
  const ended = once(child, 'exit')
  const waited = new AbortController()
  const timeout = delay(STOP_MS_MAX, 'late', { signal: waited.signal })
  timeout.catch(() => undefined)
  const result = await Promise.race([ended, timeout])
  waited.abort()
  if (result !== 'late' && !isGroup) return
  signal(isGroup ? -child.pid : child.pid, 'SIGKILL')
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}

async function tailOf(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
}
