/**
 * Memory of API and runner over time under a steady load: whether it grows.
 *
 *     node scripts/bench/memory.ts --minutes 10 --rate 300
 */

import { startReport } from './measure/report.ts'
import { round } from './measure/statistics.ts'
import { measureAt } from './measure/trials.ts'
import { rssMb, usageOf } from './measure/usage.ts'
import { readOptions } from './options.ts'
import { runProgram } from './program.ts'
import { startServer } from './systems/server.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { type System, startSystem } from './systems/system.ts'

const options = readOptions({
  minutes: { default: 10, help: 'how long' },
  rate: { default: 300, help: 'events a second' },
  every: { default: 10, help: 'seconds between readings' },
  bytes: { default: 300, help: 'of each payload' },
})

interface Sample {
  second: number
  api: number
  runner: number
}

/** Reads until stopped. */
function sample(system: System, everySeconds: number) {
  const samples: Sample[] = []
  const startedAt = performance.now()
  const read = async () => {
    const { api = 0, runner = 0 } = rssMb(await usageOf(system.watched()))
    samples.push({ second: Math.round((performance.now() - startedAt) / 1000), api, runner })
  }
  const timer = setInterval(() => void read().catch(console.error), everySeconds * 1000)
  return {
    stop(): Sample[] {
      clearInterval(timer)
      return samples
    },
  }
}

/** The first quarter warms up: heaps find their size. The slope is that of the best line after it. */
function summarise(samples: Sample[]) {
  const steady = samples.slice(Math.floor(samples.length / 4))
  const totals = steady.map(({ second, api, runner }) => ({ second, mb: api + runner }))
  return {
    total_mb_first: totals[0]?.mb ?? null,
    total_mb_last: totals.at(-1)?.mb ?? null,
    total_mb_max: Math.max(...samples.map(({ api, runner }) => api + runner)),
    mb_per_minute: round(slope(totals) * 60, 3),
    samples,
  }
}

function slope(points: { second: number; mb: number }[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(points.map(({ second }) => second))
  const y = mean(points.map(({ mb }) => mb))
  const over = points.reduce((sum, { second, mb }) => sum + (second - x) * (mb - y), 0)
  return over / points.reduce((sum, { second }) => sum + (second - x) ** 2, 0)
}

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const report = await startReport('memory', server)
    const receiver = await startReceiver(cleanup)
    const base = { server, name: 'memory', receiverUrl: receiver.url }
    const system = await startSystem(cleanup, base)
    const sampling = sample(system, options.every)
    const figures = await measureAt(
      system,
      receiver,
      { rate: options.rate, seconds: options.minutes * 60, bytes: options.bytes },
      { label: 'memory' },
    )
    report({ ...summarise(sampling.stop()), ...figures }, options)
  },
  { minutesMax: options.minutes + 10 },
)
