/**
 * What batches gain one endpoint: a burst of events, stored before the runner starts, and delivered
 *
 * - `single`   each in a separate request
 * - `batches`  so many in a request
 *
 * to a receiver with so many workers (`--at-once`), each of which takes a request in `--delay` ms, however many events it has: a commit, or
 * a call. With `--delay 0` it takes nothing, and the CPU of the service decides. The cases of a round follow one another,
 * in reversed order every other time; a rate counts from the first arrival to the last, and
 * CPU from the first arrival too, without the start of the runner. `ratio` is that of the medians.
 *
 *     node scripts/bench/batches.ts --events 10000 --max-events 100 --delay 10 --at-once 4 --rounds 3
 *
 * Whether endpoints without batches cost what they did before is asked by
 *
 *     node scripts/bench/compare.ts <commit before>
 *     node scripts/bench/burst.ts <commit before>
 */

import { startReport } from './measure/report.ts'
import { median, round } from './measure/statistics.ts'
import { cpuMsPerEvent, usageOf } from './measure/usage.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { allReceived } from './scaling.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

const CASES = ['single', 'batches'] as const
type Case = (typeof CASES)[number]

interface BatchSettings {
  events: number
  maxEvents: number
  bytes: number
  delay: number
  atOnce: number
}

async function measureCase(
  parent: Cleanup,
  { server, name, which }: { server: Server; name: string; which: Case },
  { events, maxEvents, bytes, delay, atOnce }: BatchSettings,
) {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup, { delayMs: delay, atOnce })
  const system = await startSystem(cleanup, { server, name, receiverUrl: receiver.url, runners: 0 })
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  if (which === 'batches') {
    const bounds = { maxEvents, maxWaitMs: 1000, maxBytes: 8_388_608 }
    await client.query('update postrider.endpoint set batch_bounds = $1', [JSON.stringify(bounds)])
  }
  await publishMany(client, { events, bytes })

  system.startRunner()
  await Promise.race([allReceived(receiver, 1), system.failed()])
  const { distinct: beforehand } = await receiver.counts()
  const before = await usageOf(system.watched())
  await Promise.race([allReceived(receiver, events), system.failed()])
  const cpu = cpuMsPerEvent(before, await usageOf(system.watched()), events - beforehand)
  const { received, distinct } = await receiver.counts()
  const { firstAt } = await receiver.arrivals(events)
  const arrived = firstAt.filter((at) => at >= 0).toSorted()
  const ms = (arrived.at(-1) ?? 0) - (arrived[0] ?? 0)
  return {
    delivered_per_s: round(((arrived.length - 1) * 1000) / ms, 1),
    requests: received,
    lost: events - distinct,
    cpu_ms_per_event: cpu,
  }
}

const {
  rounds,
  'max-events': maxEvents,
  'at-once': atOnce,
  ...rest
} = readOptions({
  events: { default: 10_000, help: 'of each burst' },
  'max-events': { default: 100, help: 'in a batch' },
  bytes: { default: 300, help: 'of each payload' },
  delay: { default: 10, help: 'milliseconds until the receiver answers' },
  'at-once': { default: 4, help: 'requests that it handles at a time; 0 = all' },
  rounds: { default: 3, help: 'in reversed order every other time' },
})

await runProgram(
  async (cleanup) => {
    const settings = { ...rest, maxEvents, atOnce }
    const server = await startServer(cleanup)
    const report = await startReport('batches', server)
    const results = new Map<Case, number[]>(CASES.map((which) => [which, []]))
    for (let n = 1; n <= rounds; n++) {
      for (const which of n % 2 === 1 ? CASES : CASES.toReversed()) {
        const name = `batches_${which}_${n}`
        const figures = await measureCase(cleanup, { server, name, which }, settings)
        results.get(which)?.push(figures.delivered_per_s)
        report({ case: which, ...figures }, { ...settings, round: n })
      }
    }
    const [single, batches] = CASES.map((which) => median(results.get(which) ?? []))
    const ratio = round((batches ?? 0) / (single ?? 1), 2)
    report({ case: 'all', single, batches, ratio }, { ...settings, rounds })
  },
  { minutesMax: 30 },
)
