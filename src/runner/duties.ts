import type { Pool } from 'pg'
import { startFairness } from '../housekeeping/fairness.ts'
import { startPartitionKeeper } from '../housekeeping/partitions.ts'
import { startQueueStatistics } from '../housekeeping/queue-statistics.ts'
import { startRetention } from '../housekeeping/retention.ts'
import type { Log } from '../log.ts'
import { startReconciler } from '../recovery/reconciler.ts'

/**
 * What every runner does besides delivering; whichever is alive does it, one at a time.
 *
 * - every second: sample who has how much due, and have the queue analyzed when it has filled
 * - every minute: heal lost work, remove what expired
 * - every hour: make partitions ahead, drop days older than the retention
 */
export function startDuties({
  pool,
  log,
  retentionDays,
}: {
  pool: Pool
  log: Log
  retentionDays: number
}): { stop(): Promise<void> }[] {
  const warn = (name: string) => (error: unknown) => log.warn({ err: error }, name)
  return [
    startFairness({ pool, onError: warn('fairness.not_sampled') }),
    startQueueStatistics({ pool, onError: warn('queue.not_analyzed') }),
    startReconciler({ pool, log }),
    startPartitionKeeper({ pool, onError: warn('partitions.not_made') }),
    startRetention({ pool, log, retentionDays }),
  ]
}
