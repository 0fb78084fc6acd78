import type { Cleanup } from '../program.ts'
import { type Receiver, startReceiver } from '../systems/start-receiver.ts'
import type { Target } from '../systems/target.ts'
import type { Load } from './load.ts'
import { type Figures, measure } from './measure.ts'
import type { Report } from './report.ts'
import { median, round } from './statistics.ts'
import type { Watched } from './usage.ts'

/** A system that takes part. */
export interface Contender {
  name: string
  /** Starts it afresh, on its own database; what it starts goes into `cleanup`. */
  start(cleanup: Cleanup, receiver: Receiver, name: string): Promise<Running>
}

export interface Running {
  target: Target
  watched: Watched
  /** Rejects when it ends by itself. */
  failed: Promise<never>
}

/** What is asked of each. */
export interface Trial extends Load {
  name: string
  /** Until the receiver answers. */
  delayMs: number
  /** Events before those that count; 300 if left out. */
  warmUpEvents?: number
}

export interface ContestOptions {
  /** The first is what the others are compared with. */
  contenders: readonly Contender[]
  trials: readonly Trial[]
  rounds: number
  bytes: number
  report: Report
  receiverPort?: number
}

/**
 * Runs every trial with every contender in turn, in fresh processes, in an order that is reversed
 * each round: whatever else the machine does then meets all of them alike. Reports each result, and
 * at the end of each trial the medians and how they relate.
 */
export async function contest(cleanup: Cleanup, options: ContestOptions): Promise<void> {
  for (const trial of options.trials) {
    const results = new Map<string, Figures[]>()
    for (let round = 1; round <= options.rounds; round++) {
      const order = round % 2 === 1 ? options.contenders : options.contenders.toReversed()
      for (const contender of order) {
        const figures = await runTrial(cleanup, options, contender, trial, round)
        results.set(contender.name, [...(results.get(contender.name) ?? []), figures])
        options.report({ system: contender.name, ...figures }, { ...trial, round })
      }
    }
    options.report(summary(options.contenders, results), { ...trial, rounds: options.rounds })
  }
}

async function runTrial(
  parent: Cleanup,
  { bytes, receiverPort = 0 }: ContestOptions,
  contender: Contender,
  trial: Trial,
  round: number,
): Promise<Figures> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup, { port: receiverPort, delayMs: trial.delayMs })
  const name = `${contender.name}_${trial.name}_${round}`
    .replaceAll(/[^a-z0-9]+/gi, '_')
    .toLowerCase()
  const running = await contender.start(cleanup, receiver, name)
  return await measure({ ...trial, ...running, receiver, bytes, label: name })
}

/** The figures that are compared. */
function keyFigures(figures: Figures): Record<string, number> {
  const { driver, receiver, ...system } = figures.cpu_ms_per_event
  return {
    accepted_per_s: figures.accepted_per_s,
    delivered_per_s: figures.delivered_per_s,
    answer_p50_ms: figures.answer_ms.p50 ?? Number.NaN,
    answer_p99_ms: figures.answer_ms.p99 ?? Number.NaN,
    receive_p50_ms: figures.publish_to_receive_ms.p50 ?? Number.NaN,
    receive_p99_ms: figures.publish_to_receive_ms.p99 ?? Number.NaN,
    system_cpu_ms_per_event: Object.values(system).reduce((sum, ms) => sum + ms, 0),
    lost: figures.lost,
    repeated: figures.repeated,
  }
}

function summary(contenders: readonly Contender[], results: ReadonlyMap<string, Figures[]>) {
  const raw = Object.fromEntries(
    contenders.map(({ name }) => [name, columns((results.get(name) ?? []).map(keyFigures))]),
  )
  const medians = mapValues(raw, (figures) =>
    mapValues(figures, (values) => round(median(values), 3)),
  )
  const base = medians[contenders[0]?.name ?? ''] ?? {}
  const ratios = mapValues(medians, (figures) =>
    mapValues(figures, (value, key) => round(value / (base[key] ?? Number.NaN), 3)),
  )
  return { system: 'all', medians, ratios, raw }
}

/** Records of numbers as one record of lists. */
function columns(records: readonly Record<string, number>[]): Record<string, number[]> {
  return mapValues(records[0] ?? {}, (_value, key) =>
    records.map((each) => each[key] ?? Number.NaN),
  )
}

function mapValues<From, To>(
  record: Record<string, From>,
  change: (value: From, key: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
