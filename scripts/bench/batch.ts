/**
 * Publishing without a request for each event: publish_many with batches of 1,000, publish() inside
 * a producer's own transaction, and the batch route of the API.
 *
 *     node scripts/bench/batch.ts --batches 30 --transactions 500
 */
import type pg from 'pg'
import { startReport } from './measure/report.ts'
import { median, quantile, round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient, publishMany } from './systems/sql.ts'
import { EVENT_TYPE, type System, startSystem, TENANT } from './systems/system.ts'
import { payloadsOf } from './systems/target.ts'

const BATCH_EVENTS = 1000
/** The first calls of a session are planned. */
const WARM_UP = 10
/** Nobody delivers here: an address that is never dialled, since no runner runs. */
const RECEIVER_URL = 'http://127.0.0.1:9'

export interface BatchSettings {
  batches: number
  transactions: number
  bytes: number
}

/** One result for each way. */
export async function measureBatches(
  parent: Cleanup,
  { server, name }: { server: Server; name: string },
  settings: BatchSettings,
): Promise<object[]> {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const base = { server, name, receiverUrl: RECEIVER_URL, runners: 0 }
  const system = await startSystem(cleanup, base)
  const client = await createDatabaseClient(cleanup, system.databaseUrl)
  return [
    { way: 'publish_many', ...(await batchesBySql(client, settings)) },
    { way: 'publish in a transaction', ...(await ownTransactions(client, settings)) },
    { way: 'POST /api/events/batch', ...(await batchesByHttp(system, settings)) },
  ]
}

async function batchesBySql(client: pg.Client, { batches, bytes }: BatchSettings) {
  await publishMany(client, { events: WARM_UP * BATCH_EVENTS, bytes })
  return figuresOf(await publishMany(client, { events: batches * BATCH_EVENTS, bytes }))
}

function figuresOf(durations: number[]) {
  const total = durations.reduce((sum, ms) => sum + ms, 0)
  return {
    events_per_s: round((durations.length * BATCH_EVENTS * 1000) / total, 0),
    batch_ms_p50: round(median(durations)),
  }
}

/** The same insert with and without a publish next to it, in turn. */
async function ownTransactions(client: pg.Client, { transactions, bytes }: BatchSettings) {
  await client.query('create table own_order (id bigserial primary key, data json not null)')
  const data = JSON.stringify(payloadsOf(bytes)(0))
  const plain: number[] = []
  const publishing: number[] = []
  for (let i = 0; i < transactions + WARM_UP; i++) {
    plain.push(await transaction(client, data, false))
    publishing.push(await transaction(client, data, true))
  }
  const [without, within] = [plain, publishing].map((all) => all.slice(WARM_UP).toSorted(byValue))
  return {
    without_publish_ms: distribution(without ?? []),
    with_publish_ms: distribution(within ?? []),
    added_ms_p50: round(median(within ?? []) - median(without ?? [])),
  }
}

const byValue = (a: number, b: number) => a - b

function distribution(sorted: number[]) {
  const at = (share: number) => round(quantile(sorted, share) ?? Number.NaN)
  return { p50: at(0.5), p99: at(0.99) }
}

async function transaction(
  client: pg.Client,
  data: string,
  isPublishing: boolean,
): Promise<number> {
  const startedAt = performance.now()
  await client.query('begin')
  await client.query({
    name: 'insert',
    text: 'insert into own_order (data) values ($1)',
    values: [data],
  })
  if (isPublishing) {
    const text = 'select postrider.publish($1, $2, $3)'
    await client.query({ name: 'publish', text, values: [TENANT, EVENT_TYPE, data] })
  }
  await client.query('commit')
  return performance.now() - startedAt
}

async function batchesByHttp({ target }: System, { batches, bytes }: BatchSettings) {
  const payload = payloadsOf(bytes)
  const events = Array.from({ length: BATCH_EVENTS }, (_, n) =>
    JSON.parse(target.body(n, payload(n))),
  )
  const body = JSON.stringify({ events })
  const durations: number[] = []
  for (let i = 0; i < batches + WARM_UP; i++) {
    const startedAt = performance.now()
    const headers = { ...target.headers, 'content-type': 'application/json' }
    const response = await fetch(`${target.url}/batch`, { method: 'POST', headers, body })
    await response.text()
    if (response.status === 404 || response.status === 405) return { skipped: 'no such route' }
    if (!response.ok) throw new Error(`the batch route answered ${response.status}`)
    if (i >= WARM_UP) durations.push(performance.now() - startedAt)
  }
  return figuresOf(durations)
}

if (import.meta.main) {
  const settings = readOptions({
    batches: { default: 30, help: `of ${BATCH_EVENTS} events, each way` },
    transactions: { default: 500, help: 'of a producer, with a publish and without' },
    bytes: { default: 300, help: 'of each payload' },
  })
  await runProgram(
    async (cleanup) => {
      const server = await startServer(cleanup)
      const report = await startReport('batch', server)
      const results = await measureBatches(cleanup, { server, name: 'batch' }, settings)
      for (const result of results) report(result, settings)
    },
    { minutesMax: 15 },
  )
}
