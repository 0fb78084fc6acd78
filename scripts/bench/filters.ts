/**
 * What one tenant's filters cost a neighbour: 300 endpoints with the dearest filters and events of the largest size,
 * published in the same statement as the neighbour's event, and next to it while runners ask what was left over.
 *
 *     node scripts/bench/filters.ts --events 40
 */

import pg from 'pg'
import { startRoutingLater } from '../../src/duties/route-later.ts'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { startReport } from './report.ts'
import { startServer } from './server.ts'
import { round } from './statistics.ts'

const TENANTS = `insert into postrider.tenant (key, name) values ('dear', 'dear'), ('neighbour', 'neighbour')`
const ENDPOINTS = `
  insert into postrider.endpoint (tenant_id, url, filter)
  select t.id, 'http://127.0.0.1:1/', repeat('$.a.b<0||', 29) || '$.n<' || -n
  from postrider.tenant t, generate_series(1, $1::int) n
  where t.key = 'dear'`
const PUBLISH = 'select count(*) from postrider.publish_many($1)'

interface Settings {
  events: number
  endpoints: number
  bytes: number
}

const item = (tenant: string, data: unknown) => ({ tenant, type: 'a', data })
const dearItem = (bytes: number) => {
  const element = { b: 1 }
  const size = JSON.stringify(element).length + 1
  return item('dear', { n: 1, a: Array(Math.floor((bytes - 20) / size)).fill(element) })
}

async function timesOf(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    const began = performance.now()
    await work()
    times.push(performance.now() - began)
  }
  return times.toSorted((a, b) => a - b)
}

const figuresOf = (times: readonly number[]) => ({
  p50: round(times[Math.floor(times.length / 2)] ?? 0, 1),
  max: round(times.at(-1) ?? 0, 1),
})

async function measureFilters(cleanup: Cleanup, url: string, settings: Settings) {
  const connect = () => {
    const pool = new pg.Pool({ connectionString: url, max: 2 })
    cleanup.defer(() => pool.end())
    return pool
  }
  const [pool, producer, runner] = [connect(), connect(), connect()]
  await pool.query(TENANTS)
  await pool.query(ENDPOINTS, [settings.endpoints])
  const publish = (on: pg.Pool, ...items: unknown[]) => on.query(PUBLISH, [JSON.stringify(items)])
  const own = item('neighbour', { n: 1 })
  const dear = dearItem(settings.bytes)
  const plain = item('neighbour', dear.data)

  await timesOf(10, () => publish(pool, own))
  const alone = figuresOf(await timesOf(settings.events, () => publish(pool, own)))
  const besideData = figuresOf(await timesOf(settings.events, () => publish(pool, plain, own)))
  const together = figuresOf(await timesOf(settings.events, () => publish(pool, dear, own)))

  const lane = startRoutingLater({ pool: runner, onError: (error) => console.error(error) })
  let isOver = false
  const flood = (async () => {
    while (!isOver) await publish(producer, dear)
  })()
  const beside = figuresOf(await timesOf(settings.events, () => publish(pool, own)))
  isOver = true
  await flood
  await lane.stop()
  return {
    alone_ms: alone,
    with_the_same_data_unfiltered_ms: besideData,
    same_statement_ms: together,
    while_asked_later_ms: beside,
    same_statement_delay_ms: round(together.p50 - alone.p50, 1),
    filters_delay_ms: round(together.p50 - besideData.p50, 1),
    while_asked_later_delay_ms: round(beside.p50 - alone.p50, 1),
    while_asked_later_ratio: round(beside.p50 / alone.p50, 2),
  }
}

if (import.meta.main) {
  const settings = readOptions({
    events: { default: 40, help: 'of the neighbour, each time' },
    endpoints: { default: 300, help: 'of the tenant with the dear filters, 30 comparisons each' },
    bytes: { default: 262_144, help: 'of its events; SQL takes 1048576' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const url = await server.createDatabase('bench_filters')
      await migrate(url)
      const report = await startReport('filters', server)
      report(await measureFilters(cleanup, url, settings), settings)
    },
    { minutesMax: 10 },
  )
}
