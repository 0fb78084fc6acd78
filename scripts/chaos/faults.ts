import { setTimeout as delay } from 'node:timers/promises'
import type { Shutdown } from '../../src/testing/servers/restartable-postgres.ts'
import { patiently } from './patiently.ts'
import type { Random } from './random.ts'
import type { ProcessKind, Supervised } from './supervisor.ts'
import type { System } from './system.ts'

/**
 * What is done, and how often among all: first each of them once, so that a short run meets them all, then a
 * bag of these shares is shuffled, used up, and filled again.
 */
const SHARES = {
  'kill runner': 4,
  'kill api': 2,
  'freeze runner': 2,
  'freeze api': 1,
  'restart runner': 1,
  'restart api': 1,
  'terminate backends': 3,
  'restart postgres immediate': 1,
  'restart postgres fast': 1,
  'kill redis': 1,
} as const

export type FaultKind = keyof typeof SHARES

/** Of the pause between two faults, which is shorter or longer by chance. */
const PAUSE_SPREAD = [0.55, 1.45] as const
/** Some outlast the five seconds of silence after which a runner without its lock counts as dead. */
const FREEZE_MS = [1_000, 8_000] as const
const AWAY_MS = [0, 2_500] as const
const BACKENDS_MAX = 6

/** One that struck. */
export interface Fault {
  kind: FaultKind
  /** Milliseconds since 1970. */
  at: number
  /** When it was over: the server accepted connections again, the process went on. */
  until: number
  /** Of the process that it struck, if it was one. */
  pid: number | null
}

export interface Faults {
  /** Those that struck so far. */
  struck: Fault[]
  /** Resolves once each kind has struck. */
  eachStruck: Promise<void>
  /** Strikes no more; resolves once everything runs again. */
  stop(): Promise<void>
}

/** Strikes again and again, one after another; frozen processes and Redis overlap with what follows. */
export function startFaults(options: {
  system: System
  random: Random
  /** On average, between two faults. */
  pauseSeconds: number
  onStrike(fault: Fault): void
}): Faults {
  const { system, random, onStrike } = options
  const stopping = new AbortController()
  const lasting = new Set<Promise<void>>()
  const struck: Fault[] = []
  const eachStruck = Promise.withResolvers<void>()
  let failure: unknown

  const strike = async (kind: FaultKind) => {
    const fault: Fault = { kind, at: Date.now(), until: Number.POSITIVE_INFINITY, pid: null }
    struck.push(fault)
    onStrike(fault)
    const { passes, pid = null } = await STRIKES[kind](system, random)
    fault.pid = pid
    const over = passes
      .then(() => {
        fault.until = Date.now()
      })
      .finally(() => lasting.delete(over))
    lasting.add(over)
  }
  const run = async () => {
    let bag = random.shuffle([...new Set(oneBag(system))])
    while (!stopping.signal.aborted) {
      if (bag.length === 0) {
        eachStruck.resolve()
        bag = random.shuffle(oneBag(system))
      }
      const kind = bag.pop()
      if (kind) await strike(kind)
      const pauseMs = options.pauseSeconds * 1000 * random.between(...PAUSE_SPREAD)
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const running = run().catch((error: unknown) => {
    failure = error
    eachStruck.reject(error)
  })
  eachStruck.promise.catch(() => undefined) // anyone who stops hears of it
  return {
    struck,
    eachStruck: eachStruck.promise,
    async stop() {
      stopping.abort()
      await running
      await Promise.all(lasting)
      if (failure) throw failure
    },
  }
}

function oneBag({ redis }: System): FaultKind[] {
  const kinds = Object.entries(SHARES) as [FaultKind, number][]
  return kinds.flatMap(([kind, share]) =>
    kind === 'kill redis' && !redis ? [] : Array<FaultKind>(share).fill(kind),
  )
}

/** A fault that has struck. `passes` resolves when it is over by itself. */
interface Struck {
  passes: Promise<void>
  pid?: number
}

const STRIKES: Record<FaultKind, (system: System, random: Random) => Promise<Struck>> = {
  'kill runner': (system, random) => end(system, random, 'runner', 'SIGKILL'),
  'kill api': (system, random) => end(system, random, 'api', 'SIGKILL'),
  'restart runner': (system, random) => end(system, random, 'runner', 'SIGTERM'),
  'restart api': (system, random) => end(system, random, 'api', 'SIGTERM'),
  'freeze runner': (system, random) => freeze(system, random, 'runner'),
  'freeze api': (system, random) => freeze(system, random, 'api'),
  'terminate backends': terminateBackends,
  'restart postgres immediate': (system, random) => restartPostgres(system, random, 'immediate'),
  'restart postgres fast': (system, random) => restartPostgres(system, random, 'fast'),
  'kill redis': killRedis,
}

const PASSED: Struck = { passes: Promise.resolve() }

/**
 * One that works: killing what is only starting proves little, and a second SIGTERM cuts short the stop that the
 * first has begun. Waits where none does.
 */
export async function victim(
  { processes }: Pick<System, 'processes'>,
  random: Random,
  kind: ProcessKind,
): Promise<Supervised> {
  const all = processes.filter((process) => process.kind === kind)
  await Promise.race(all.map((process) => process.works()))
  return random.pick(all.filter((process) => process.working()))
}

async function end(system: System, random: Random, kind: ProcessKind, signal: NodeJS.Signals) {
  const ended = await victim(system, random, kind)
  const pid = ended.living()?.pid
  ended.end(signal)
  return { ...PASSED, ...(pid !== undefined && { pid }) }
}

async function freeze(system: System, random: Random, kind: ProcessKind): Promise<Struck> {
  const frozen = await victim(system, random, kind)
  const pid = frozen.living()?.pid
  frozen.freeze()
  const passes = delay(random.between(...FREEZE_MS)).then(() => frozen.thaw())
  return { passes, ...(pid !== undefined && { pid }) }
}

/** Connections of everybody: runners, APIs, the producer, and this program. */
async function terminateBackends({ pool }: System, random: Random): Promise<Struck> {
  const { rows } = await patiently(() =>
    pool.query<{ pid: number }>(
      `select pid from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid() order by pid`,
    ),
  )
  const count = Math.ceil(random.between(0, BACKENDS_MAX))
  const pids = random.shuffle(rows.map(({ pid }) => pid)).slice(0, count)
  await patiently(() =>
    pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids]),
  )
  return PASSED
}

async function restartPostgres({ postgres }: System, random: Random, how: Shutdown) {
  await postgres.stop(how)
  await delay(random.between(...AWAY_MS))
  await postgres.start()
  return PASSED
}

async function killRedis({ redis }: System, random: Random): Promise<Struck> {
  await redis?.stop()
  return { passes: delay(random.between(...AWAY_MS)).then(() => redis?.start()) }
}
