import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Runner } from 'graphile-worker'
import type { Recurring } from '../clock.ts'
import { InFlight } from '../limits/in-flight.ts'
import { environmentSettings } from '../postgres/adoption.ts'
import { createOutageNews, levelOf } from '../postgres/outage.ts'
import { createPool, cutConnections } from '../postgres/pool.ts'
import { ailmentOf } from '../postgres/servers.ts'
import { type Bell, createBell } from '../queue/bell.ts'
import { createHeldJobs, type HeldJobs } from '../queue/held-jobs.ts'
import { watchQueue } from '../queue/queue-metrics.ts'
import { resilient } from '../queue/resilient-pool.ts'
import { startWorkerPool } from '../queue/worker-pool.ts'
import { createSender } from '../sending/send.ts'
import { startBringingForward } from './bring-forward.ts'
import { bulkTasks } from './bulk-tasks.ts'
import { deliveryTasks } from './delivery-tasks.ts'
import { startDuties } from './duties.ts'
import { type Presence, startPresence } from './presence.ts'
import type { RunnerReadiness } from './probes.ts'
import { readinessOf } from './readiness.ts'
import type { RunnerOptions } from './runner-options.ts'
import { createWakeUpTimer } from './wake-up-timer.ts'

/** Two lanes each for claim and finish. No connection is held during HTTP. */
const DELIVERY_CONNECTIONS = 4
/**
 * For duties, which begin together each second, and all else that is seldom. Apart from those of deliveries: each session that
 * claims and finishes plans that once and keeps it, and those that did so last are the quickest.
 */
const OWN_CONNECTIONS = 3
/**
 * Jobs under way for each request that may be in flight: 100 more for 250, in which jobs are put off. While a tenant with a
 * backlog has all the permits that it may have, each of its jobs is looked at and put off, and those of others waited
 * behind that in the few lanes that its requests left (docs/explanation/performance.md).
 */
const LANES_PER_REQUEST = 1.4
/** graphile-worker's: one listens, the others fetch and complete in batches. */
const WORKER_CONNECTIONS = 4
/** Statements of our own are few and small; those that are not say themselves how they are planned. */
const OWN_SESSION_SETTINGS = { plan_cache_mode: 'force_custom_plan' }
/** Calls of one function each, which has its own way of planning: there is nothing to plan again for each call. */
const DELIVERY_SESSION_SETTINGS = { plan_cache_mode: 'force_generic_plan' }
/**
 * graphile-worker's statements are always index probes, whatever the statistics say: the jobs table is
 * empty one minute and full the next, and a plan made then scans all of it (measured: 11 ms instead of
 * 0.8 ms a fetch with 50,000 jobs scheduled, until the next analyze). Planned once a session: planning took
 * 0.23 of a fetch's 0.32 ms, in the way of every delivery. `analyze_queue` has it planned again when a vacuum
 * had found the table empty and it is not.
 */
const WORKER_SESSION_SETTINGS = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  plan_cache_mode: 'force_generic_plan',
  // Fetching, completing and giving back may be forgotten (docs/explanation/guarantees.md): a job whose fetch is lost is fetched
  // again. Commits are written in their order, so once a claim is durable, the fetch before it is too.
  synchronous_commit: 'off',
}

export interface RunnerHandle {
  /** Database reachable and of this program, known as living, and listening for jobs. */
  ready(): Promise<RunnerReadiness>
  /** `runner` in the audit log. */
  id: string
  /** Stops taking jobs, lets running attempts end or hands them back, resolves. Safe to call twice. */
  stop(): Promise<void>
  /** Resolves when it has stopped as asked; rejects when it ended by itself, which is fatal. */
  ended: Promise<void>
  /** Aborted when somebody asked it to stop, with `drain_runner`: the one who started it is to call `stop`. */
  drained: AbortSignal
}

/** The worker pool ended although nobody had asked it to. */
class RunnerEnded extends Error {
  override readonly name = 'RunnerEnded'
  readonly code = 'runner_ended'
}

/** What a runner is made of, besides what runs in it. */
type Parts = ReturnType<typeof createParts>

/**
 * Starts a runner: registers it, then executes deliveries until it is stopped. Any number of them work on
 * one database.
 */
export async function startRunner(options: RunnerOptions): Promise<RunnerHandle> {
  const { log, servers } = options
  const parts = createParts(options)
  const { id, pools, drained } = parts
  const reaped = Promise.withResolvers<never>()
  const presence = await register(options, parts, reaped.reject)
  watch(options, parts)
  const duties = [...startDuties({ ...options, pool: pools.own }), bringForward(parts)]
  const listening = { isListening: false }
  const workers = await startWorkers(options, parts, presence, listening)
  log.info({ runnerId: id, concurrency: options.concurrency }, 'runner.started')

  let stopping: Promise<void> | undefined
  return {
    id,
    ready: () =>
      readinessOf(pools.own, {
        isAlive: presence.isEstablished(),
        isListening: listening.isListening,
        server: servers?.inUse().name,
        ailment: servers ? ailmentOf(servers) : null,
      }),
    stop: () => {
      stopping ??= stop(parts, { workers, duties, presence })
      return stopping
    },
    ended: Promise.race([endOf(workers.promise, () => stopping), reaped.promise]),
    drained: drained.signal,
  }
}

function createParts(options: RunnerOptions) {
  const { log, allow, proxy, httpsOnly, redis, concurrency } = options
  const id = newRunnerId()
  const heldJobs = createHeldJobs(id, log)
  const bell = createBell(log)
  return {
    id,
    log,
    heldJobs,
    bell,
    pools: createPools(options, id, { heldJobs, bell }),
    sender: createSender({ allow, proxy, httpsOnly }),
    inFlight: new InFlight({
      redis,
      concurrency,
      onShrunk: (shrunk) => log.info(shrunk, 'endpoint.share_shrunk'),
    }),
    drained: new AbortController(),
  }
}

