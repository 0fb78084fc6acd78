/**
 * What a synchronous standby costs, at a commit and now, in one run on one server: single events that producers publish
 * in SQL, each in its own transaction, with the sessions that waited for the lock of NOTIFY; and publish→receive at a
 * given rate, without the standby and with it.
 *
 *     node scripts/bench/standby.ts main~20 --clients 8,32,64 --seconds 10
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { commitOf, startReport } from './measure/report.ts'
import { median, round } from './measure/statistics.ts'
import { measureAt } from './measure/trials.ts'
import { readOptions } from './options.ts'
import { type Cleanup, runProgram } from './program.ts'
import { type Server, startServer } from './systems/server.ts'
import { createDatabaseClient } from './systems/sql.ts'
import { REPLICATED, setSynchronous, startStandby } from './systems/standby-server.ts'
import { startReceiver } from './systems/start-receiver.ts'
import { CHECKOUT, EVENT_TYPE, startSystem, TENANT } from './systems/system.ts'
import { payloadsOf } from './systems/target.ts'
import { checkOut } from './systems/worktree.ts'

const SAMPLE_MS = 20
/** Publishes of each session before it counts: its statements are planned by then. */
const WARM_UP = 20

interface Side {
  side: 'before' | 'now'
  commit: string
  root: string
}

interface ProducerSettings {
  clients: number
  seconds: number
  bytes: number
  runners: number
}

/** Single events, each in its own transaction, from so many sessions. */
async function measureProducers(
  parent: Cleanup,
  server: Server,
  { side, root }: Side,
  { clients, seconds, bytes, runners }: ProducerSettings,
) {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const name = `producers_${side}_${clients}`
  const options = { server, name, root, runners, receiverUrl: receiver.url }
  const system = await startSystem(cleanup, options)
  const sessions = await Promise.all(
    Array.from({ length: clients }, () => createDatabaseClient(cleanup, system.databaseUrl)),
  )
  const observer = await createDatabaseClient(cleanup, system.databaseUrl)
  const data = JSON.stringify(payloadsOf(bytes)(0))
  const publish = (session: pg.Client) =>
    session.query({
      name: 'publish',
      text: 'select postrider.publish($1, $2, $3)',
      values: [TENANT, EVENT_TYPE, data],
    })
  await Promise.all(sessions.map((session) => repeat(WARM_UP, () => publish(session))))

  const end = performance.now() + seconds * 1000
  let commits = 0
  const producing = sessions.map(async (session) => {
    while (performance.now() < end) {
      await publish(session)
      commits += 1
    }
  })
  const waiting = await sampleWaiting(observer, end)
  await Promise.all(producing)
  await system.stop()
  await server.dropDatabase(name)
  return {
    commits_per_s: round(commits / seconds, 0),
    waiting_for_notify_max: Math.max(...waiting),
    waiting_for_notify_mean: round(waiting.reduce((sum, n) => sum + n, 0) / waiting.length),
    samples: waiting.length,
  }
}

async function repeat(times: number, act: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) await act()
}

/** How many commits waited for the lock of NOTIFY, from moment to moment. */
async function sampleWaiting(observer: pg.Client, end: number): Promise<number[]> {
  const samples: number[] = []
  while (performance.now() < end) {
    const { rows } = await observer.query<{ waiting: number }>(
      `select count(*)::int as waiting from pg_locks
       where locktype = 'object' and classid = 'pg_database'::regclass and objid = 0 and not granted`,
    )
    samples.push(rows[0]?.waiting ?? 0)
    await delay(SAMPLE_MS)
  }
  return samples
}

interface LatencySettings {
  rate: number
  seconds: number
  bytes: number
  round: number
}

/** From an event falling due at a producer over HTTP to its arrival at the receiver. */
async function measureArrival(
  parent: Cleanup,
  server: Server,
  { side, root }: Side,
  { rate, seconds, bytes, round: at }: LatencySettings,
) {
  await using cleanup = parent.use(new AsyncDisposableStack())
  const receiver = await startReceiver(cleanup)
  const name = `arrival_${side}_${at}`
  const system = await startSystem(cleanup, { server, name, root, receiverUrl: receiver.url })
  const figures = await measureAt(
    system,
    receiver,
    { rate, seconds, bytes },
    { label: `${side} at ${rate}/s` },
  )
  await system.stop()
  await server.dropDatabase(name)
  return figures
}

const [ref = '', ...args] = process.argv.slice(2)
const isRef = ref !== '' && !ref.startsWith('-')
const options = readOptions(
  {
    clients: { default: [8, 32, 64], help: 'sessions that publish, comma separated' },
    seconds: { default: 10, help: 'of each measurement' },
    rounds: { default: 1, help: 'of everything, in reversed order each time' },
    rate: { default: 100, help: 'events a second of publish to receive; 0 leaves it out' },
    bytes: { default: 300, help: 'of each payload' },
    runners: { default: 0, help: 'while producers are measured' },
    distance: { default: 2, help: 'milliseconds to the standby' },
  },
  isRef ? args : ['--help'],
)

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup, REPLICATED)
    const root = await checkOut(cleanup, ref, join(server.folder, 'checkout'))
    const sides: Side[] = [
      { side: 'before', root, commit: await commitOf(root) },
      { side: 'now', root: CHECKOUT, commit: await commitOf(CHECKOUT) },
    ]
    await startStandby(cleanup, server, options.distance)
    const report = await startReport('standby', server)
    const perSide: Record<string, number[]> = {}
    for (let at = 0; at < options.rounds; at++) {
      const order = at % 2 === 0 ? sides : sides.toReversed()
      for (const standby of [false, true]) {
        await setSynchronous(server, standby)
        if (options.rate > 0) await arrivals(order, standby, at)
        if (standby) await producers(order)
      }
    }
    report(
      { ratios: ratiosOf(perSide) },
      { ...options, before: sides[0]?.commit, now: sides[1]?.commit },
    )

    async function arrivals(order: Side[], standby: boolean, at: number) {
      for (const side of order) {
        const settings = { ...options, round: at + (standby ? 1000 : 0) }
        const figures = await measureArrival(cleanup, server, side, settings)
        report({ what: 'publish to receive', side: side.side, standby, ...figures }, options)
      }
    }
    async function producers(order: Side[]) {
      for (const clients of options.clients) {
        for (const side of order) {
          const figures = await measureProducers(cleanup, server, side, { ...options, clients })
          report({ what: 'producers in SQL', side: side.side, clients, ...figures }, options)
          const key = `${side.side} ${clients}`
          perSide[key] = [...(perSide[key] ?? []), figures.commits_per_s]
        }
      }
    }
  },
  { minutesMax: 60 },
)

/** Commits a second now as a multiple of those before, by clients; of medians. */
function ratiosOf(perSide: Record<string, number[]>): Record<string, number> {
  const of = (key: string) => median(perSide[key] ?? [])
  return Object.fromEntries(
    options.clients.map((clients) => [
      clients,
      round(of(`now ${clients}`) / of(`before ${clients}`)),
    ]),
  )
}
