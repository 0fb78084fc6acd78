/**
 * What one tenant's filters cost a neighbour: 300 endpoints with the most expensive filters and events of the largest size,
 * published in the same statement as the neighbour's event, and next to it while runners ask what was left over. Each
 * round measures all of it, in the order reversed each time; delays are those within a round, and their medians.
 *
 *     node scripts/bench/filters.ts --events 40 --rounds 5
 */

import pg from 'pg'
import { startRoutingLater } from '../../src/duties/route-later.ts'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { startReport } from './measure/report.ts'
import { distributionOf, median, quantile, round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { startServer } from './systems/server.ts'

const TENANTS = `insert into postrider.tenant (key, name) values ('expensive', 'expensive'), ('neighbour', 'neighbour')`
const ENDPOINTS = `
  insert into postrider.endpoint (tenant_id, url, filter)
  select t.id, 'http://127.0.0.1:1/', repeat('$.a.b<0||', 29) || '$.n<' || -n
  from postrider.tenant t, generate_series(1, $1::int) n
  where t.key = 'expensive'`
const PUBLISH = 'select count(*) from postrider.publish_many($1)'

interface Settings {
  events: number
  endpoints: number
  bytes: number
  rounds: number
}

const item = (tenant: string, data: unknown) => ({ tenant, type: 'a', data })
const expensiveItem = (bytes: number) => {
  const element = { b: 1 }
  const size = JSON.stringify(element).length + 1
  return item('expensive', { n: 1, a: Array(Math.floor((bytes - 20) / size)).fill(element) })
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

const CASES = [
  'alone',
  'with_the_same_data_unfiltered',
  'same_statement',
  'while_asked_later',
] as const
type Case = (typeof CASES)[number]

async function measureFilters(cleanup: Cleanup, url: string, settings: Settings) {
  const run = await prepareCases(cleanup, url, settings)
  const times: Record<Case, number[][]> = {
    alone: [],
    with_the_same_data_unfiltered: [],
    same_statement: [],
    while_asked_later: [],
  }
  for (let n = 0; n < settings.rounds; n += 1) {
    for (const one of n % 2 === 0 ? CASES : CASES.toReversed()) times[one].push(await run[one]())
  }
  const delay = (one: Case, than: Case = 'alone') => delayOf(times[one], times[than])
  return {
    ...Object.fromEntries(CASES.map((one) => [`${one}_ms`, figuresOf(times[one])])),
    same_statement_delay_ms: delay('same_statement'),
    filters_delay_ms: delay('same_statement', 'with_the_same_data_unfiltered'),
    while_asked_later_delay_ms: delay('while_asked_later'),
  }
}

/** What the neighbour's event takes in each case, sorted. */
async function prepareCases(
  cleanup: Cleanup,
  url: string,
  { events, endpoints, bytes }: Settings,
): Promise<Record<Case, () => Promise<number[]>>> {
  const connect = () => {
    const pool = new pg.Pool({ connectionString: url, max: 2 })
    cleanup.defer(() => pool.end())
    return pool
  }
  const [pool, producer, runner] = [connect(), connect(), connect()]
  await pool.query(TENANTS)
  await pool.query(ENDPOINTS, [endpoints])
  const publish = (on: pg.Pool, ...items: unknown[]) => on.query(PUBLISH, [JSON.stringify(items)])
  const own = item('neighbour', { n: 1 })
  const expensive = expensiveItem(bytes)
  const plain = item('neighbour', expensive.data)
  await timesOf(10, () => publish(pool, own))
  const measured = (...items: unknown[]) => timesOf(events, () => publish(pool, ...items, own))
  return {
    alone: () => measured(),
    with_the_same_data_unfiltered: () => measured(plain),
    same_statement: () => measured(expensive),
    while_asked_later: () => whileAsked(runner, () => publish(producer, expensive), measured),
  }
}

/** Measures while a producer floods, and a runner evaluates the filters that were left over. */
async function whileAsked(
  pool: pg.Pool,
  flood: () => Promise<unknown>,
  measured: () => Promise<number[]>,
): Promise<number[]> {
  const lane = startRoutingLater({ pool, onError: (error) => console.error(error) })
  let isOver = false
  const flooding = (async () => {
    while (!isOver) await flood()
  })()
  try {
    return await measured()
  } finally {
    isOver = true
    await flooding
    await lane.stop()
  }
}

const p50Of = (sorted: readonly number[]): number => quantile(sorted, 0.5) ?? Number.NaN

/** Of all rounds together, and the median of each. */
function figuresOf(rounds: readonly number[][]) {
  const { p50, p99, max } = distributionOf(Float64Array.from(rounds.flat()))
  return { p50, p99, max, p50_of_rounds: rounds.map((times) => round(p50Of(times), 1)) }
}

/** How much later half of the events were stored, in each round. */
function delayOf(times: readonly number[][], than: readonly number[][]) {
  const rounds = times.map((one, n) => round(p50Of(one) - p50Of(than[n] ?? []), 1))
  const ratios = times.map((one, n) => p50Of(one) / p50Of(than[n] ?? []))
  return { median: round(median(rounds), 1), rounds, ratio: round(median(ratios)) }
}

if (import.meta.main) {
  const settings = readOptions({
    events: { default: 40, help: 'of the neighbour, each time' },
    endpoints: {
      default: 300,
      help: 'of the tenant with the expensive filters, 30 comparisons each',
    },
    bytes: { default: 262_144, help: 'of its events; SQL takes 1048576' },
    rounds: { default: 3, help: 'each with all cases, in the order reversed each time' },
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
