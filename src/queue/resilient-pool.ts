import { setTimeout as delay } from 'node:timers/promises'
import type { Pool, PoolClient, QueryConfig, QueryResult } from 'pg'
import type { Log } from '../log.ts'
import { isPassing } from '../postgres/outage.ts'
import type { Bell } from './bell.ts'
import type { HeldJobs } from './held-jobs.ts'
import { createHints } from './hints.ts'

type Values = readonly unknown[]

const first = (values: Values) => values[0] as string[]
const second = (values: Values) => values[1] as string[]
const inSpecs = (values: Values) =>
  (JSON.parse(String(values[1])) as { jobId: string }[]).map(({ jobId }) => jobId)

/**
 * graphile-worker's statements that give jobs back, and where their values have the ids: deletes by id, or
 * updates guarded by `locked_by`, so doing one twice is harmless. Names and values are not public;
 * graphile-worker is pinned, and tests hold this table against the version that is installed.
 */
export const RELEASE_STATEMENTS: Record<string, (values: Values) => string[]> = {
  complete_job: (values) => [String(values[0])],
  complete_jobs: first,
  complete_job_q: first,
  fail_job: inSpecs,
  fail_job_q: inSpecs,
  fail_jobs: first,
  return_job: second,
  return_job_q: second,
}

/** `get_job`, with the number of jobs behind it. */
const FETCH_STATEMENT = /^get_job\d*F?N?$/

/**
 * The ids of the tasks, which graphile-worker reads before its first fetch. It keeps the answer, and with it the
 * error: a runner whose database went away at that moment would say it again at every fetch, and work never more.
 */
const TASKS_STATEMENT = /\b_private_tasks as tasks\b/

export interface ResilientOptions {
  /** `locked_by` of the jobs that are taken through this pool. */
  holder: string
  heldJobs: HeldJobs
  bell: Bell
  onRetry(error: unknown): void
  log: Log
}

const FIRST_PAUSE_MS = 100
/** However long the outage was: the runner listens again within two seconds. */
const LONGEST_PAUSE_MS = 1_000

/**
 * Lets graphile-worker live through an outage of the database.
 *
 * By itself it ends when a statement that releases a job fails once (measured: every restart of Postgres
 * with a completion in flight), and leaves its jobs locked for four hours. Here connecting is tried again,
 * and so are the releasing statements and those that read the tasks, on another connection, until the pool ends: a database may be away for
 * hours, and no supervisor could help. Statements that take jobs never are: what a
 * lost answer leaves locked is found before the next one.
 */
export function resilient(pool: Pool, options: ResilientOptions): Pool {
  const connectOnce = pool.connect.bind(pool)
  const retry = <T>(run: () => Promise<T>) => retryOutage(run, () => pool.ending, options.onRetry)

  const elsewhere = (query: QueryConfig) =>
    retry(async () => {
      const client = await connectOnce()
      let lost: Error | undefined
      try {
        return await client.query(query)
      } catch (error) {
        lost = error as Error
        throw error
      } finally {
        client.release(lost)
      }
    })

  const withHints = createHints(options.log, options.bell)
  // The callback form is what pool.query uses by itself, and graphile-worker to listen; otherwise it uses the promise.
  // Retried in both: to listen again graphile-worker would wait for up to a minute once an outage has been long.
  pool.connect = ((callback?: Parameters<Pool['connect']>[0]) =>
    callback
      ? retry(() => connectOnce()).then(
          (client) => callback(undefined, withHints(client), client.release.bind(client)),
          (error: Error) => callback(error, undefined, () => undefined),
        )
      : retry<PoolClient>(() => connectOnce()).then((client) =>
          withDetours(client, { ...options, elsewhere }),
        )) as Pool['connect']
  return pool
}

interface Detours extends ResilientOptions {
  /** Does a statement on another connection, until it succeeds. */
  elsewhere(query: QueryConfig): Promise<QueryResult>
}

/** The client, except for the statements that take jobs and give them back. */
function withDetours(client: PoolClient, detours: Detours): PoolClient {
  const query = (...args: unknown[]) => {
    const config = args[0] as QueryConfig
    const name = config?.name?.split('/')[0] ?? '' // <statement>/<schema of graphile-worker>
    if (FETCH_STATEMENT.test(name)) return fetch(client, config, detours)
    if (TASKS_STATEMENT.test(config?.text ?? '')) return orElsewhere(client, config, detours)
    const idsOf = RELEASE_STATEMENTS[name]
    if (idsOf) return release(client, name, config, idsOf(config.values ?? []), detours)
    return (client.query as (...args: unknown[]) => unknown)(...args)
  }
  return new Proxy(client, {
    get(target, key) {
      if (key === 'query') return query
      const value = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function fetch(client: PoolClient, query: QueryConfig, { heldJobs, bell }: Detours) {
  let jobs = 0
  bell.looks()
  try {
    await heldJobs.beforeFetch(client)
    const result = await client.query<{ id: string }>(query)
    jobs = result.rows.length
    heldJobs.fetched(result.rows.map(({ id }) => id))
    return result
  } catch (error) {
    heldJobs.fetchFailed()
    throw error
  } finally {
    bell.looked(jobs)
  }
}

/** Of jobs that their own finish has removed. */
const NOTHING_TO_DO = { rows: [], rowCount: 0 }

async function release(
  client: PoolClient,
  name: string,
  query: QueryConfig,
  jobIds: string[],
  detours: Detours,
) {
  const remaining = detours.heldJobs.stillThere(jobIds)
  if (remaining.length === 0) return NOTHING_TO_DO
  const statement = name.startsWith('complete') ? completeHeld(remaining, detours.holder) : query
  const result = await orElsewhere(client, statement, detours)
  detours.heldJobs.released(jobIds)
  return result
}

/** For what may be done twice. */
function orElsewhere(client: PoolClient, query: QueryConfig, { elsewhere }: Detours) {
  return client.query(query).catch((error: unknown) => {
    if (!isPassing(error)) throw error
    return elsewhere(query)
  })
}

/**
 * graphile-worker deletes by id alone. A runner that was found dead and lives would then delete a row that
 * was unlocked meanwhile, and that its own finish has just made the job of the next attempt.
 */
function completeHeld(jobIds: string[], holder: string): QueryConfig {
  return {
    name: 'complete_held/graphile_worker',
    text: 'delete from graphile_worker._private_jobs where id = any ($1::bigint[]) and locked_by = $2',
    values: [jobIds, holder],
  }
}

async function retryOutage<T>(
  run: () => Promise<T>,
  isEnding: () => boolean,
  onRetry: (error: unknown) => void,
): Promise<T> {
  for (let failed = 1; ; failed++) {
    try {
      return await run()
    } catch (error) {
      if (!isPassing(error) || isEnding()) throw error
      onRetry(error)
    }
    await delay(pauseAfter(failed))
  }
}

/** Milliseconds until the next try after so many that failed. */
export const pauseAfter = (failed: number): number =>
  Math.min(FIRST_PAUSE_MS * 2 ** (failed - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2)
