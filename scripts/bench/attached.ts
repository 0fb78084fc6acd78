/**
 * What the commit of a producer takes that changes a table:
 *
 * - `plain`      a table of the producer's, and nothing is published
 * - `attached`   the same, attached: `select postrider.attach(…)`
 * - `published`  the same as `plain`, and the transaction calls `publish` or `publish_many` for its rows
 * - `queued`, `logged`  the same as `plain`, with a trigger of the shape that two other products use: row-triggers.ts
 *
 * with one row in a statement, and with a thousand. One endpoint takes every event, no runner works, one
 * connection. The cases of a round follow one another, in reversed order every other time. Ratios are to `plain`.
 *
 *     node scripts/bench/attached.ts --commits 500 --bulks 20 --rounds 3
 */
import type { Client } from 'pg'
import { startReport } from './measure/report.ts'
import { distributionOf, median, round } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { runProgram } from './program.ts'
import { ROW_TRIGGERS } from './row-triggers.ts'
import { startServer } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { startSystem, TENANT } from './systems/system.ts'

const CASES = ['plain', 'attached', 'published', 'queued', 'logged'] as const
type Case = (typeof CASES)[number]
const OPERATIONS = ['insert', 'update', 'delete'] as const
type Operation = (typeof OPERATIONS)[number]
const BULK_ROWS = 1_000

const statementsOf = (table: Case): Record<Operation, string> => ({
  insert: `insert into bench.${table} select n, '${TENANT}', 'open', n from generate_series($1::int, $2::int) as n`,
  update: `update bench.${table} set status = 'paid' where id between $1 and $2`,
  delete: `delete from bench.${table} where id between $1 and $2`,
})

const TYPES: Record<Operation, string> = {
  insert: 'bench.created',
  update: 'bench.updated',
  delete: 'bench.deleted',
}

/** As a producer does who publishes each row that a statement has changed. */
const publishing = (operation: Operation) => `
  with changed as (${statementsOf('published')[operation]} returning *)
  select count(*) from postrider.publish_many((
    select json_agg(json_build_object('tenant', c.account, 'type', '${TYPES[operation]}', 'data', row_to_json(c)))
    from changed as c))`

async function createTables(client: Client): Promise<void> {
  await client.query('create schema bench')
  for (const table of CASES) {
    await client.query(
      `create table bench.${table} (id int primary key, account text, status text, total numeric)`,
    )
  }
  await client.query(
    `select postrider.attach('bench.attached', type => 'bench', tenant => 'account')`,
  )
  await client.query(ROW_TRIGGERS)
}

/** Of one kind of change, one statement a transaction, in ms each. */
async function timesOf(
  client: Client,
  { table, operation, from, rows, times }: Change,
): Promise<number[]> {
  const text = table === 'published' ? publishing(operation) : statementsOf(table)[operation]
  const durations: number[] = []
  for (let n = 0; n < times; n++) {
    const first = from + n * rows
    const startedAt = performance.now()
    await client.query(text, [first, first + rows - 1])
    durations.push(performance.now() - startedAt)
  }
  return durations
}

interface Change {
  table: Case
  operation: Operation
  from: number
  rows: number
  times: number
}

type Durations = Map<string, number[]>

async function measureCase(
  client: Client,
  durations: Durations,
  change: Omit<Change, 'operation'>,
) {
  for (const operation of OPERATIONS) {
    const name = `${change.rows === 1 ? 'one' : 'bulk'}_${operation}`
    const took = await timesOf(client, { ...change, operation })
    const key = `${change.table} ${name}`
    durations.set(key, [...(durations.get(key) ?? []), ...took])
  }
}

function figuresOf(durations: Durations) {
  const names = [...durations.keys()]
    .filter((key) => key.startsWith('plain '))
    .map((key) => key.slice(6))
  return Object.fromEntries(
    names.map((name) => {
      const of = (table: Case) => durations.get(`${table} ${name}`) ?? []
      const plain = median(of('plain'))
      return [
        name,
        {
          ...Object.fromEntries(
            CASES.map((table) => [`${table}_ms`, distributionOf(Float64Array.from(of(table)))]),
          ),
          ...Object.fromEntries(
            CASES.filter((table) => table !== 'plain').map((table) => [
              `${table}_ratio`,
              round(median(of(table)) / plain, 2),
            ]),
          ),
        },
      ]
    }),
  )
}

const settings = readOptions({
  commits: { default: 500, help: 'of one row each, of each operation and round' },
  bulks: {
    default: 20,
    help: `of ${BULK_ROWS} rows in one statement, of each operation and round`,
  },
  rounds: { default: 3, help: 'in reversed order every other time' },
})

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const report = await startReport('attached', server)
    const system = await startSystem(cleanup, {
      ...{ server, name: 'attached', runners: 0 },
      receiverUrl: 'http://127.0.0.1:9/',
    })
    const client = await createDatabaseClient(cleanup, system.databaseUrl)
    await createTables(client)
    const durations: Durations = new Map()
    let from = 1
    for (let n = 1; n <= settings.rounds; n++) {
      for (const table of n % 2 === 1 ? CASES : CASES.toReversed()) {
        await measureCase(client, durations, { table, from, rows: 1, times: settings.commits })
        const next = from + settings.commits
        await measureCase(client, durations, {
          table,
          from: next,
          rows: BULK_ROWS,
          times: settings.bulks,
        })
      }
      from += settings.commits + settings.bulks * BULK_ROWS
    }
    report(figuresOf(durations), settings)
  },
  { minutesMax: 15 },
)
