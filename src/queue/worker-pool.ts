import { EventEmitter } from 'node:events'
import { Logger, type Runner, run, type TaskList, type WorkerEvents } from 'graphile-worker'
import type { Pool } from 'pg'
import type { Log } from '../log.ts'
import { createOutageNews } from '../postgres/outage.ts'
import type { Bell } from './bell.ts'

/** Jobs wake the pool by the bell; polling is for what nobody rang for, such as a retry that becomes due. */
const POLL_MS = 1_000
/** A job fetched into memory that no worker took up by then is given back to the other runners. */
const LOCAL_QUEUE_MS_MAX = 10_000

export interface WorkerPoolOptions {
  pool: Pool
  /** Becomes `locked_by` of its jobs. */
  id: string
  taskList: TaskList
  /** Jobs that run at a time. */
  lanes: number
  /** Jobs that are fetched ahead. */
  fetchedMax: number
  /** Tasks are told to stop so long after a shutdown has begun. */
  abortAfterMs: number
  log: Log
  /** What its pool asks to be woken by. */
  bell: Bell
  /** Whether NOTIFY reaches the pool; polling goes on when it does not. */
  onListening(isListening: boolean): void
}

/**
 * Starts graphile-worker with the settings that were measured to be safe.
 *
 * - `completeJobBatchDelay` and `failJobBatchDelay` of at least 0: by default a completion is not awaited
 *   anywhere, and each stop leaves a finished job locked for four hours.
 * - `localQueue`: jobs are fetched in one statement, up to `fetchedMax`.
 * - no named queues and no forbidden flags: either starves the other jobs.
 * - no signal handlers: `cli.ts` owns the signals.
 */
export function startWorkerPool(options: WorkerPoolOptions): Promise<Runner> {
  return run({
    pgPool: options.pool,
    taskList: options.taskList,
    crontab: '',
    noHandleSignals: true,
    logger: workerLogger(options.log),
    events: workerEvents(options),
    preset: {
      worker: {
        concurrentJobs: options.lanes,
        pollInterval: POLL_MS,
        gracefulShutdownAbortTimeout: options.abortAfterMs,
        localQueue: { size: options.fetchedMax, ttl: LOCAL_QUEUE_MS_MAX },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  })
}

function workerEvents({ id, log, bell, onListening }: WorkerPoolOptions): WorkerEvents {
  const events: WorkerEvents = new EventEmitter()
  // Emitted before anything is fetched. The id is then one that the runner has registered already.
  events.on('pool:create', ({ workerPool }) => {
    Object.assign(workerPool, { id })
    bell.connect(workerPool)
  })
  events.on('pool:listen:success', () => onListening(true))
  events.on('pool:listen:error', ({ error }) => {
    onListening(false)
    log.warn({ err: error }, 'runner.listen_failed')
  })
  // Without a local queue this would be the only trace of a failing fetch.
  events.on('worker:getJob:error', ({ error }) => log.warn({ err: error }, 'runner.fetch_failed'))
  events.on('pool:fatalError', ({ error, action }) =>
    log.error({ err: error, action }, 'runner.pool_failed'),
  )
  return events
}

/**
 * graphile-worker's own lines, at debug: what matters among them is an event above. Its errors are told once an outage:
 * a fetch fails each second, and of the tasks all those that are in progress, some hundred.
 */
function workerLogger(log: Log): Logger {
  const isNewsOfTasks = createOutageNews()
  const isNews = createOutageNews()
  return new Logger(() => (level, message, meta) => {
    const isOfTask = meta?.['failure'] === true
    const isTold = level === 'error' && (isOfTask ? isNewsOfTasks : isNews)(meta?.['error'])
    if (isTold) log.warn({ detail: message }, 'runner.worker_said')
    else log.debug({ workerLevel: level, detail: message }, 'runner.worker_said')
  })
}
