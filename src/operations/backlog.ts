import { type Kysely, sql } from 'kysely'
import type { Database } from '../postgres/schema.ts'

/** So many are counted in some milliseconds, and nobody waits for the exact number. */
export const BACKLOG_COUNTED_MAX = 20_000

/** Deliveries of all tenants that are not done; each number is exact below `BACKLOG_COUNTED_MAX`. */
export interface Backlog {
  /** Due by now and not being sent. */
  due: number
  oldestDueAt: Date | null
  /** Waits for a later attempt. */
  scheduled: number
  delivering: number
  held: number
}

/**
 * Makes the step that counts what is open, in the order in which it is due: what matters comes first, so
 * that a large rest costs nothing.
 */
export function createBacklog({ database }: { database: Kysely<Database> }) {
  return async (): Promise<Backlog> => {
    const { rows } = await sql<Backlog>`
      with open as materialized (
        select d.state, d.next_attempt_at
        from postrider.delivery d
        where d.finished_at is null and d.id < postrider.id_at(now() + interval '1 hour')
        order by d.next_attempt_at
        limit ${BACKLOG_COUNTED_MAX}
      )
      select
        count(*) filter (where state = 'pending' and next_attempt_at <= now())::int as due,
        min(next_attempt_at) filter (where state = 'pending' and next_attempt_at <= now()) as "oldestDueAt",
        count(*) filter (where state = 'pending' and next_attempt_at > now())::int as scheduled,
        count(*) filter (where state = 'delivering')::int as delivering,
        count(*) filter (where state = 'held')::int as held
      from open`.execute(database)
    const [backlog] = rows
    if (!backlog) throw new Error('a count has a row')
    return backlog
  }
}
