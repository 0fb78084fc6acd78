import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { createClient } from 'redis'
import type { Test } from 'tap'
import { missing } from '../programs.ts'
import { freePort } from './free-port.ts'

/** Far more than an empty server takes on a busy machine. */
const START_MS_MAX = 15_000
/** Nothing is written to disk: stopped means empty. */
const SETTINGS = ['--save', '', '--appendonly', 'no', '--bind', '127.0.0.1']

export interface RedisServer {
  /** Stays the same over `stop` and `start`. */
  url: string
  /** Kills it. Safe to call twice. */
  stop(): Promise<void>
  /** Starts it again, empty; where it runs, or is being started, that is all. */
  start(): Promise<void>
  /** It goes on accepting connections, and answers nothing. */
  pause(): void
  resume(): void
  /** Sends it a command as an operator would, over its own connection. */
  send(command: string): Promise<unknown>
}

/**
 * Starts a redis-server on a free port, which ends with the test; `null` where there is none: the test
 * then counts as skipped, and says how to get one.
 *
 * @example
 * const server = await startRedis(t)
 * if (!server) return
 */
export async function startRedis(t: Pick<Test, 'plan' | 'teardown'>): Promise<RedisServer | null> {
  const isMissing = missing('redis-server')
  if (isMissing) {
    t.plan(0, isMissing)
    return null
  }
  const port = await freePort()
  let server = await launch(port)
  let starting: Promise<void> | undefined
  const hasEnded = () => server.exitCode !== null || server.signalCode !== null
  const restart = async () => {
    if (hasEnded()) server = await launch(port)
  }
  const stop = async () => {
    if (hasEnded()) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  }
  const killNow = () => server.kill('SIGKILL')
  process.on('exit', killNow)
  t.teardown(async () => {
    process.off('exit', killNow)
    await stop()
  })
  const url = `redis://127.0.0.1:${port}`
  return {
    url,
    stop,
    start: () => {
      starting ??= restart().finally(() => {
        starting = undefined
      })
      return starting
    },
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    send: (command) => send(url, command),
  }
}

async function launch(port: number): Promise<ChildProcess> {
  const server = spawn('redis-server', [...SETTINGS, '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const lines: string[] = []
  const signal = AbortSignal.timeout(START_MS_MAX)
  const ready = new Promise<void>((resolve, reject) => {
    const fail = () => reject(new Error(`redis-server did not start:\n${lines.join('\n')}`))
    signal.addEventListener('abort', fail)
    server.once('error', fail).once('exit', fail)
    createInterface(server.stdout).on('line', (line) => {
      lines.push(line)
      if (line.includes('Ready to accept connections')) resolve()
    })
  })
  try {
    await ready
    return server
  } catch (error) {
    server.kill('SIGKILL')
    throw error
  }
}

async function send(url: string, command: string): Promise<unknown> {
  const client = await createClient({ url, RESP: 2 }).connect()
  try {
    return await client.sendCommand(command.split(' '))
  } finally {
    client.destroy()
  }
}
