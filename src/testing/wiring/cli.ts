import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describeVariables } from '../../config/config.ts'
import { scratchFolder } from '../scratch.ts'
import type { TestLifetime } from './database.ts'

const PACKED = join(import.meta.dirname, '..', 'packed', 'load.ts')
const CLI = join(import.meta.dirname, '..', '..', 'cli.ts')
/** Far above what a start takes on a busy machine, below tap's own limit, so its message is seen. */
const OUTPUT_MS_MAX = 60_000

export interface CliOptions {
  /** Next to the environment of the test, which gives none of the program's own variables. */
  env?: Record<string, string>
  cwd?: string
  /** Of Node itself. */
  nodeArgs?: string[]
  /** Written to stdin, which is then closed. */
  input?: string | Buffer
}

export interface CliResult {
  exitCode: number | null
  stdout: string
  stderr: string
}

export interface CliProcess {
  pid: number
  /** Resolves with stdout once all of it so far matches; rejects at the bound or the end, with all that was said. */
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

/** Runs the command line as its own process, to its end. */
export async function runCli(t: TestLifetime, args: string[], options: CliOptions = {}) {
  return await startCli(t, args, options).exited
}

/** Starts the command line as its own process; killed when the test ends before it does. */
export function startCli(t: TestLifetime, args: string[], options: CliOptions = {}): CliProcess {
  const child = spawn(...plainNode(...(options.nodeArgs ?? []), CLI, ...args), {
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
    printed: outputOf(child, child.stdout),
    warned: outputOf(child, child.stderr),
    kill: (signal) => void child.kill(signal),
    closeOutput: () => void child.stdout.destroy(),
    exited,
  }
}

/**
 * The command for a Node process as people start it. tap loads itself into every one that a test starts,
 * whatever environment is passed: it has its own way with signals then, and takes half as long again to start.
 * `env` drops that and becomes the program. In a test the program and its packages are in fewer files.
 *
 * @example
 * spawn(...plainNode(program, '--seconds', '5'), { stdio: 'pipe' })
 */
export function plainNode(...args: string[]): [command: string, args: string[]] {
  const cache = process.env['NODE_COMPILE_CACHE']
  const compiled = cache ? [`NODE_COMPILE_CACHE=${cache}`] : []
  // Only a run of tests has packed what there is now.
  const packed = process.env['TAP'] === '1' ? [`--import=${PACKED}`] : []
  return ['env', ['-u', 'NODE_OPTIONS', ...compiled, process.execPath, ...packed, ...args]]
}

/** A folder that is empty and nobody else's; an embedded Postgres under its own account may enter it. */
export function createFolder(t: TestLifetime): string {
  const folder = mkdtempSync(join(scratchFolder(), 'postrider-test-'))
  chmodSync(folder, 0o711)
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  // Where a Postgres in it had to be stopped at once, its processes may outlive it for a moment; what they
  // remove while it is being read is an error for `rm`, and gone the second time.
  t.teardown(() => remove().catch(remove))
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

/** Others may read the streams too. */
function outputOf(
  child: ChildProcess & { stdout: Readable; stderr: Readable },
  stream: Readable,
): (pattern: RegExp) => Promise<string> {
  let said = ''
  let printed = ''
  for (const source of [child.stdout, child.stderr]) {
    source.on('data', (chunk: Buffer) => {
      said += chunk
      if (source === stream) printed += chunk
    })
  }
  return (pattern) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const look = () => {
      if (pattern.test(printed)) resolve(printed)
    }
    const fail = (reason: string) => reject(new Error(`${reason} ${pattern}; it said:\n${said}`))
    const onClose = () => fail('it ended before')
    const timer = setTimeout(() => fail(`waited ${OUTPUT_MS_MAX} ms for`), OUTPUT_MS_MAX)
    stream.on('data', look)
    child.once('close', onClose)
    look()
    return promise.finally(() => {
      clearTimeout(timer)
      stream.off('data', look)
      child.off('close', onClose)
    })
  }
}
