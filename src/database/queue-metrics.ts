import type { Pool } from 'pg'
import { Gauge, type Registry } from 'prom-client'

/** Looking over the jobs costs 0.1 s with 100,000 of them; scrapers may come more often than that is worth. */
const KEPT_MS = 15_000

interface Figures {
  jobs: { task: string; state: string; jobs: string; lag_s: string }[]
  circuits: { state: string; count: number }[]
  runners: { state: string; count: number }[]
}

/**
 * Adds what only the database knows to a set of metrics: depth and lag of the queue, circuits, runners. Asked
 * for when somebody scrapes; while the database is away the figures of before are shown.
 */
export function watchQueue(registry: Registry, pool: Pool): void {
  const registers = [registry]
  const jobs = gauge('postrider_jobs', 'Jobs by task and state: ready, scheduled, running, dead.', [
    'task',
    'state',
  ])
  const lag = gauge(
    'postrider_oldest_due_seconds',
    'For how long the oldest ready job of a task has been due.',
    ['task'],
  )
  const circuits = gauge(
    'postrider_circuits',
    'Endpoints that have failed since their last success: open (held) or counting.',
    ['state'],
  )
  const runners = gauge('postrider_runners', 'Runners by state: live, silent, stopped, reaped.', [
    'state',
  ])
  const show = (figures: Figures) => {
    for (const one of [jobs, lag, circuits, runners]) one.reset()
    for (const row of figures.jobs) {
      jobs.set({ task: row.task, state: row.state }, Number(row.jobs))
      if (row.state === 'ready') lag.set({ task: row.task }, Number(row.lag_s))
    }
    for (const row of figures.circuits) circuits.set({ state: row.state }, row.count)
    for (const row of figures.runners) runners.set({ state: row.state }, row.count)
  }

  const refresh = createRefresh(() => ask(pool).then(show, () => undefined))

  /** Each waits for the same answer, as prom-client reads all of them at the same time. */
  function gauge(name: string, help: string, labelNames: string[]) {
    return new Gauge({ name, help, labelNames, registers, collect: () => refresh() })
  }
}

/** Asks at most every `KEPT_MS`; whoever comes meanwhile shares the answer. */
function createRefresh(askNow: () => Promise<void>): () => Promise<void> {
  let askedAt = Number.NEGATIVE_INFINITY
  let answer = Promise.resolve()
  return () => {
    if (performance.now() - askedAt >= KEPT_MS) {
      askedAt = performance.now()
      answer = askNow()
    }
    return answer
  }
}

async function ask(pool: Pool): Promise<Figures> {
  const [jobs, circuits, runners] = await Promise.all([
    pool.query<Figures['jobs'][number]>(
      'select task_identifier as task, state, jobs, lag_s from postrider.queue_depth',
    ),
    pool.query<Figures['circuits'][number]>(
      `select case when opened_at is null then 'counting' else 'open' end as state, count(*)::int
       from postrider.circuit group by 1`,
    ),
    pool.query<Figures['runners'][number]>(
      'select state, count(*)::int from postrider.runner_health group by 1',
    ),
  ])
  return { jobs: jobs.rows, circuits: circuits.rows, runners: runners.rows }
}
