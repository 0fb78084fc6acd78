/**
 * What a tenant with many endpoints costs a neighbour who publishes: the time of the neighbour's publish by HTTP alone,
 * and next to a tenant that has so many publishes under way at a time, each for all of its endpoints. No runner works.
 *
 *     node scripts/bench/fan-out.ts --endpoints 1000 --concurrent 20
 */

import type { Client } from 'pg'
import { startReport } from './measure/report.ts'
import { round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { type Call, startSystem } from './systems/system.ts'

interface FanOutSettings {
  endpoints: number
  concurrent: number
  seconds: number
}

const publish = (call: Call, tenant: string) =>
  call('POST', '/api/events', { tenant, type: 'bench.event', data: { n: 1 } })

async function measureFanOut(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  { endpoints, concurrent, seconds }: FanOutSettings,
) {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const system = await startSystem(cleanup, { server, name, receiverUrl: null, runners: 0 })
  const { call } = system
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  await addTenant(client, 'wide', endpoints)
  await addTenant(client, 'neighbour', 1)
  const times = () => timesOf(seconds, () => publish(call, 'neighbour'))

  await times()
  const alone = figuresOf(await times())
  let isOver = false
  let published = 0
  const flood = Array.from({ length: concurrent }, async () => {
    for (; !isOver; published += 1) await publish(call, 'wide')
  })
  const beside = figuresOf(await times())
  const wide_per_s = round(published / seconds, 1)
  isOver = true
  await Promise.all(flood)
  return { alone, beside, p50_delay_ms: round(beside.p50 - alone.p50, 1), wide_per_s }
}

async function addTenant(client: Client, key: string, endpoints: number): Promise<void> {
  await client.query(
    `with t as (insert into postrider.tenant (key, name) values ($1, $1) returning id)
     insert into postrider.endpoint (tenant_id, url)
     select t.id, 'http://127.0.0.1:1/' || n from t, generate_series(1, $2::int) n`,
    [key, endpoints],
  )
}

/** One after another, with a pause, so that the neighbour is no load by itself. */
async function timesOf(seconds: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  const endsAt = performance.now() + seconds * 1000
  while (performance.now() < endsAt) {
    const began = performance.now()
    await work()
    times.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return times.toSorted((a, b) => a - b)
}

const figuresOf = (times: readonly number[]) => {
  const at = (share: number) => round(times[Math.floor((times.length - 1) * share)] ?? 0, 1)
  return { events: times.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

if (import.meta.main) {
  const settings = readOptions({
    endpoints: { default: 1000, help: 'of the tenant next to the neighbour' },
    concurrent: { default: 20, help: 'publishes of that tenant under way at a time' },
    seconds: { default: 10, help: 'how long, each time' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('fan-out', server)
      report(await measureFanOut(cleanup, { server, name: 'fan_out' }, settings), settings)
    },
    { minutesMax: 10 },
  )
}
