/**
 * What a slow receiver costs the others: every request takes two seconds to be answered, at 100
 * events a second. The 202 must stay quick, and one runner must keep up.
 *
 *     node scripts/bench/slow-receivers.ts --seconds 30
 */

import { monotonicMs } from './measure/clock.ts'
import type { Figures } from './measure/measure.ts'
import { startReport } from './measure/report.ts'
import { round } from './measure/statistics.ts'
import { measureAt, SLOW_MS } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { type Receiver, startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

export interface SlowSettings {
  delay: number
  rate: number
  seconds: number
  bytes: number
}

export async function measureSlowReceivers(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  { delay, rate, seconds, bytes }: SlowSettings,
): Promise<Figures & { steady_delivered_per_s: number | null }> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup, { delayMs: delay })
  const system = await startSystem(cleanup, { server, name, receiverUrl: receiver.url })
  const steady = watchSteadyRate(receiver, { fromMs: 2 * delay, untilMs: seconds * 1000 })
  const figures = await measureAt(
    system,
    receiver,
    { rate, seconds, bytes },
    { onStart: steady.start, label: `slow receivers at ${rate}/s` },
  )
  return { ...figures, steady_delivered_per_s: await steady.rate() }
}

/** Requests per second while the load lasts, without its beginning, when nothing is in flight yet. */
function watchSteadyRate(
  receiver: Receiver,
  { fromMs, untilMs }: { fromMs: number; untilMs: number },
) {
  const reading = async (afterMs: number) => {
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    return { at: monotonicMs(), received: (await receiver.counts()).received }
  }
  let readings: Promise<{ at: number; received: number }>[] = []
  return {
    start: () => {
      readings = [reading(fromMs), reading(untilMs)]
    },
    async rate(): Promise<number | null> {
      const [first, last] = await Promise.all(readings)
      if (!first || !last || last.at <= first.at) return null
      return round(((last.received - first.received) * 1000) / (last.at - first.at), 1)
    },
  }
}

if (import.meta.main) {
  const settings = readOptions({
    delay: { default: SLOW_MS, help: 'milliseconds until the receiver answers' },
    rate: { default: 100, help: 'events a second' },
    seconds: { default: 30, help: 'how long' },
    bytes: { default: 300, help: 'of each payload' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('slow-receivers', server)
      report(await measureSlowReceivers(cleanup, { server, name: 'slow' }, settings), settings)
    },
    { minutesMax: 15 },
  )
}
