import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { endOrKill, stopChild } from '../bench/processes.ts'
import type { Cleanup } from '../bench/program.ts'

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli.ts')
/** In a test, what this process is started with: the program in few files. */
const PACKED = process.execArgv.filter((arg) => arg.endsWith('/packed/load.ts'))
/** As systemd's RestartSec would be, though shorter, so that a minute holds many lives. */
const RESTART_PAUSE_MS = 300

export type ProcessKind = 'api' | 'runner'

/** One life of a process, from its start to its end. */
export interface Life {
  name: string
  pid: number
  /** It has said that it works. */
  hasStarted: boolean
  /** When it said so, and when it ended; milliseconds since 1970. */
  startedAt: number
  endedAt: number | null
  /** Id of a runner, once it has started. */
  runnerId: string | null
  /** The signal that we sent to end it; null when it ended by itself. */
  asked: NodeJS.Signals | null
  askedAt: number
  /** Exit code or signal; null while it lives. */
  end: number | NodeJS.Signals | null
}

interface SupervisedOptions {
  kind: ProcessKind
  name: string
  env: Record<string, string>
  /** Where its output goes. */
  folder: string
  /** What Node runs. */
  command?: string[]
}

/** Keeps a `postrider api` or `postrider runner` running: started again whenever it ends. */
export function supervise(cleanup: Cleanup, options: SupervisedOptions): Supervised {
  const supervised = new Supervised(options)
  cleanup.defer(() => supervised.close())
  return supervised
}

export class Supervised {
  readonly name: string
  readonly kind: ProcessKind
  /** All lives, the present one last. */
  readonly lives: Life[] = []
  readonly #options: SupervisedOptions
  readonly #log: WriteStream
  readonly #stopping = new AbortController()
  readonly #started = Promise.withResolvers<void>()
  #startedAgain = Promise.withResolvers<void>()
  #child: ChildProcess | undefined
  readonly #kept: Promise<void>

  constructor(options: SupervisedOptions) {
    this.name = options.name
    this.kind = options.kind
    this.#options = options
    this.#log = createWriteStream(join(options.folder, `${options.name}.log`), { flags: 'a' })
    this.#started.promise.catch(() => undefined)
    this.#kept = this.#keepAlive()
  }

  /** Resolves once it works for the first time; rejects when it ends before. */
  started(): Promise<void> {
    return this.#started.promise
  }

  /** The present life, if it has not ended. */
  living(): Life | undefined {
    return this.lives.findLast((life) => life.end === null)
  }

  /** The same, if it has said that it works and nothing was sent to end it. */
  working(): Life | undefined {
    const life = this.living()
    return life?.hasStarted && life.asked === null ? life : undefined
  }

  /** Resolves once `working` has one. */
  async works(): Promise<void> {
    while (!this.working()) await this.#startedAgain.promise
  }

  /** Sends a signal that ends the process; it is started again afterwards. */
  end(signal: NodeJS.Signals): void {
    const life = this.living()
    if (!life) return
    life.asked = signal
    life.askedAt = Date.now()
    this.#child?.kill(signal)
  }

  /** Stops the process where it is. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** Lets a frozen process run again. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Ends it with SIGTERM for good, and resolves with the last life. */
  async stop(): Promise<Life | undefined> {
    this.#stopping.abort()
    this.thaw()
    // A second SIGTERM would cut short what the first has begun.
    if (this.#child && this.living()?.asked === 'SIGTERM') await endOrKill(this.#child)
    else if (this.#child) await this.#stopNow(this.#child)
    await this.#kept
    return this.lives.at(-1)
  }

  async close(): Promise<void> {
    await this.stop()
    this.#log.end()
  }

  async #keepAlive(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#live()
      await delay(RESTART_PAUSE_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #live(): Promise<void> {
    const child = start(this.#options)
    const life = newLife(this.name, child)
    this.#child = child
    this.lives.push(life)
    child.stderr.on('data', (text) => this.#log.write(text))
    createInterface(child.stdout).on('line', (line) => this.#hear(life, line))
    const [code, signal] = await once(child, 'exit')
    life.end = code ?? signal
    life.endedAt = Date.now()
    this.#started.reject(new Error(`${this.name} ended with ${life.end} before it had started`))
  }

  #hear(life: Life, line: string): void {
    this.#log.write(`${line}\n`)
    if (life.hasStarted || !line.includes(`"${this.kind}.started"`)) return
    noteStart(life, line)
    this.#started.resolve()
    this.#startedAgain.resolve()
    this.#startedAgain = Promise.withResolvers()
  }

  async #stopNow(child: ChildProcess): Promise<void> {
    const life = this.living()
    if (life) life.asked ??= 'SIGTERM'
    await stopChild(child)
  }
}

function start({ kind, env, command = [CLI, kind] }: SupervisedOptions) {
  return spawn(process.execPath, [...PACKED, ...command], {
    // Nothing of our environment but where programs, and their compiled code, are found.
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

const newLife = (name: string, { pid = 0 }: ChildProcess): Life => ({
  name,
  pid,
  hasStarted: false,
  startedAt: Number.POSITIVE_INFINITY,
  endedAt: null,
  runnerId: null,
  asked: null,
  askedAt: 0,
  end: null,
})

function noteStart(life: Life, line: string): void {
  life.hasStarted = true
  life.startedAt = Date.now()
  life.runnerId = JSON.parse(line).runnerId ?? null
}
