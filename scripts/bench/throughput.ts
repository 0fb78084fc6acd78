/**
 * How many events a second one API accepts and one runner delivers, in a closed loop.
 *
 *     node scripts/bench/throughput.ts --events 10000 --rounds 3
 */

import { type Figures, measure } from './measure/measure.ts'
import { startReport } from './measure/report.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { startSystem } from './systems/system.ts'

export const THROUGHPUT = { events: 10_000, connections: 32, bytes: 300 }

export interface ThroughputSettings {
  events: number
  connections: number
  bytes: number
  apis?: number
  runners?: number
  /** Events sent before those that count. */
  'warm-up'?: number
}

/** On a fresh database with fresh processes. */
export async function measureThroughput(
  parent: Cleanup,
  { server, name, root }: { server: Server; name: string; root?: string },
  settings: ThroughputSettings,
): Promise<Figures> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const { apis = 1, runners = 1 } = settings
  const receiver = await startReceiver(cleanup)
  const base = { server, name, receiverUrl: receiver.url, apis, runners }
  const system = await startSystem(cleanup, { ...base, ...(root && { root }) })
  return await measure({
    ...settings,
    ratePerSecond: 0,
    target: system.target,
    receiver,
    watched: system.watched(),
    failed: system.failed(),
    ...(settings['warm-up'] !== undefined && { warmUpEvents: settings['warm-up'] }),
  })
}

if (import.meta.main) {
  const { rounds, ...settings } = readOptions({
    events: { default: THROUGHPUT.events, help: 'events that count' },
    connections: { default: THROUGHPUT.connections, help: 'of the closed loop' },
    bytes: { default: THROUGHPUT.bytes, help: 'of each payload' },
    apis: { default: 1, help: 'API processes; events go to the first' },
    runners: { default: 1, help: 'runner processes' },
    'warm-up': { default: 300, help: 'events before those that count' },
    rounds: { default: 1, help: 'results, each on a fresh database' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('throughput', server)
      for (let round = 1; round <= rounds; round++) {
        report(await measureThroughput(cleanup, { server, name: `t${round}` }, settings), settings)
      }
    },
    { minutesMax: 5 + rounds * 5 },
  )
}
