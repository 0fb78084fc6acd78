/**
 * How long it takes from an event falling due at the producer to its arrival at the receiver, at
 * given rates. A fresh system for each rate.
 *
 *     node scripts/bench/latency.ts --rates 100,300 --seconds 20
 *     node scripts/bench/latency.ts --rates 50,100,200,400,800,1600 --svg docs/images/load
 */
import { writeFile } from 'node:fs/promises'
import type { Figures } from './measure/measure.ts'
import { drawPlot, type Series } from './measure/plot.ts'
import { startReport } from './measure/report.ts'
import { measureAt } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

export interface LatencySettings {
  /** Events a second. */
  rate: number
  seconds: number
  bytes: number
}

export async function measureLatency(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  { rate, seconds, bytes }: LatencySettings,
): Promise<Figures> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const system = await startSystem(cleanup, { server, name, receiverUrl: receiver.url })
  return await measureAt(
    system,
    receiver,
    { rate, seconds, bytes },
    { label: `latency at ${rate}/s` },
  )
}

/** Writes `<path>-latency.svg` and `<path>-throughput.svg`: what a load does to both. */
async function writePlots(path: string, measured: readonly (Figures & { rate: number })[]) {
  // Null when nothing arrived, which has no place in a plot.
  const line = (name: string, of: (figures: Figures) => number | null): Series => ({
    name,
    points: measured.flatMap((figures) => {
      const value = of(figures)
      return value === null ? [] : [[figures.rate, value] as const]
    }),
  })
  const latency = drawPlot({
    title: 'Latency over load',
    x: 'events published a second',
    y: 'ms',
    series: [
      line('answer p50', ({ answer_ms: ms }) => ms.p50),
      line('answer p99', ({ answer_ms: ms }) => ms.p99),
      line('receive p50', ({ publish_to_receive_ms: ms }) => ms.p50),
      line('receive p99', ({ publish_to_receive_ms: ms }) => ms.p99),
    ],
  })
  const throughput = drawPlot({
    title: 'Throughput over load',
    x: 'events published a second',
    y: 'events/s',
    series: [
      line('accepted', (figures) => figures.accepted_per_s),
      line('delivered', (figures) => figures.delivered_per_s),
    ],
  })
  await writeFile(`${path}-latency.svg`, latency)
  await writeFile(`${path}-throughput.svg`, throughput)
}

if (import.meta.main) {
  const { rates, svg, ...settings } = readOptions({
    rates: { default: [100], help: 'events a second, comma separated' },
    seconds: { default: 20, help: 'at each rate' },
    bytes: { default: 300, help: 'of each payload' },
    svg: { default: '', help: 'path without ending of two plots to write' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('latency', server)
      const measured = []
      for (const rate of rates) {
        const name = `latency_${rate}`.replace('.', '_')
        const asked = { rate, ...settings }
        const figures = await measureLatency(cleanup, { server, name }, asked)
        report(figures, asked)
        measured.push({ rate, ...figures })
      }
      if (svg) await writePlots(svg, measured)
    },
    { minutesMax: 30 },
  )
}
