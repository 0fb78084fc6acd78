import type { Pool } from 'pg'
import { retryThroughOutage } from '../postgres/outage.ts'

/** One breach of the promises; what each kind means stands at postrider.violations() in sql/functions. */
export interface Violation {
  kind: string
  /** Of the delivery, attempt, endpoint, job, runner or event, depending on the kind. */
  id: string
  tenantId: string | null
  detail: string
}

/** Something that was healed, and how many of them. */
export interface Repaired {
  what: string
  count: number
}

export interface FindOptions {
  /** How far back finished deliveries are checked; open ones always are, all of them. */
  hours?: number
  /** Newest deliveries and attempts that are checked within that time. */
  rowsMax?: number
}

const HOURS = 24
/** 10 s at 0.05 ms a row. */
const ROWS_MAX = 200_000
/** A request takes 60 s at most: an attempt that has been under way for longer is not on the wire. */
const REPAIR_OLDER_THAN_SECONDS = 60
/** Runners that died longer ago than their rows are kept cannot be told from unknown ones. */
const REPAIR_RUNNERS_GONE_WITHIN = '7 days'
/** Each round heals a batch of 1,000 of every kind; what is left after a million needs a look by people. */
const REPAIR_ROUNDS_MAX = 1_000
/** A runner may be taking one of the jobs at this very moment. */
const CONFLICT_MS_MAX = 10_000

/** Every breach that can be found. Reads only, in one snapshot; nothing on a healthy system. */
export async function findViolations(pool: Pool, options: FindOptions = {}): Promise<Violation[]> {
  const { rows } = await pool.query<Violation>(
    `select kind, id, tenant_id as "tenantId", detail
     from postrider.violations(now() - make_interval(hours => $1), $2)
     order by kind, id`,
    [options.hours ?? HOURS, options.rowsMax ?? ROWS_MAX],
  )
  return rows
}

/**
 * Heals what can be healed, until there is nothing more: gives lost work its jobs again, unlocks jobs of
 * runners that are gone, closes attempts that nobody will finish, removes pointless jobs.
 *
 * Some of it takes effect when a runner has worked on it. What is missing (an attempt, an event) stays missing.
 */
export async function repair(pool: Pool, who = 'doctor'): Promise<Repaired[]> {
  const repaired = new Map<string, number>()
  for (let round = 0; round < REPAIR_ROUNDS_MAX; round++) {
    const healed = await retryThroughOutage(() => repairOnce(pool, who), { forMs: CONFLICT_MS_MAX })
    for (const { what, count } of healed) repaired.set(what, (repaired.get(what) ?? 0) + count)
    if (healed.length === 0) break
  }
  return [...repaired].map(([what, count]) => ({ what, count }))
}

async function repairOnce(pool: Pool, who: string): Promise<Repaired[]> {
  const healed = await pool.query<Repaired>(
    `select healed as what, count
     from postrider.reconcile(make_interval(secs => $1), $2)
     union all
     select removed, count from postrider.janitor($2)
     union all
     select 'abandoned', count from postrider.abandon_of_dead_runners($3) as count where count > 0`,
    [REPAIR_OLDER_THAN_SECONDS, who, REPAIR_RUNNERS_GONE_WITHIN],
  )
  return healed.rows
}
