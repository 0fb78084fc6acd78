/**
 * How long it takes from an event falling due at the producer to its arrival at the receiver, at
 * given rates. A fresh system for each rate.
 *
 *     node scripts/bench/latency.ts --rates 100,300 --seconds 20
 */
import { type Figures, measure } from './measure.ts'
import { numbersOf, readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { startReport } from './report.ts'
import { type Server, startServer } from './server.ts'
import { startReceiver } from './start-receiver.ts'
import { startSystem } from './system.ts'
import { OPEN_CONNECTIONS } from './trials.ts'

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
  return await measure({
    target: system.target,
    receiver,
    watched: system.watched(),
    failed: system.failed(),
    events: Math.round(rate * seconds),
    ratePerSecond: rate,
    connections: OPEN_CONNECTIONS,
    bytes,
    label: `latency at ${rate}/s`,
  })
}

if (import.meta.main) {
  const { rates, ...settings } = readOptions({
    rates: { default: '100', help: 'events a second, comma separated' },
    seconds: { default: 20, help: 'at each rate' },
    bytes: { default: 300, help: 'of each payload' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('latency', server)
      for (const rate of numbersOf(rates)) {
        const name = `latency_${rate}`.replace('.', '_')
        const asked = { rate, ...settings }
        report(await measureLatency(cleanup, { server, name }, asked), asked)
      }
    },
    { minutesMax: 30 },
  )
}
