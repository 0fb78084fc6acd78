import type { Pool } from 'pg'
import { Counter, Gauge, type Registry } from 'prom-client'
import { oneAtATime } from '../clock.ts'
import { DELIVER_TASK } from './jobs.ts'

/** Looking over the jobs costs 0.1 s with 100,000 of them; scrapers may come more often than that is worth. */
const KEPT_MS = 15_000
/** A scraper waits 10 s; what this process knows by itself must reach it also when the database hangs. */
const ANSWER_MS_MAX = 3_000
/** Shown as 0 rather than not at all, so that rules and dashboards need not tell the two apart. */
const JOB_STATES = ['ready', 'scheduled', 'running', 'dead']

interface Figures {
  jobs: { task: string; state: string; jobs: string; lag_s: string }[]
  circuits: { state: string; count: number }[]
  /** Ordering keys that wait for a person. */
  blocked: { keys: number; seconds: number }
  collapsed: number
  runners: { state: string; count: number }[]
  unreadable: { endpoints: string; deliveries: string }
  incidents: { cause: string; verdict: string; count: number }[]
}

const JOBS = 'select task_identifier as task, state, jobs, lag_s from postrider.queue_depth'
const CIRCUITS = `
  select s.state, count(c.endpoint_id)::int
  from unnest(array['open', 'counting', 'refusing']) as s (state)
  left join postrider.circuit c on s.state = case
    when c.opened_at is not null then 'open' when c.failing_since is not null then 'counting' else 'refusing' end
  group by 1`
const RUNNERS = `
  select s.state, count(r.id)::int
  from unnest(array['live', 'draining', 'silent', 'stopped', 'reaped']) as s (state)
  left join postrider.runner_health r using (state)
  group by 1`
const BLOCKED = `
  select count(*)::int as keys, coalesce(extract(epoch from now() - min(blocked_at)), 0)::float8 as seconds
  from postrider.ordering_line where blocked_at is not null`

const COLLAPSED = 'select postrider.collapsed_total()::float8 as count'
const UNREADABLE = 'select endpoints, deliveries from postrider.unreadable_secrets()'
const INCIDENTS = `
  select cause, verdict, count(*)::int from postrider.incident where closed_at is null group by 1, 2`

/**
 * Adds what only the database knows to a set of metrics: depth and lag of the queue, circuits, incidents, runners, unreadable secrets. Asked
 * for when somebody scrapes; while the database is away the figures of before are shown.
 *
 * Each process shows the same figures, so that they can be had from any. Once for a set: in `dev` the API and
 * the runner share theirs.
 */
export function watchQueue(registry: Registry, pool: Pool): void {
  if (registry.getSingleMetric('postrider_jobs')) return
  const askOnce = createQuestion(pool)
  const refresh = createRefresh(async () => {
    const figures = await askOnce()
    if (figures) show(gauges, figures)
    gauges.up.set(figures ? 1 : 0)
  })
  const gauges = createGauges(registry, refresh)
}

/** Each waits for the same answer, as prom-client reads all of them at the same time. */
function createGauges(registry: Registry, collect: () => Promise<void>) {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `postrider_${name}`, help, labelNames, registers: [registry], collect })
  return {
    up: gauge(
      'database_up',
      'Whether the metrics of the queue could be read from the database, 1 or 0; if 0, they are the previous values.',
    ),
    jobs: gauge('jobs', 'Jobs by task and state: ready, scheduled, running, dead.', [
      'task',
      'state',
    ]),
    lag: gauge('oldest_due_seconds', 'For how long the oldest ready job of a task has been due.', [
      'task',
    ]),
    circuits: gauge(
      'circuits',
      'Endpoints without a success since they last failed: open (held), counting, or refusing (events only).',
      ['state'],
    ),
    runners: gauge('runners', 'Runners by state: live, draining, silent, stopped, reaped.', [
      'state',
    ]),
    incidents: gauge(
      'incidents',
      'Open incidents by cause and verdict: who likely caused them, ours or theirs.',
      ['cause', 'verdict'],
    ),
    blockedKeys: gauge(
      'blocked_keys',
      'Ordering keys whose events wait for a person, since one has failed.',
    ),
    blockedSeconds: gauge(
      'blocked_key_oldest_seconds',
      'For how long the oldest of them has been blocked; 0 when there is none.',
    ),
    collapsed: new Counter({
      name: 'postrider_deliveries_collapsed_total',
      help: 'Deliveries that ended as collapsed, since a newer event of their ordering key was sent instead.',
      registers: [registry],
      collect,
    }),
    unreadableEndpoints: gauge(
      'unreadable_endpoints',
      'Endpoints whose secret or client key no key of a runner opens.',
    ),
    unreadableDeliveries: gauge(
      'unreadable_deliveries',
      'Deliveries that are held for such endpoints; 100,000 stands for that many or more.',
    ),
  }
}

function show(gauges: ReturnType<typeof createGauges>, figures: Figures): void {
  const { jobs, lag, circuits, runners, incidents } = gauges
  for (const one of [jobs, lag, circuits, runners, incidents]) one.reset()
  gauges.blockedKeys.set(figures.blocked.keys)
  gauges.blockedSeconds.set(figures.blocked.seconds)
  gauges.collapsed.reset()
  gauges.collapsed.inc(figures.collapsed)
  gauges.unreadableEndpoints.set(Number(figures.unreadable.endpoints))
  gauges.unreadableDeliveries.set(Number(figures.unreadable.deliveries))
  for (const state of JOB_STATES) jobs.set({ task: DELIVER_TASK, state }, 0)
  lag.set({ task: DELIVER_TASK }, 0)
  for (const row of figures.jobs) {
    jobs.set({ task: row.task, state: row.state }, Number(row.jobs))
    if (row.state === 'ready') lag.set({ task: row.task }, Number(row.lag_s))
  }
  for (const { cause, verdict, count } of figures.incidents) {
    incidents.set({ cause, verdict }, count)
  }
  for (const row of figures.circuits) circuits.set({ state: row.state }, row.count)
  for (const row of figures.runners) runners.set({ state: row.state }, row.count)
}

/** Asks at most every `KEPT_MS`; anyone who comes meanwhile shares the answer. */
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

/** Null when the database is away, or silent; while an answer is awaited nothing else is asked. */
function createQuestion(pool: Pool): () => Promise<Figures | null> {
  const askOnce = oneAtATime(() => ask(pool).catch(() => null))
  return async () => {
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const timer = setTimeout(resolve, ANSWER_MS_MAX, null)
    try {
      return await Promise.race([askOnce(), late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** One after the other, so that it takes one connection of those that the process needs for its work. */
async function ask(pool: Pool): Promise<Figures> {
  const rowsOf = async <Row extends object>(text: string): Promise<Row[]> =>
    (await pool.query<Row>(text)).rows
  return {
    jobs: await rowsOf(JOBS),
    circuits: await rowsOf(CIRCUITS),
    runners: await rowsOf(RUNNERS),
    unreadable: (await rowsOf<Figures['unreadable']>(UNREADABLE))[0] ?? {
      endpoints: '0',
      deliveries: '0',
    },
    incidents: await rowsOf(INCIDENTS),
    blocked: (await rowsOf<Figures['blocked']>(BLOCKED))[0] ?? { keys: 0, seconds: 0 },
    collapsed: (await rowsOf<{ count: number }>(COLLAPSED))[0]?.count ?? 0,
  }
}
