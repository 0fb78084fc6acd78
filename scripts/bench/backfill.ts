/**
 * Whether a receiver has what the table has, after a backfill under which rows were updated, deleted and inserted.
 *
 * A table with so many rows is attached and backfilled by a runner, while writers change it as fast as they are
 * answered. The receiver takes the events of a row in order, and keeps the newest state of each. When
 * everything is delivered, the two are compared; the exit code is 1 unless they are the same. A line on stderr says
 * every ten seconds how far it is.
 *
 *     node scripts/bench/backfill.ts --rows 1000000 --writers 3
 */
import { randomInt } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { startReport } from './measure/report.ts'
import { round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { startServer } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { startSystem, TENANT } from './systems/system.ts'

const LOOK_EVERY_MS = 500
const BATCH = { maxWaitMs: 1_000, maxBytes: 1_048_576 }
const TELL_EVERY_MS = 10_000
/** Of each writer: a backlog that only grows would say nothing. */
const CHANGES_PER_SECOND_MAX = 20

interface Row {
  id: number
  status: string
  total: number
}

interface Event {
  type: string
  data: Row
}

/** What a receiver believes: the state of each row, as the last event about it said. */
class Copy {
  readonly rows = new Map<number, Row>()
  received = 0

  take(body: string): void {
    const sent = JSON.parse(body) as Event | { events: Event[] }
    for (const event of 'events' in sent ? sent.events : [sent]) this.apply(event)
  }

  private apply({ type, data }: Event): void {
    this.received += 1
    if (type.endsWith('.deleted')) this.rows.delete(data.id)
    else this.rows.set(data.id, data)
  }
}

async function startCopying(cleanup: Cleanup): Promise<{ url: string; copy: Copy }> {
  const copy = new Copy()
  const server = createServer(async (request: IncomingMessage, response) => {
    copy.take(await text(request))
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  cleanup.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  return { url: `http://127.0.0.1:${port}`, copy }
}

async function createTable(client: Client, rows: number): Promise<void> {
  await client.query('create schema shop')
  await client.query(
    'create table shop.thing (id int primary key, account text, status text, total int)',
  )
  await client.query(
    `insert into shop.thing select n, $1, 'open', 0 from generate_series(1, $2::int) as n`,
    [TENANT, rows],
  )
  await client.query(`
    select postrider.attach('shop.thing', type => 'thing', tenant => 'account', data => '{id, status, total}',
      ordering_key => 'id')`)
}

/** Half of them updates of one row, the others of several rows, deletions, insertions and upserts. */
function anyChange(rows: number): string {
  const id = randomInt(1, Math.ceil(rows * 1.1))
  const changes = [
    `update shop.thing set total = total + 1 where id = ${id}`,
    `update shop.thing set total = total + 1 where id = ${id}`,
    `update shop.thing set status = 'changed', total = total + 1 where id between ${id} and ${id + 4}`,
    `delete from shop.thing where id = ${id}`,
    `insert into shop.thing values (${id}, '${TENANT}', 'new', 0) on conflict (id) do update set status = 'again'`,
  ]
  return changes[randomInt(changes.length)] as string
}

/** Until the signal. @returns how many changes */
async function write(client: Client, rows: number, signal: AbortSignal): Promise<number> {
  let changes = 0
  for (; !signal.aborted; changes++) {
    await client.query(anyChange(rows))
    await delay(1_000 / CHANGES_PER_SECOND_MAX)
  }
  return changes
}

async function untilHolds(client: Client, query: string): Promise<void> {
  while (!(await client.query<{ holds: boolean }>(query)).rows[0]?.holds) await delay(LOOK_EVERY_MS)
}

/** Counts, as comparing a million rows every time would slow down what is measured. */
async function tellProgress(client: Client, copy: Copy, startedAt: number): Promise<void> {
  const { rows } = await client.query<Record<'read' | 'total' | 'present', number>>(`
    select b.read::float8 as read, b.total::float8 as total, (select count(*)::int from shop.thing) as present
    from postrider.backfill_progress b`)
  const { read, total, present } = rows[0] ?? { read: 0, total: 0, present: 0 }
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  const missing = present - copy.rows.size
  process.stderr.write(
    `${seconds} s: ${read} of ${total} rows walked, ${copy.received} events received, ${missing} rows missing so far\n`,
  )
}

function startTelling(cleanup: Cleanup, client: Client, copy: Copy): void {
  const startedAt = performance.now()
  const timer = setInterval(() => {
    tellProgress(client, copy, startedAt).catch((error) => console.error(error))
  }, TELL_EVERY_MS)
  cleanup.defer(() => clearInterval(timer))
}

/** How the receiver differs from the table. */
async function differences(client: Client, { rows: copies }: Copy) {
  const { rows } = await client.query<Row>('select id, status, total from shop.thing')
  const present = new Set(rows.map(({ id }) => id))
  return {
    missing: rows.filter(({ id }) => !copies.has(id)).length,
    stale: rows.filter(({ id, status, total }) => {
      const copied = copies.get(id)
      return copied && (copied.status !== status || copied.total !== total)
    }).length,
    surplus: [...copies.keys()].filter((id) => !present.has(id)).length,
  }
}

const settings = readOptions({
  rows: { default: 1_000_000, help: 'that the table has when it is attached' },
  writers: { default: 3, help: 'that change it meanwhile' },
  rate: { default: 2_000, help: 'events that the backfill publishes a second, at most' },
  batch: { default: 0, help: 'events that a request has at most; 0 = each event has its own' },
  minutes: { default: 60, help: 'that it may take' },
})

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const report = await startReport('backfill', server)
    const { url, copy } = await startCopying(cleanup)
    const system = await startSystem(cleanup, { server, name: 'backfill', receiverUrl: url })
    const client = await createDatabaseClient(cleanup, system.databaseUrl)
    await client.query(`update postrider.endpoint set ordering = 'key', batch_bounds = $1`, [
      settings.batch > 0 ? JSON.stringify({ ...BATCH, maxEvents: settings.batch }) : null,
    ])
    await createTable(client, settings.rows)

    const startedAt = performance.now()
    await client.query(`select postrider.backfill('shop.thing', rate_per_second => $1)`, [
      settings.rate,
    ])
    startTelling(cleanup, await createDatabaseClient(cleanup, system.databaseUrl), copy)
    const stop = new AbortController()
    const writers = Array.from({ length: settings.writers }, async () =>
      write(await createDatabaseClient(cleanup, system.databaseUrl), settings.rows, stop.signal),
    )
    for (const writer of writers) writer.catch(() => undefined) // when it is interrupted; awaited below
    await Promise.race([
      untilHolds(client, `select state <> 'running' as holds from postrider.backfill_progress`),
      system.failed(),
    ])
    const backfilledAt = performance.now()
    stop.abort()
    const changes = (await Promise.all(writers)).reduce((sum, one) => sum + one, 0)
    await Promise.race([
      untilHolds(
        client,
        'select not exists (select from postrider.delivery where finished_at is null) as holds',
      ),
      system.failed(),
    ])
    const { rows } = await client.query<{ published: number }>(
      'select published::float8 as published from postrider.backfill_progress',
    )
    const found = await differences(client, copy)
    report(
      {
        ...found,
        changes,
        backfilled: rows[0]?.published,
        received: copy.received,
        backfill_s: round((backfilledAt - startedAt) / 1_000, 1),
        delivered_s: round((performance.now() - startedAt) / 1_000, 1),
      },
      settings,
    )
    if (found.missing + found.stale + found.surplus > 0) process.exitCode = 1
  },
  { minutesMax: settings.minutes },
)
