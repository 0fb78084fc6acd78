/**
 * How deliveries grow with the number of runners when receivers take 20 ms to answer. The events
 * are stored before the first runner starts, so that only delivering is measured.
 *
 * `--concurrency` bounds the requests in flight of each runner. Few make a runner wait for its
 * receivers (the case that more runners are for); with the default of the program one runner uses
 * all the CPU that there is, and on a small machine a second one cannot add any.
 *
 *     node scripts/bench/scaling.ts --runners 1,2,4 --concurrency 10
 */
import { setTimeout as delay } from 'node:timers/promises'
import { startProgress } from './measure/progress.ts'
import { startReport } from './measure/report.ts'
import { round } from './measure/statistics.ts'
import { cpuMsPerEvent, usageOf } from './measure/usage.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { type Receiver, startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

/** The first and the last of them meet runners that are starting or idle. */
const EDGE_SHARE = 0.1
const POLL_MS = 100
const MINUTES_MAX = 10

export interface ScalingSettings {
  runners: number
  delay: number
  concurrency: number
  events: number
  bytes: number
}

export async function measureScaling(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  settings: ScalingSettings,
) {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const { events, runners, concurrency } = settings
  const receiver = await startReceiver(cleanup, { delayMs: settings.delay })
  const env = { RUNNER_CONCURRENCY: String(concurrency) }
  const base = { server, name, receiverUrl: receiver.url, env, runners: 0 }
  const system = await startSystem(cleanup, base)
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  await publishMany(client, { events, bytes: settings.bytes })

  for (let i = 0; i < runners; i++) system.startRunner()
  const before = await usageOf(system.watched())
  await Promise.race([allReceived(receiver, events), system.failed()])
  const cpu = cpuMsPerEvent(before, await usageOf(system.watched()), events)
  const { received, distinct } = await receiver.counts()
  const { firstAt } = await receiver.arrivals(events)
  return {
    delivered_per_s: middleRate(firstAt),
    lost: events - distinct,
    repeated: received - distinct,
    cpu_ms_per_event: cpu,
  }
}

/** Until every event has arrived, or for ten minutes. */
export async function allReceived(receiver: Receiver, events: number): Promise<void> {
  const deadline = Date.now() + MINUTES_MAX * 60_000
  const progress = startProgress('delivering', events)
  for (;;) {
    const { distinct } = await receiver.counts()
    progress.update(distinct)
    if (distinct >= events || Date.now() > deadline) return progress.stop()
    await delay(POLL_MS)
  }
}

/** Arrivals a second without the first and the last tenth. */
function middleRate(firstAt: Float64Array): number {
  const arrived = firstAt.filter((at) => at >= 0).toSorted()
  const edge = Math.floor(arrived.length * EDGE_SHARE)
  const middle = arrived.slice(edge, arrived.length - edge)
  const ms = (middle.at(-1) ?? 0) - (middle[0] ?? 0)
  return ms > 0 ? round(((middle.length - 1) * 1000) / ms, 1) : 0
}

if (import.meta.main) {
  const {
    runners: counts,
    rounds,
    ...settings
  } = readOptions({
    runners: { default: [1, 2, 4], help: 'numbers of runners to compare' },
    delay: { default: 20, help: 'milliseconds until the receiver answers' },
    concurrency: { default: 10, help: 'RUNNER_CONCURRENCY of each' },
    events: { default: 4000, help: 'stored before the runners start' },
    bytes: { default: 300, help: 'of each payload' },
    rounds: { default: 1, help: 'of all numbers, in reversed order every other time' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('scaling', server)
      for (let round = 1; round <= rounds; round++) {
        const order = round % 2 === 1 ? counts : counts.toReversed()
        for (const runners of order) {
          const asked = { runners, ...settings }
          const name = `scaling_${runners}_${round}`
          report(await measureScaling(cleanup, { server, name }, asked), asked)
        }
      }
    },
    { minutesMax: 60 },
  )
}
