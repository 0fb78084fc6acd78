/**
 * What a hanging neighbour costs: one tenant's endpoint takes connections and never answers, with a backlog
 * of events for it; another tenant publishes at a steady rate. Its publish→receive p99 with the neighbour is
 * compared with that alone, in one run.
 *
 *     node scripts/bench/neighbour.ts --backlog 10000 --rate 50 --seconds 30
 */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { type Figures, measure } from './measure.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { startReport } from './report.ts'
import { type Server, startServer } from './server.ts'
import { createDatabaseClient, publishMany } from './sql.ts'
import { type Receiver, startReceiver } from './start-receiver.ts'
import { round } from './statistics.ts'
import { type System, startSystem } from './system.ts'
import { OPEN_CONNECTIONS } from './trials.ts'

const NEIGHBOUR = 'neighbour'

interface NeighbourSettings {
  backlog: number
  rate: number
  seconds: number
  bytes: number
  timeout: number
}

export async function measureNeighbour(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  settings: NeighbourSettings,
): Promise<{
  alone: Figures
  beside: Figures
  p50_ratio: number | null
  p99_ratio: number | null
}> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const system = await startSystem(cleanup, { server, name, receiverUrl: receiver.url })
  const alone = await measureOne(system, receiver, settings, 'alone')

  await startHanging(cleanup, system, settings)
  const beside = await measureOne(system, receiver, settings, 'beside a hanging endpoint')
  return {
    alone,
    beside,
    p50_ratio: ratioOf(beside.publish_to_receive_ms.p50, alone.publish_to_receive_ms.p50),
    p99_ratio: ratioOf(beside.publish_to_receive_ms.p99, alone.publish_to_receive_ms.p99),
  }
}

async function measureOne(
  system: System,
  receiver: Receiver,
  { rate, seconds, bytes }: NeighbourSettings,
  label: string,
): Promise<Figures> {
  await receiver.reset()
  return await measure({
    target: system.target,
    receiver,
    watched: system.watched(),
    failed: system.failed(),
    events: Math.round(rate * seconds),
    ratePerSecond: rate,
    connections: OPEN_CONNECTIONS,
    bytes,
    label,
  })
}

/** Another tenant whose endpoint never answers, with a backlog of events. */
async function startHanging(
  cleanup: Cleanup,
  system: System,
  { backlog, bytes, timeout }: NeighbourSettings,
): Promise<void> {
  const sockets = new Set<net.Socket>()
  const hanging = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.resume()
  })
  hanging.listen(0, '127.0.0.1')
  await once(hanging, 'listening')
  cleanup.defer(() => {
    for (const socket of sockets) socket.destroy()
    hanging.close()
  })
  const { port } = hanging.address() as AddressInfo
  await system.call('PUT', `/api/tenants/${NEIGHBOUR}`)
  await system.call('POST', `/api/tenants/${NEIGHBOUR}/endpoints`, {
    url: `http://127.0.0.1:${port}/`,
    timeoutSeconds: timeout,
  })
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  await publishMany(client, { events: backlog, bytes, eventOf: () => ({ tenant: NEIGHBOUR }) })
}

function ratioOf(with_: number | null, without: number | null): number | null {
  return with_ === null || without === null || without === 0 ? null : round(with_ / without, 2)
}

if (import.meta.main) {
  const settings = readOptions({
    backlog: { default: 10_000, help: 'events that wait for the hanging endpoint' },
    rate: { default: 50, help: 'events a second of the other tenant' },
    seconds: { default: 30, help: 'how long, each time' },
    bytes: { default: 300, help: 'of each payload' },
    timeout: { default: 15, help: 'seconds until an attempt to the hanging endpoint is given up' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('neighbour', server)
      report(await measureNeighbour(cleanup, { server, name: 'neighbour' }, settings), settings)
    },
    { minutesMax: 15 },
  )
}
