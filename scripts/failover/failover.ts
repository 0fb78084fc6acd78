import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from 'pg'
import { createLog } from '../../src/log.ts'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { createPool, cutConnections } from '../../src/postgres/pool.ts'
import { openServers, urlOfOne } from '../../src/postgres/servers.ts'
import type { Cleanup } from '../bench/program.ts'
import { type Drained, drain } from '../chaos/drain.ts'
import {
  collectEvidence,
  findLeftovers,
  type Leftovers,
  readOpen,
  readReaped,
} from '../chaos/judging/evidence.ts'
import { type Evidence, judge, type Verdict } from '../chaos/judging/judge.ts'
import {
  type ErasedLine,
  erasedFile,
  HAS_THE_EVENT,
  type Ledger,
  openLedger,
  type PublishedLine,
  publishedFile,
} from '../chaos/ledger.ts'
import { patiently } from '../chaos/patiently.ts'
import { MARKER_TABLE } from '../chaos/producing/producer-sql.ts'
import { startProducers } from '../chaos/producing/producers.ts'
import { createRandom } from '../chaos/random.ts'
import { type Services, startServices } from '../chaos/services.ts'
import { startReceiver } from '../chaos/start-receiver.ts'
import type { Life } from '../chaos/supervisor.ts'
import { type Cluster, startCluster, type Way } from './cluster.ts'
import { type Span, secondsWithout } from './gaps.ts'
import { until } from './program.ts'
import { type Kind, STRIKES, type Struck } from './strikes.ts'

export interface FailoverOptions {
  /** What is done, in order. */
  kinds: Kind[]
  /** How processes find the primary: an API and a runner for each. */
  ways: Way[]
  /** Events a second. */
  rate: number
  seed: number
  /** For how long there is no standby. */
  awaySeconds: number
  drainSeconds: number
  /** The program. */
  patroni: string
  folder: string
  say(line: string): void
}

/** One that was done, and what it cost. */
export interface Failover extends Struck, Span {
  kind: Kind
  from: string
  to: string
  /** Seconds without a 202 of the API of each way. */
  without202: Partial<Record<Way, number>>
  /** Seconds in which no receiver got anything. */
  withoutDeliveries: number
}

export interface Findings {
  cluster: Pick<Cluster, 'ttl' | 'synchronousMode' | 'versions'>
  failovers: Failover[]
  verdict: Verdict
  drained: Drained
  leftovers: Leftovers
  lives: Life[]
  /** Ids of runners that were found dead. */
  reaped: Set<string>
  badAnswers: Map<string, number>
  skipped: number
}

/** Before the first, and between two: what a system at work has to be in the middle of. */
const QUIET_MS = 3_000
/** Long enough that some are waiting while the primary changes. */
const AHEAD_SECONDS = 12
const SERVED_SECONDS_MAX = 120

/** Runs the system under load, strikes, lets it come to rest, and holds the ledgers against the database. */
export async function runFailovers(cleanup: Cleanup, options: FailoverOptions): Promise<Findings> {
  const { folder, seed, say } = options
  const receiver = await startReceiver(cleanup, { folder, seed, down: 0 })
  // Refusals would put deliveries off, by minutes after an outage: here they are to wait for the database alone.
  await receiver.calm()
  const cluster = await startCluster(cleanup, options)
  say(`a cluster with ${cluster.synchronousMode}; ledgers and logs are in ${folder}`)
  const { system, pool } = await startSystem(cleanup, cluster, options, receiver.url)
  const ledger = watched(openLedger<PublishedLine>(publishedFile(folder)))
  await openLedger<ErasedLine>(erasedFile(folder)).close() // nothing is erased here
  const producers = startProducers({
    ...{ system, ledger, rate: options.rate, aheadSeconds: AHEAD_SECONDS },
    random: createRandom(seed),
  })
  const struck: Omit<Failover, 'without202' | 'withoutDeliveries'>[] = []
  for (const kind of options.kinds) {
    await delay(QUIET_MS)
    struck.push(await strike(kind, { cluster, ledger, options }))
  }
  await delay(QUIET_MS)
  await producers.stop()
  await ledger.close()
  say('comes to rest')
  const drained = await drain(pool, {
    secondsMax: options.drainSeconds,
    onProgress: (open) => say(`${open} deliveries are open`),
  })
  await Promise.all(system.processes.map((process) => process.stop()))
  await receiver.close()

  const evidence = await patiently(() => collectEvidence(pool, folder))
  await writeFile(join(folder, 'stored.json'), JSON.stringify(evidence.stored))
  await writeFile(join(folder, 'open.json'), JSON.stringify(await readOpen(pool)))
  return {
    cluster,
    failovers: struck.map((one) => ({ ...one, ...costOf(one, evidence, options.ways) })),
    verdict: judge(evidence),
    drained,
    leftovers: await findLeftovers(pool),
    lives: system.processes.flatMap((process) => process.lives),
    reaped: await readReaped(pool),
    badAnswers: producers.badAnswers,
    skipped: producers.skipped(),
  }
}