/** Has it known as living, and hears when it is not, is asked to drain, or another server takes over. */
async function register(
  { connectionString, servers, log, environment }: RunnerOptions,
  { id, pools, heldJobs, drained }: Parts,
  onReaped: (reason: RunnerEnded) => void,
): Promise<Presence> {
  const presence = await startPresence({
    connectionString,
    servers,
    runnerId: id,
    environment,
    log,
    onReaped: () => onReaped(new RunnerEnded('it was cut off, found dead, and replaced')),
    onUnadopted: (cause) =>
      onReaped(new RunnerEnded('nothing is to be sent from its database', { cause })),
    onSilent: () => {
      for (const pool of Object.values(pools)) cutConnections(pool)
    },
    onDrain: () => {
      if (!drained.signal.aborted) log.info({ runnerId: id }, 'runner.drain_requested')
      drained.abort()
    },
  })
  servers?.onChange(() => {
    presence.cut()
    // What was completed last may be missing on the server that took over, with its jobs still locked.
    heldJobs.fetchFailed()
  })
  servers?.onBack(presence.dialAgain)
  return presence
}

function watch({ metrics }: RunnerOptions, { pools, inFlight }: Parts): void {
  const { own, delivery, worker } = pools
  metrics.watchShares(() => inFlight.inUse())
  metrics.watchPool('runner', own)
  metrics.watchPool('delivery', delivery)
  metrics.watchPool('worker', worker)
  watchQueue(metrics.registry, own)
}

const bringForward = ({ id, log, pools, inFlight }: Parts) =>
  startBringingForward({
    pool: pools.own,
    runnerId: id,
    putOff: inFlight.putOff,
    onError: (error) => log[levelOf(error)]({ err: error }, 'deliveries.not_brought_forward'),
  })

function startWorkers(
  options: RunnerOptions,
  { id, log, pools, sender, heldJobs, bell, inFlight }: Parts,
  presence: Presence,
  listening: { isListening: boolean },
): Promise<Runner> {
  const deliveries = deliveryTasks({
    ...options,
    pool: pools.own,
    deliveryPool: pools.delivery,
    runnerId: id,
    presence,
    onJobRemoved: heldJobs.removed,
    send: sender.send,
    inFlight,
    wakeUpTimer: createWakeUpTimer(bell.look),
  })
  return startWorkerPool({
    pool: pools.worker,
    id,
    taskList: { ...deliveries, ...bulkTasks(pools.own, log) },
    lanes: Math.ceil(options.concurrency * LANES_PER_REQUEST),
    fetchedMax: options.concurrency,
    abortAfterMs: options.shutdownMs,
    log,
    bell,
    onListening: (isListening) => {
      listening.isListening = isListening
    },
  })
}

async function stop(
  { id, log, pools, sender }: Parts,
  running: { workers: Runner; duties: readonly Recurring[]; presence: Presence },
): Promise<void> {
  const { workers, duties, presence } = running
  // Rejects when it gave jobs of its local queue back, which is what it should do.
  await workers.stop().catch((error: unknown) => log.debug({ err: error }, 'runner.worker_said'))
  await workers.promise.catch(() => undefined)
  await Promise.all(duties.map((duty) => duty.stop()))
  await sender.close()
  await presence.stop()
  await Promise.all(Object.values(pools).map((pool) => pool.end()))
  log.info({ runnerId: id }, 'runner.stopped')
}

/** graphile-worker resolves its promise even when it gave up, so any end that nobody asked for is a failure. */
async function endOf(promise: Promise<void>, stopping: () => Promise<void> | undefined) {
  let cause: unknown
  await promise.catch((error: unknown) => {
    cause = error
  })
  const asked = stopping()
  if (!asked) throw new RunnerEnded('the worker pool ended unexpectedly', { cause })
  await asked
}

/** Readable in `locked_by` and in the audit log, and never the same twice. */
function newRunnerId(): string {
  return `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`
}

function createPools(
  { connectionString, servers, log, environment }: RunnerOptions,
  id: string,
  { heldJobs, bell }: { heldJobs: HeldJobs; bell: Bell },
) {
  const isLossNews = createOutageNews()
  const isRetryNews = createOutageNews()
  const onError = (error: Error) => {
    // A server that was killed may have forgotten the jobs that were completed last: they are there again, and locked.
    heldJobs.fetchFailed()
    // A connection that is closing may still hear that the server is stopping as well.
    if (!own.ending && isLossNews(error)) log.warn({ err: error }, 'database.connection_lost')
  }
  const applicationName = `postrider-runner ${id}`
  const common = { connectionString, servers, applicationName, onError }
  const own = createPool({ ...common, max: OWN_CONNECTIONS, settings: OWN_SESSION_SETTINGS })
  const delivery = createPool({
    ...common,
    max: DELIVERY_CONNECTIONS,
    settings: { ...DELIVERY_SESSION_SETTINGS, ...environmentSettings(environment) },
  })
  const worker = createPool({
    ...common,
    max: WORKER_CONNECTIONS,
    settings: WORKER_SESSION_SETTINGS,
    json: 'parsed',
  })
  return {
    own,
    delivery,
    worker: resilient(worker, {
      holder: id,
      heldJobs,
      bell,
      log,
      onRetry: (error) => {
        if (isRetryNews(error)) log.warn({ err: error, step: 'jobs' }, 'database.retried')
      },
    }),
  }
}
