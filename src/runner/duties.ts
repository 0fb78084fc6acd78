import type { Pool } from 'pg'
import { startFairness } from '../duties/fairness.ts'
import { startIncidentKeeper } from '../duties/incident-keeper.ts'
import { startPartitionKeeper } from '../duties/partitions.ts'
import { startQueueStatistics } from '../duties/queue-statistics.ts'
import { startReconciler } from '../duties/reconciler.ts'
import { startRetention } from '../duties/retention.ts'
import { startRoutingLater } from '../duties/route-later.ts'
import { startTimeline } from '../duties/timeline.ts'
import type { Log } from '../log.ts'
import { levelOf } from '../postgres/outage.ts'

interface DutyDependencies {
  pool: Pool
  log: Log
  retentionDays: number
}
type Warn = (event: string) => (error: unknown) => void

interface Duty {
  every: 'second' | '2 seconds' | 'minute' | 'hour'
  /** For docs/reference/duties.md, which lists them all; a test compares. */
  what: string
  start(deps: DutyDependencies, warn: Warn): { stop(): Promise<void> }
}

/** What every runner does besides delivering; whichever is alive does it, one at a time. */
export const DUTIES: readonly Duty[] = [
  {
    every: 'second',
    what: 'keep due deliveries of a tenant beyond its share behind the others, and admit them in turns',
    start: ({ pool }, warn) => startFairness({ pool, onError: warn('queue.not_shared') }),
  },
  {
    every: 'second',
    what: 'analyze the queue when it has grown fourfold, so that its statements get good plans',
    start: ({ pool }, warn) => startQueueStatistics({ pool, onError: warn('queue.not_analyzed') }),
  },
  {
    every: 'second',
    what: 'evaluate filters that were too expensive while their events were published',
    start: ({ pool }, warn) => startRoutingLater({ pool, onError: warn('events.not_routed') }),
  },
  {
    every: 'second',
    what: 'note the timeline of the server, and whether commits wait for a standby, for `postrider doctor`',
    start: ({ pool }, warn) => startTimeline({ pool, onError: warn('timeline.not_noted') }),
  },
  {
    every: '2 seconds',
    what: 'open and close incidents of endpoints that keep failing',
    start: ({ pool }, warn) => startIncidentKeeper({ pool, onError: warn('incidents.not_kept') }),
  },
  {
    every: 'minute',
    what: 'give lost work its job again, remove expired rows, erase the data of events whose time for it has come',
    start: startReconciler,
  },
  {
    every: 'hour',
    what: 'create the partitions of the next 40 days',
    start: ({ pool }, warn) => startPartitionKeeper({ pool, onError: warn('partitions.not_made') }),
  },
  {
    every: 'hour',
    what: 'drop days older than `RETENTION_DAYS`, and delete rows beyond the shorter retention of a tenant',
    start: startRetention,
  },
]

export function startDuties(deps: DutyDependencies): { stop(): Promise<void> }[] {
  const warn: Warn = (event) => (error) => deps.log[levelOf(error)]({ err: error }, event)
  return DUTIES.map(({ start }) => start(deps, warn))
}
