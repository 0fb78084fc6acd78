import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { postgresAccount } from '../../src/postgres/embedded/embedded-account.ts'
import type { Cleanup } from '../bench/program.ts'

const STOP_MS_MAX = 10_000

export interface Program {
  pid: number
  hasEnded(): boolean
  /** Does nothing when it has ended. */
  signal(signal: NodeJS.Signals): void
  /** Resolves once it has ended, by SIGTERM or, if that does not help, SIGKILL. */
  stop(): Promise<void>
}

export interface ProgramOptions {
  /** Of its log. */
  name: string
  command: string
  args: string[]
  env?: Record<string, string>
  folder: string
}

/**
 * Starts a server as the user that Postgres runs as. It is told to stop when this process ends, whatever ends it:
 * one that was left behind would hold its ports, and the machine's time.
 */
export function startProgram(cleanup: Cleanup, options: ProgramOptions): Program {
  const account = postgresAccount()
  const user = account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : []
  const log = openSync(logOf(options), 'a')
  const child = spawn('setpriv', ['--pdeathsig=TERM', ...user, options.command, ...options.args], {
    cwd: options.folder,
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...options.env },
    stdio: ['ignore', log, log],
    detached: true, // Ctrl-C reaches it through us, after its clients
  })
  closeSync(log)
  child.on('error', () => undefined) // it has ended, then
  const program = {
    pid: child.pid ?? 0,
    hasEnded: () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null,
    signal: (signal: NodeJS.Signals) => void child.kill(signal),
    stop: () => stop(child),
  }
  cleanup.defer(program.stop)
  return program
}

const logOf = ({ folder, name }: ProgramOptions) => join(folder, `${name}.log`)

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  const tooLong = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await ended
  clearTimeout(tooLong)
}

/** Asks again and again; fails, in words, when the answer does not come in time. */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endsAt = performance.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > endsAt) throw new Error(`${what}: not within ${seconds} s`)
    await delay(POLL_MS)
  }
}

const POLL_MS = 100

/** The first number of the form 1.2 or 1.2.3 in what a program says of its version. */
export function versionOf(command: string, argument: string): string {
  const said = execFileSync(command, [argument], { encoding: 'utf8' })
  return /\d+\.\d+(?:\.\d+)?/.exec(said)?.[0] ?? 'unknown'
}
