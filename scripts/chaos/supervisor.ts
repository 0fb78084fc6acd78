import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
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

export interface Supervised {
  name: string
  kind: ProcessKind
  /** All lives, the present one last. */
  lives: Life[]
  /** Resolves once it works for the first time; rejects when it ends before. */
  started(): Promise<void>
  /** The present life, if it has not ended. */
  living(): Life | undefined
  /** The same, if it has said that it works and nothing was sent to end it. */
  working(): Life | undefined
  /** Resolves once `working` has one. */
  works(): Promise<void>
  /** Sends a signal that ends the process; it is started again afterwards. */
  end(signal: NodeJS.Signals): void
  /** Stops the process where it is, or lets it go on. */
  freeze(): void
  thaw(): void
  /** Ends it with SIGTERM for good, and resolves with the last life. */
  stop(): Promise<Life | undefined>
}

/** Keeps a `postrider api` or `postrider runner` running: started again whenever it ends. */
export function supervise(
  cleanup: Cleanup,
  options: {
    kind: ProcessKind
    name: string
    env: Record<string, string>
    /** Where its output goes. */
    folder: string
    /** What Node runs. */
    command?: string[]
  },
): Supervised {
  const { kind, name, command = [CLI, kind] } = options
  const log = createWriteStream(join(options.folder, `${name}.log`), { flags: 'a' })
  const lives: Life[] = []
  const stopping = new AbortController()
  const started = Promise.withResolvers<void>()
  let startedAgain = Promise.withResolvers<void>()
  let child: ChildProcess | undefined

  const live = async () => {
    child = spawn(process.execPath, [...PACKED, ...command], {
      // Nothing of our environment but where programs, and their compiled code, are found.
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const life: Life = {
      name,
      pid: child.pid ?? 0,
      hasStarted: false,
      startedAt: Number.POSITIVE_INFINITY,
      endedAt: null,
      runnerId: null,
      asked: null,
      askedAt: 0,
      end: null,
    }
    lives.push(life)
    child.stderr?.on('data', (text) => log.write(text))
    if (child.stdout) {
      createInterface(child.stdout).on('line', (line) => {
        log.write(`${line}\n`)
        if (life.hasStarted || !line.includes(`"${kind}.started"`)) return
        noteStart(life, line)
        started.resolve()
        startedAgain.resolve()
        startedAgain = Promise.withResolvers()
      })
    }
    const [code, signal] = await once(child, 'exit')
    life.end = code ?? signal
    life.endedAt = Date.now()
    started.reject(new Error(`${name} ended with ${life.end} before it had started`))
  }
  const keepAlive = async () => {
    while (!stopping.signal.aborted) {
      await live()
      await delay(RESTART_PAUSE_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  started.promise.catch(() => undefined)
  const kept = keepAlive()

  const living = () => lives.findLast((life) => life.end === null)
  const working = () => {
    const life = living()
    return life?.hasStarted && life.asked === null ? life : undefined
  }
  const works = async () => {
    while (!working()) await startedAgain.promise
  }
  const end = (signal: NodeJS.Signals) => {
    const life = living()
    if (!life) return
    life.asked = signal
    life.askedAt = Date.now()
    child?.kill(signal)
  }
  const stopNow = async (child: ChildProcess) => {
    const life = living()
    if (life) life.asked ??= 'SIGTERM'
    await stopChild(child)
  }
  const stop = async () => {
    stopping.abort()
    child?.kill('SIGCONT')
    // A second SIGTERM would cut short what the first has begun.
    if (child && living()?.asked === 'SIGTERM') await endOrKill(child)
    else if (child) await stopNow(child)
    await kept
    return lives.at(-1)
  }
  cleanup.defer(async () => {
    await stop()
    log.end()
  })
  return {
    name,
    kind,
    lives,
    started: () => started.promise,
    living,
    working,
    works,
    end,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop,
  }
}

function noteStart(life: Life, line: string): void {
  life.hasStarted = true
  life.startedAt = Date.now()
  life.runnerId = JSON.parse(line).runnerId ?? null
}
