import type { Job, WorkerEvents } from 'graphile-worker'
import type { PoolClient } from 'pg'
import type { Log } from '../log.ts'

/**
 * A fetch whose connection was lost may also be committed after we have looked: by a server that only then
 * comes to it. Once a minute costs one pass over the jobs, 0.1 s with 100,000.
 */
const LOOK_AT_LEAST_EVERY_MS = 60_000

export interface HeldJobs {
  /** Learns from these events which jobs the runner holds. */
  watch(events: WorkerEvents): void
  /** To be called before each fetch, on its connection: gives back what was taken unnoticed. */
  beforeFetch(client: PoolClient): Promise<void>
  /** To be called when a fetch failed: it may have taken jobs all the same. */
  fetchFailed(): void
}

/**
 * Finds jobs that the database says this runner holds, and that it knows nothing of.
 *
 * When the answer to a fetch is lost after its commit (a connection that breaks, a server that is killed at
 * that moment), its jobs are locked by a runner that lives. Nobody else may take them, and graphile-worker
 * would let them lie for four hours.
 *
 * Fetches come one after another (graphile-worker's local queue), so between two of them every job that the
 * runner holds has been told. A job whose completion is still on its way no longer counts as held: giving it
 * back too early makes it run again and find that its number is no longer due.
 */
export function createHeldJobs(runnerId: string, log: Log): HeldJobs {
  const held = new Set<string>()
  let isInDoubt = false
  let lookedAt = performance.now()

  return {
    watch(events) {
      const drop = (job: Job) => held.delete(job.id)
      events.on('localQueue:getJobs:complete', ({ jobs }) => {
        for (const job of jobs) held.add(job.id)
      })
      events.on('localQueue:returnJobs', ({ jobs }) => jobs.forEach(drop))
      events.on('job:complete', ({ job }) => drop(job))
    },
    async beforeFetch(client) {
      const now = performance.now()
      if (!isInDoubt && now - lookedAt < LOOK_AT_LEAST_EVERY_MS) return
      const { rows } = await client.query<{ returned: number }>(
        'select postrider.return_unknown_jobs($1, $2::bigint[]) as returned',
        [runnerId, [...held]],
      )
      isInDoubt = false
      lookedAt = now
      const returned = rows[0]?.returned ?? 0
      if (returned > 0) log.warn({ runnerId, jobs: returned }, 'runner.jobs_returned')
    },
    fetchFailed: () => {
      isInDoubt = true
    },
  }
}
