import type { Pool } from 'pg'
import { every, type Recurring } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Repaired } from '../operations/violations.ts'
import { levelOf } from '../postgres/outage.ts'

/** Work that lost its job waits for this, and for the five minutes that reconcile() spares what is young. */
const INTERVAL_MS = 60_000
const WHO = 'reconciler'

/** Each takes a batch a call, does nothing on a healthy system, and returns what it did. */
const DUTIES = [
  {
    event: 'work.reconciled',
    sql: `select healed as what, count from postrider.reconcile(who => '${WHO}')`,
  },
  {
    event: 'jobs.removed',
    sql: `select removed as what, count from postrider.janitor(who => '${WHO}')`,
  },
  { event: 'rows.cleaned_up', sql: 'select removed as what, count from postrider.clean_up()' },
  { event: 'events.erased', sql: 'select erased as what, count from postrider.erase_due()' },
]

/**
 * The safety net: heals lost work, removes dead jobs and expired rows, erases what is to be erased by now, each in its
 * own transaction; now and every minute for as long as it runs. Every process may have one, and one at a time
 * reconciles (the duty `reconcile`).
 */
export function startReconciler({ pool, log }: { pool: Pool; log: Log }): Recurring {
  const round = async () => {
    for (const { event, sql } of DUTIES) {
      try {
        const { rows } = await pool.query<Repaired>(sql)
        if (rows.length > 0) log.warn(countsOf(rows), event)
      } catch (error) {
        log[levelOf(error)]({ err: error, duty: event }, 'reconciler.failed')
      }
    }
  }

  return every(INTERVAL_MS, round, (err) => log[levelOf(err)]({ err }, 'reconciler.failed'))
}

function countsOf(rows: Repaired[]): Record<string, number> {
  return Object.fromEntries(rows.map(({ what, count }) => [what, count]))
}
