import { setTimeout as delay } from 'node:timers/promises'
import type { Pool, PoolClient, QueryConfig } from 'pg'
import { isOutage } from '../database/outage.ts'

/**
 * graphile-worker's statements that give a job back: deletes by id, or updates guarded by `locked_by`, so
 * doing one twice is harmless. Its statement names are not public; graphile-worker is pinned, and a test
 * holds this list against the version that is installed.
 */
export const RELEASE_STATEMENTS = [
  'complete_job',
  'complete_jobs',
  'complete_job_q',
  'fail_job',
  'fail_jobs',
  'fail_job_q',
  'return_job',
  'return_job_q',
]

/** `get_job`, with the number of jobs behind it. */
const FETCH_STATEMENT = /^get_job\d*F?N?$/

export interface ResilientOptions {
  onRetry(error: unknown): void
  /** Called before a statement that takes jobs, on its connection. */
  beforeFetch(client: PoolClient): Promise<void>
  /** Called when such a statement failed. */
  fetchFailed(): void
}

/** Longer than a restart or a failover of Postgres; then the process ends and its supervisor decides. */
const OUTAGE_MS_MAX = 10 * 60_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

/**
 * Lets graphile-worker live through an outage of the database.
 *
 * By itself it ends when a statement that releases a job fails once (measured: every restart of Postgres
 * with a completion in flight), and leaves its jobs locked for four hours. Here connecting is tried again,
 * and so are the releasing statements, on another connection. Statements that take jobs never are: a lost
 * answer would leave jobs locked that nobody knows of.
 */
export function resilient(
  pool: Pool,
  { onRetry, beforeFetch, fetchFailed }: ResilientOptions,
): Pool {
  const connectOnce = pool.connect.bind(pool)
  const retry = <T>(run: () => Promise<T>) => retryOutage(run, () => pool.ending, onRetry)

  const release = (query: QueryConfig) =>
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

  const fetch = async (client: PoolClient, query: QueryConfig) => {
    await beforeFetch(client)
    try {
      return await client.query(query)
    } catch (error) {
      fetchFailed()
      throw error
    }
  }

  // The callback form is what pool.query uses by itself; graphile-worker uses the promise.
  pool.connect = ((callback?: Parameters<Pool['connect']>[0]) =>
    callback
      ? connectOnce(callback)
      : retry<PoolClient>(() => connectOnce()).then((client) =>
          withDetours(client, { release, fetch }),
        )) as Pool['connect']
  return pool
}

interface Detours {
  /** Does a releasing statement on another connection. */
  release(query: QueryConfig): Promise<unknown>
  fetch(client: PoolClient, query: QueryConfig): Promise<unknown>
}

/** The client, except for fetches, and for a releasing statement that fails for an outage. */
function withDetours(client: PoolClient, detours: Detours): PoolClient {
  const query = async (...args: unknown[]) => {
    const config = args[0] as QueryConfig
    if (FETCH_STATEMENT.test(nameOf(config))) return detours.fetch(client, config)
    try {
      return await (client.query as (...args: unknown[]) => Promise<unknown>)(...args)
    } catch (error) {
      if (!RELEASE_STATEMENTS.includes(nameOf(config)) || !isOutage(error)) throw error
      return detours.release(config)
    }
  }
  return new Proxy(client, {
    get(target, key) {
      if (key === 'query') return query
      const value = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Statements are named `<statement>/<schema of graphile-worker>`. */
function nameOf(query: QueryConfig | undefined): string {
  return query?.name?.split('/')[0] ?? ''
}

async function retryOutage<T>(
  run: () => Promise<T>,
  isEnding: () => boolean,
  onRetry: (error: unknown) => void,
): Promise<T> {
  const endsAt = performance.now() + OUTAGE_MS_MAX
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await run()
    } catch (error) {
      if (!isOutage(error) || isEnding() || performance.now() > endsAt) throw error
      onRetry(error)
    }
    await delay(pauseMs * (0.5 + Math.random()))
  }
}
