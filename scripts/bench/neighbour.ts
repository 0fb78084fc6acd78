/**
 * What a hanging neighbour costs: one tenant's endpoints take connections and never answer, with a backlog of
 * deliveries to them; another tenant publishes at a steady rate. Its publish→receive p99 with the neighbour is
 * compared with that alone, in pairs: each time with fresh processes and a fresh database on one Postgres, the order reversed
 * each round. Ratios are those of pairs, and their medians. It begins once every delivery of the backlog has been tried
 * or put off, or as soon as the backlog is there (`--settled 0`), which is the worst moment.
 *
 *     node scripts/bench/neighbour.ts --backlog 10000 --rate 50 --seconds 30
 *     node scripts/bench/neighbour.ts --endpoints 1000 --timeout 60
 *     node scripts/bench/neighbour.ts --endpoints 1000 --timeout 60 --settled 0 --rounds 5
 */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import type { Client } from 'pg'
import type { Figures } from './measure/measure.ts'
import { startReport } from './measure/report.ts'
import { median, round } from './measure/statistics.ts'
import { measureAt } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { type Receiver, startReceiver } from './systems/start-receiver.ts'
import { type System, startSystem } from './systems/system.ts'

const NEIGHBOUR = 'neighbour'

interface NeighbourSettings {
  endpoints: number
  backlog: number
  rate: number
  seconds: number
  bytes: number
  timeout: number
  settled: number
  rounds: number
}

const CASES = ['alone', 'beside'] as const
type Case = (typeof CASES)[number]

async function measureNeighbour(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  settings: NeighbourSettings,
) {
  const figures: Record<Case, Figures[]> = { alone: [], beside: [] }
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const one of round % 2 === 0 ? CASES : CASES.toReversed()) {
      figures[one].push(await measureCase(parent, { server, name, one, round }, settings))
    }
  }
  return { ...figures, p50: ratiosOf(figures, 'p50'), p99: ratiosOf(figures, 'p99') }
}

/** With processes and a database that nothing was done with before. */
async function measureCase(
  parent: Cleanup,
  { server, name, one, round }: { server: Server; name: string; one: Case; round: number },
  settings: NeighbourSettings,
): Promise<Figures> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const own = `${name}_${one}_${round}`
  const system = await startSystem(cleanup, { server, name: own, receiverUrl: receiver.url })
  if (one === 'beside') await startHanging(cleanup, system, settings)
  return await measureOne(system, receiver, settings, `${one}, round ${round + 1}`)
}

/** Of each pair, and the median. */
function ratiosOf(figures: Record<Case, Figures[]>, share: 'p50' | 'p99') {
  const [alone, beside] = CASES.map((one) =>
    figures[one].map(({ publish_to_receive_ms }) => publish_to_receive_ms[share]),
  )
  const ratios = (beside ?? []).flatMap((with_, n) => ratioOf(with_, alone?.[n] ?? null) ?? [])
  return { alone_ms: alone, beside_ms: beside, ratios, ratio: round(median(ratios)) }
}

async function measureOne(
  system: System,
  receiver: Receiver,
  { rate, seconds, bytes }: NeighbourSettings,
  label: string,
): Promise<Figures> {
  await receiver.reset()
  return await measureAt(system, receiver, { rate, seconds, bytes }, { label })
}

/** Another tenant whose endpoints never answer, with a backlog of deliveries to them. */
async function startHanging(
  cleanup: Cleanup,
  system: System,
  { endpoints, backlog, bytes, timeout, settled }: NeighbourSettings,
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
  for (let n = 0; n < endpoints; n++) {
    await system.call('POST', `/api/tenants/${NEIGHBOUR}/endpoints`, {
      url: `http://127.0.0.1:${port}/${n}`,
      timeoutSeconds: timeout,
    })
  }
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  const events = Math.max(Math.round(backlog / endpoints), 1)
  await publishMany(client, { events, bytes, eventOf: () => ({ tenant: NEIGHBOUR }) })
  if (settled > 0) await allLookedAt(client)
}

/** Until a runner has tried each of the backlog, or put it off, or two minutes have passed. */
async function allLookedAt(client: Client): Promise<void> {
  const deadline = Date.now() + 120_000
  for (;;) {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int from postrider.delivery d join postrider.tenant t on t.id = d.tenant_id
       where t.key = $1 and d.state = 'pending' and d.put_off_until is null and d.attempt_count = 0`,
      [NEIGHBOUR],
    )
    if (rows[0]?.count === 0 || Date.now() > deadline) return
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

function ratioOf(with_: number | null, without: number | null): number | null {
  return with_ === null || without === null || without === 0 ? null : round(with_ / without, 2)
}

if (import.meta.main) {
  const settings = readOptions({
    endpoints: { default: 1, help: 'that hang, all of one tenant' },
    backlog: { default: 10_000, help: 'deliveries that wait for the hanging endpoints' },
    rate: { default: 50, help: 'events a second of the other tenant' },
    seconds: { default: 30, help: 'how long, each time' },
    bytes: { default: 300, help: 'of each payload' },
    timeout: { default: 15, help: 'seconds until an attempt to a hanging endpoint is given up' },
    settled: { default: 1, help: '0 = measure as soon as the backlog is there' },
    rounds: { default: 3, help: 'pairs of alone and next to the hanging endpoints' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('neighbour', server)
      report(await measureNeighbour(cleanup, { server, name: 'neighbour' }, settings), settings)
    },
    { minutesMax: 60 },
  )
}
