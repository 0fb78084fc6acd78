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
  /** How long faults strike at least: until each kind has struck, and each operation has been done. */
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
  const { folder, seed, say, aheadSeconds, isDurable } = options
  const random = createRandom(seed)
  const receiver = await startReceiver(cleanup, { folder, seed, down: options.downSeconds })
  const system = await startSystem(cleanup, { folder, receiverUrl: receiver.url, isDurable })
  await system.pool.query(`create table ${MARKER_TABLE} (n int primary key)`)
  const ledger = openLedger<PublishedLine>(publishedFile(folder))
  const erased = openLedger<ErasedLine>(erasedFile(folder))
  say(`started; ledgers and logs are in ${folder}`)

  const producers = startProducers({ system, ledger, random, aheadSeconds, rate: options.rate })
  await delay(QUIET_MS)
  const faults = startFaults({
    system,
    random,
    pauseSeconds: options.pauseSeconds,
    onStrike: (fault) => say(fault.kind),
  })
  const operator = startOperator({ pool: system.pool, random: createRandom(seed + 1), erased })
  const longEnough = delay(Math.max(0, options.seconds * 1000 - QUIET_MS))
  await Promise.all([longEnough, faults.eachStruck, operator.eachDone])

  say('faults end')
  await faults.stop()
  await operator.stop()
  await erased.close()
  await receiver.calm()
  await producers.stop()
  await ledger.close()
  const drained = await drain(system.pool, {
    secondsMax: options.drainSeconds,
    onProgress: (open) => say(`${open} deliveries are open`),
  })
  await stopInOrder(system)
  await receiver.close()

  const evidence = await collectEvidence(system.pool, folder)
  await writeFile(join(folder, 'stored.json'), JSON.stringify(evidence.stored))
  await writeFile(join(folder, 'open.json'), JSON.stringify(await readOpen(system.pool)))
  const lives = system.processes.flatMap((process: Supervised) => process.lives)
  const reaped = await readReaped(system.pool)
  const { struck } = faults
  return {
    verdict: judge(evidence),
    erasures: judgeErasures(evidence),
    batches: judgeBatches(evidence),
    abandonedForNothing: abandonedForNothing(evidence.stored.attempts, {
      lives,
      reaped,
      faults: struck,
    }).length,
    operations: operator.done,
    drained,
    leftovers: await findLeftovers(system.pool),
    recovery: recoveryTimes(lives, struck, evidence.stored.attempts),
    circuitsOpened: await countOpenedCircuits(system.pool),
    faults: struck,
    lives,
    reaped,
    badAnswers: producers.badAnswers,
    skipped: producers.skipped(),
  }
}

async function stopInOrder({ processes }: System): Promise<void> {
  await Promise.all(processes.map((process) => process.stop()))
}
