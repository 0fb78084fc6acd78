import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cleanup } from '../bench/program.ts'
import { type Drained, drain } from './drain.ts'
import { type Fault, startFaults } from './faults.ts'
import { abandonedForNothing } from './judging/cut-off.ts'
import {
  collectEvidence,
  countOpenedCircuits,
  findLeftovers,
  type Leftovers,
  readOpen,
  readReaped,
} from './judging/evidence.ts'
import { judge, type Verdict } from './judging/judge.ts'
import { type BatchVerdict, judgeBatches } from './judging/judge-batches.ts'
import { type ErasureVerdict, judgeErasures } from './judging/judge-erasures.ts'
import { type RecoveryTimes, recoveryTimes } from './judging/recovery.ts'
import {
  type ErasedLine,
  erasedFile,
  openLedger,
  type PublishedLine,
  publishedFile,
} from './ledger.ts'
import { type Operator, startOperator } from './operator.ts'
import { MARKER_TABLE } from './producing/producer-sql.ts'
import { startProducers } from './producing/producers.ts'
import { createRandom } from './random.ts'
import { startReceiver } from './start-receiver.ts'
import type { Life, Supervised } from './supervisor.ts'
import { type System, startSystem } from './system.ts'

export interface ChaosOptions {
  /** How long faults strike at least: until each kind has struck. */
  seconds: number
  /** Between two faults, on average. */
  pauseSeconds: number
  /** Events a second. */
  rate: number
  /** Of every random choice. Processes are not repeated exactly: when what happens is up to the machine. */
  seed: number
  /** How far ahead events may be published: soon enough to see them sent, late enough to meet faults before. */
  aheadSeconds: number
  /** How long one receiver is down in every two minutes, so that its circuit opens. */
  downSeconds: number
  /** How many are kept running, at least two: when one is killed, another takes its work over. */
  runners: number
  /** Whether Postgres waits for the disk. What is acknowledged outlives the end of its process anyway. */
  isDurable: boolean
  /** Afterwards so many seconds may go by without one more delivery that is final. */
  drainSeconds: number
  /** For ledgers, logs and data. */
  folder: string
  say(line: string): void
}

export interface Findings {
  verdict: Verdict
  erasures: ErasureVerdict
  batches: BatchVerdict
  /** Attempts that were taken over although their runner lived. */
  abandonedForNothing: number
  operations: Operator['done']
  drained: Drained
  leftovers: Leftovers
  recovery: RecoveryTimes
  circuitsOpened: number
  faults: Fault[]
  lives: Life[]
  /** Ids of runners that were found dead. */
  reaped: Set<string>
  badAnswers: Map<string, number>
  skipped: number
}

/** A little time without faults, so that the first of them meets a system at work. */
const QUIET_MS = 2_000

/** Runs the system under load and faults, lets it come to rest, and holds the ledgers against the database. */
export async function runChaos(cleanup: Cleanup, options: ChaosOptions): Promise<Findings> {
  const { folder, seed, say, runners, isDurable } = options
  const receiver = await startReceiver(cleanup, { folder, seed, down: options.downSeconds })
  const system = await startSystem(cleanup, {
    folder,
    receiverUrl: receiver.url,
    runners,
    isDurable,
  })
  await system.pool.query(`create table ${MARKER_TABLE} (n int primary key)`)
  say(`started; ledgers and logs are in ${folder}`)
  const { faults, operator, producers, stopPublishing } = await makeTrouble(system, options)
  say('faults end')
  await receiver.calm()
  await stopPublishing()
  const drained = await drain(system.pool, {
    secondsMax: options.drainSeconds,
    onProgress: (open) => say(`${open} deliveries are open`),
  })
  await stopInOrder(system)
  await receiver.close()
  return {
    ...(await examine(system, folder, faults)),
    operations: operator.done,
    drained,
    faults,
    badAnswers: producers.badAnswers,
    skipped: producers.skipped(),
  }
}

/** Publishes, strikes and operates: strikes for long enough, and until each has struck; operates until each is done. */
async function makeTrouble(system: System, options: ChaosOptions) {
  const { folder, seed, aheadSeconds, rate, pauseSeconds, say } = options
  const random = createRandom(seed)
  const ledger = openLedger<PublishedLine>(publishedFile(folder))
  const erased = openLedger<ErasedLine>(erasedFile(folder))
  const producers = startProducers({ system, ledger, random, aheadSeconds, rate })
  await delay(QUIET_MS)
  const onStrike = (fault: Fault) => say(fault.kind)
  const faults = startFaults({ system, random, pauseSeconds, onStrike })
  const operator = startOperator({ pool: system.pool, random: createRandom(seed + 1), erased })
  const longEnough = delay(Math.max(0, options.seconds * 1000 - QUIET_MS))
  await Promise.all([longEnough, faults.eachStruck])
  // What an operation waits for, such as a tenant with enough events, need not cost more lives: starts cost most.
  await faults.stop()
  await operator.eachDone
  await operator.stop()
  await erased.close()
  const stopPublishing = async () => {
    await producers.stop()
    await ledger.close()
  }
  return { faults: faults.struck, operator, producers, stopPublishing }
}

/** What the ledgers, the database and the lives of processes say. */
async function examine({ pool, processes }: System, folder: string, faults: Fault[]) {
  const evidence = await collectEvidence(pool, folder)
  await writeFile(join(folder, 'stored.json'), JSON.stringify(evidence.stored))
  await writeFile(join(folder, 'open.json'), JSON.stringify(await readOpen(pool)))
  const { attempts } = evidence.stored
  const lives = processes.flatMap((process: Supervised) => process.lives)
  const reaped = await readReaped(pool)
  return {
    verdict: judge(evidence),
    erasures: judgeErasures(evidence),
    batches: judgeBatches(evidence),
    abandonedForNothing: abandonedForNothing(attempts, { lives, reaped, faults }).length,
    leftovers: await findLeftovers(pool),
    recovery: recoveryTimes(lives, faults, attempts),
    circuitsOpened: await countOpenedCircuits(pool),
    lives,
    reaped,
  }
}

async function stopInOrder({ processes }: System): Promise<void> {
  await Promise.all(processes.map((process) => process.stop()))
}