async function startSystem(
  cleanup: Cleanup,
  { urls }: Cluster,
  { folder, ways }: FailoverOptions,
  receiverUrl: string,
): Promise<{ system: Services; pool: Pool }> {
  const databaseUrl = urls.hosts
  await migrate(await urlOfOne(databaseUrl))
  const servers = await openServers(databaseUrl, createLog('silent'))
  cleanup.defer(() => servers.stop())
  const pool = createPool({
    ...{ connectionString: databaseUrl, servers, max: 3, applicationName: 'failover' },
  })
  cleanup.defer(async () => {
    cutConnections(pool)
    await pool.end()
  })
  await pool.query(`create table ${MARKER_TABLE} (n int primary key)`)
  const named = (kind: string) => ways.map((way): [string, string] => [`${kind}-${way}`, urls[way]])
  const services = await startServices(cleanup, {
    ...{ apis: named('api'), runners: named('runner'), folder, receiverUrl },
  })
  return { system: { ...services, databaseUrl, servers }, pool }
}

type WatchedLedger = Ledger<PublishedLine> & { acceptedAt: Map<number, number> }

/** Tells when each API has acknowledged something last. */
function watched(ledger: Ledger<PublishedLine>): WatchedLedger {
  const acceptedAt = new Map<number, number>()
  return {
    acceptedAt,
    close: ledger.close,
    write(line) {
      if (line.api !== null && line.outcome === 'accepted') acceptedAt.set(line.api, line.at)
      ledger.write(line)
    },
  }
}

async function strike(
  kind: Kind,
  context: { cluster: Cluster; ledger: WatchedLedger; options: FailoverOptions },
) {
  const { cluster, ledger, options } = context
  const { leader, standbys } = await cluster.whole()
  options.say(`${kind} of ${leader.name}`)
  const at = Date.now()
  const { awaySeconds, ways } = options
  const struck = await STRIKES[kind]({ cluster, leader, standbys, awaySeconds })
  const now = await cluster.whole()
  const wholeAt = Date.now()
  options.say(`whole again with ${now.leader.name}`)
  await until('each API acknowledges again', SERVED_SECONDS_MAX, () =>
    ways.every((_, api) => (ledger.acceptedAt.get(api) ?? 0) > wholeAt),
  )
  await delay(QUIET_MS)
  return { kind, from: leader.name, to: now.leader.name, at, until: Date.now(), ...struck }
}

function costOf(span: Span, { published, received }: Evidence, ways: readonly Way[]) {
  const acceptedBy = (api: number) =>
    published.filter((line) => line.api === api && line.outcome === 'accepted').map(({ at }) => at)
  const arrivals = received.filter(({ answer }) => HAS_THE_EVENT.has(answer)).map(({ at }) => at)
  return {
    without202: Object.fromEntries(
      ways.map((way, api) => [way, secondsWithout(acceptedBy(api), span)]),
    ),
    withoutDeliveries: secondsWithout(arrivals, span),
  }
}
