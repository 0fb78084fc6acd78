import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ENCRYPTION } from '../data/encryption.ts'
import type { LogLine } from '../log-lines.ts'
import { plainNode } from './cli.ts'

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url))

export interface Service {
  pid: number
  /** Of the last start-up line of an API. */
  url: string
  lines: LogLine[]
  /** Everything it has printed so far, on either stream. */
  printed(): string
  /** The first line of this name that the condition holds for, past or future; rejects when the process ends. */
  line(name: string, condition?: (line: LogLine) => boolean): Promise<LogLine>
  /** Sends a signal and resolves with the exit code, or the signal that ended the process. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
  /** Sends a signal and goes on. */
  signal(signal: NodeJS.Signals): void
  ended: Promise<number | NodeJS.Signals>
}

/**
 * A real `postrider api` or `postrider runner` process, once it says that it has started. Killed when the
 * test ends.
 */
export async function startService(
  t: { teardown(done: () => unknown): void },
  command: 'api' | 'runner',
  env: { DATABASE_URL: string; [name: string]: string },
): Promise<Service> {
  const child = spawn(...plainNode(CLI, command), {
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      POSTRIDER_ADMIN_KEY: 'test-admin-key',
      ...ENCRYPTION,
      EGRESS_ALLOW: '127.0.0.0/8',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return await service(child, command)
}

async function service(child: ChildProcess, command: string): Promise<Service> {
  // Not `exit`: what it said last may come after that.
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  const lines: LogLine[] = []
  let more = Promise.withResolvers<void>()
  const started = Promise.withResolvers<string>()
  let complaints = ''
  let printed = ''
  child.stderr?.on('data', (text) => {
    complaints += text
  })
  if (child.stdout) {
    createInterface(child.stdout).on('line', (text) => {
      printed += `${text}\n`
      const line = JSON.parse(text)
      lines.push(line)
      more.resolve()
      more = Promise.withResolvers()
      if (line.msg === `${command}.started`) started.resolve(line.url ?? '')
    })
  }
  ended.then((code) =>
    started.reject(new Error(`${command} ended with ${code} before it started: ${complaints}`)),
  )
  return {
    pid: child.pid ?? 0,
    url: await started.promise,
    lines,
    printed: () => printed + complaints,
    async line(name, condition = () => true) {
      for (;;) {
        const found = lines.find((line) => line.msg === name && condition(line))
        if (found) return found
        const end = await Promise.race([more.promise, ended])
        if (end !== undefined) throw new Error(`${command} ended with ${end} without ${name}`)
      }
    },
    ended,
    signal: (signal) => void child.kill(signal),
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
  }
}
