import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describeVariables } from '../config.ts'
import type { TestLifetime } from './database.ts'

const CLI = join(import.meta.dirname, '..', 'cli.ts')
/** Far above what a start takes on a busy machine, below tap's own limit, so its message is seen. */
const OUTPUT_MS_MAX = 60_000

export interface CliOptions {
  /** Beside the environment of the test, which gives none of the program's own variables. */
  env?: Record<string, string>
  cwd?: string
  /** Of Node itself. */
  nodeArgs?: string[]
  /** Written to stdin, which is then closed. */
  input?: string
}

export interface CliResult {
  exitCode: number | null
  stdout: string
  stderr: string
}

export interface CliProcess {
  pid: number
  /** Resolves with stdout once it matches; rejects at the bound or the end, with all that was said. */
  printed(pattern: RegExp): Promise<string>
  /** The same for stderr. */
  warned(pattern: RegExp): Promise<string>
  kill(signal: NodeJS.Signals): void
  /** Closes our end of its stdout, as `| head -1` does. */
  closeOutput(): void
  exited: Promise<CliResult>
}

/** Variables that make `api` and `runner` start on this database, and the key to call the API with. */
export function serviceEnvironment(databaseUrl: string) {
  return {
    DATABASE_URL: databaseUrl,
    SECRET_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    POSTRIDER_ADMIN_KEY: randomBytes(32).toString('base64url'),
    EGRESS_ALLOW: '127.0.0.0/8',
    PORT: '0',
  }
}

/** Runs the command line as a process of its own, to its end. */
export async function runCli(t: TestLifetime, args: string[], options: CliOptions = {}) {
  return await startCli(t, args, options).exited
}

/** Starts the command line as a process of its own; killed when the test ends before it does. */
export function startCli(t: TestLifetime, args: string[], options: CliOptions = {}): CliProcess {
  // By way of `env`, which becomes the program: tap loads itself into every Node process that a
  // test starts, whatever is passed, and then has its own way with signals.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, ...(options.nodeArgs ?? []), CLI]
  const child = spawn('env', [...command, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...processEnvironment(), ...options.env },
    stdio: 'pipe',
  })
  child.stdin.on('error', () => undefined) // it may end without having read
  child.stdin.end(options.input)
  const exited = resultOf(child)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    pid: child.pid ?? 0,
    printed: (pattern) => waitForOutput(child, child.stdout, pattern),
    warned: (pattern) => waitForOutput(child, child.stderr, pattern),
    kill: (signal) => void child.kill(signal),
    closeOutput: () => void child.stdout.destroy(),
    exited,
  }
}

/** A folder that is empty and nobody else's; an embedded Postgres under its own account may enter it. */
export function createFolder(t: TestLifetime): string {
  const folder = mkdtempSync(join(tmpdir(), 'postrider-test-'))
  chmodSync(folder, 0o711)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/**
 * The environment of the test without our variables, without what tap loads itself into every Node
 * process with, and without what npm tells the scripts of this package.
 */
export function processEnvironment(): NodeJS.ProcessEnv {
  const ours = new Set<string>(describeVariables().map(({ name }) => name))
  const others = /^(NODE_OPTIONS$|_?TAP|npm_(package|lifecycle|config_local_prefix))/
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !ours.has(name) && !others.test(name)),
  )
}

async function resultOf(child: ChildProcess & { stdout: Readable; stderr: Readable }) {
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout).catch(() => ''), // when we closed it
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { exitCode, stdout, stderr }
}

type Readable = NodeJS.ReadableStream & AsyncIterable<Buffer>

/** Listens beside whoever else reads the streams. */
function waitForOutput(
  child: ChildProcess & { stdout: Readable; stderr: Readable },
  stream: Readable,
  pattern: RegExp,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let said = ''
  let matched = ''
  const fail = (reason: string) => reject(new Error(`${reason} ${pattern}; it said:\n${said}`))
  const timer = setTimeout(() => fail(`waited ${OUTPUT_MS_MAX} ms for`), OUTPUT_MS_MAX)
  const onAny = (chunk: Buffer) => {
    said += chunk
  }
  const onData = (chunk: Buffer) => {
    matched += chunk
    if (pattern.test(matched)) resolve(matched)
  }
  for (const source of [child.stdout, child.stderr]) source.on('data', onAny)
  stream.on('data', onData)
  child.once('close', () => fail('it ended before'))
  return promise.finally(() => {
    clearTimeout(timer)
    for (const source of [child.stdout, child.stderr]) source.off('data', onAny)
    stream.off('data', onData)
  })
}
