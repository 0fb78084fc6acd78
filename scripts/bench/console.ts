/**
 * How long each page of the console takes with a million deliveries: as a browser sees it, without the
 * browser's own work. `search rare` is the worst that a filter can ask for: nothing like it is near.
 *
 *     node scripts/bench/console.ts --deliveries 1000000 --rounds 20
 */
import type pg from 'pg'
import { monotonicMs } from './measure/clock.ts'
import { startReport } from './measure/report.ts'
import { distributionOf } from './measure/statistics.ts'
import { readOptions } from './options.ts'
import { runProgram } from './program.ts'
import { ensureWaiting, storeHistory } from './systems/seed.ts'
import { startServer } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { EVENT_TYPE, startSystem, TENANT } from './systems/system.ts'

/** Nobody delivers here: an address that is never dialled, since no runner runs. */
const RECEIVER_URL = 'http://127.0.0.1:9'
/** What is not done: a list counts it, and it has separate indexes. */
const WAITING = 5_000
/** The first requests of a process are compiled, and those of a session planned. */
const WARM_UP = 3
/** Few, and the oldest: a list that is ordered by time meets everything else first. */
const RARE = 20

const options = readOptions({
  deliveries: { default: 1_000_000, help: 'deliveries that are over, with one attempt each' },
  rounds: { default: 20, help: 'requests of each page that count' },
  bytes: { default: 300, help: 'size of the data of an event' },
})

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const base = { server, name: 'console', receiverUrl: RECEIVER_URL, runners: 0 }
    const system = await startSystem(cleanup, base)
    const client = await createDatabaseClient(cleanup, system.databaseUrl)
    await storeHistory(client, options.deliveries, options.bytes)
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
    await ensureWaiting(client, WAITING, { bytes: options.bytes, deliverAt: tomorrow })
    await makeRare(client)

    const origin = new URL(system.target.url).origin
    const cookie = await signIn(origin, system.target.headers['authorization'] ?? '')
    const report = await startReport('console', server)
    for (const [page, path] of Object.entries(await pages(client))) {
      const ms = await measure(`${origin}/console${path}`, cookie)
      report({ page, ms: distributionOf(ms) }, { ...options })
    }
  },
  { minutesMax: 30 },
)

/** A few deliveries that failed, with the answer 500, a million deliveries ago. */
async function makeRare(client: pg.Client): Promise<void> {
  await client.query(
    `with rare as (
       update postrider.delivery set state = 'failed'
       where id in (select id from postrider.delivery order by id limit $1) returning id)
     update postrider.attempt set outcome = 'rejected', status_code = 500, error = 'status: 500'
     where delivery_id in (select id from rare)`,
    [RARE],
  )
  await client.query('vacuum analyze postrider.delivery')
}

async function signIn(origin: string, authorization: string): Promise<string> {
  const response = await fetch(`${origin}/console/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ key: authorization.replace(/^Bearer /, '') }),
    headers: { origin },
    redirect: 'manual',
  })
  return response.headers.get('set-cookie')?.split(';')[0] ?? ''
}

async function pages(client: pg.Client): Promise<Record<string, string>> {
  const { rows } = await client.query(
    `select d.id, d.event_id, d.endpoint_id from postrider.delivery d
     where finished_at is not null order by id offset 1000 limit 1`,
  )
  const { id, event_id: event, endpoint_id: endpoint } = rows[0]
  const lists = {
    all: '',
    tenant: `tenant=${TENANT}`,
    endpoint: `endpoint=${endpoint}`,
    type: `type=${EVENT_TYPE}`,
    'no type': 'type=never.*',
    delivered: 'state=delivered',
    'answered 2xx': 'class=2',
    'search id': `search=${id}`,
    'deep in the list': `before=${id}`,
    'rare state': 'state=failed',
    'rare answer': 'class=5',
    'rare of a tenant': `state=failed&tenant=${TENANT}`,
  }
  return {
    overview: '',
    ...Object.fromEntries(
      Object.entries(lists).map(([name, query]) => [`deliveries, ${name}`, `/deliveries?${query}`]),
    ),
    'one delivery': `/deliveries/${id}`,
    events: '/events',
    'events, type': `/events?type=${EVENT_TYPE}`,
    'events, rare state': '/events?state=failed',
    'events, text that is nowhere': '/events?search=nowhere',
    'one event': `/events/${event}`,
    endpoints: '/endpoints',
    'one endpoint': `/endpoints/${endpoint}`,
    tenants: '/tenants',
    replays: '/replays',
    'audit log': '/audit',
    settings: '/settings',
  }
}

/** One after the other, as one person does. */
async function measure(url: string, cookie: string): Promise<Float64Array> {
  const durations: number[] = []
  for (let round = 0; round < options.rounds + WARM_UP; round++) {
    const startedAt = monotonicMs()
    const response = await fetch(url, { headers: { cookie }, redirect: 'manual' })
    await response.text()
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`)
    durations.push(monotonicMs() - startedAt)
  }
  return Float64Array.from(durations.slice(WARM_UP))
}
