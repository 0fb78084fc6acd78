import type { PoolClient } from 'pg'
import type { Log } from '../log.ts'

/**
 * A fetch whose connection was lost may also be committed after we have looked: by a server that only then
 * comes to it. Once a minute costs one pass over the jobs, 0.1 s with 100,000.
 */
const LOOK_AT_LEAST_EVERY_MS = 60_000

export interface HeldJobs {
  /** To be called before each fetch, on its connection: gives back what was taken unnoticed. */
  beforeFetch(client: PoolClient): Promise<void>
  /** A fetch failed: it may have taken jobs anyway. */
  fetchFailed(): void
  fetched(jobIds: readonly string[]): void
  /** Jobs were completed, failed or returned, and the database has said so. */
  released(jobIds: readonly string[]): void
  /** The job is gone already: its finish has removed it. */
  removed(jobId: string): void
  /** Those of the jobs that are still there to be given back; forgets the others. */
  stillThere(jobIds: readonly string[]): string[]
  /** How many it holds. */
  count(): number
}

/**
 * Finds jobs that the database says this runner holds, and that it knows nothing of.
 *
 * When the answer to a fetch is lost after its commit (a connection that breaks, a server that is killed at
 * that moment), its jobs are locked by a runner that lives. Nobody else may take them, and graphile-worker
 * would let them lie for four hours.
 *
 * Fetches come one after another (graphile-worker's local queue), so between two of them every job that the
 * runner holds has been told. A job counts as held until its release is committed: one that was given back
 * too early, and fetched again by the same runner, would be released by the first run in the middle of the
 * second.
 */
export function createHeldJobs(runnerId: string, log: Log): HeldJobs {
  const held = new Set<string>()
  /** Until graphile-worker gives them back, which is when their tasks have ended. */
  const gone = new Set<string>()
  let isInDoubt = false
  let lookedAt = performance.now()

  return {
    async beforeFetch(client) {
      const now = performance.now()
      if (!isInDoubt && now - lookedAt < LOOK_AT_LEAST_EVERY_MS) return
      // Before: what is lost while it looks is looked for again. Should looking fail, `fetchFailed` is called.
      isInDoubt = false
      const { rows } = await client.query<{ returned: number }>(
        'select postrider.return_unknown_jobs($1, $2::bigint[]) as returned',
        [runnerId, [...held]],
      )
      lookedAt = now
      const returned = rows[0]?.returned ?? 0
      if (returned > 0) log.warn({ runnerId, jobs: returned }, 'runner.jobs_returned')
    },
    fetchFailed: () => {
      isInDoubt = true
    },
    fetched(jobIds) {
      for (const id of jobIds) held.add(id)
    },
    released(jobIds) {
      for (const id of jobIds) held.delete(id)
    },
    removed(jobId) {
      held.delete(jobId)
      gone.add(jobId)
    },
    stillThere: (jobIds) => jobIds.filter((id) => !gone.delete(id)),
    count: () => held.size,
  }
}
