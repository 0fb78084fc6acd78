import { type Kysely, type RawBuilder, sql } from 'kysely'
import { directionOf, type Order, SearchTooSlow } from './list-query.ts'
import { isTimeout } from './outage.ts'
import type { Database } from './schema.ts'

/** A page looks through so many rows and no more; an older page goes on from there. */
export const SCANNED_MAX = 50_000
/** Where each row costs a look into another table, or into its data. */
export const SCANNED_DEEPLY_MAX = 2_000
/** Where each row of events costs a look for its deliveries, in every partition where they may be. */
export const EVENTS_SCANNED_MAX = 1_000
/** Far above what so many rows take; a database that is slower has other troubles. */
const SCAN_MS_MAX = 3_000

/** A part of a list over all tenants. */
export interface ScanPage<Row> {
  rows: Row[]
  /** The id behind which the next page goes on; null = there is nothing more. */
  next: string | null
  /** Set where the page was given up before it was full: what is wanted is rare. */
  isCutShort: boolean
}

export interface Scan extends Order {
  table: 'event' | 'delivery' | 'attempt'
  /** What an index leads to; ordered by id. */
  indexed: RawBuilder<unknown>
  /** What each row of these is asked; the table is called `r`. */
  asked: RawBuilder<unknown>
  /** How many rows are asked. */
  scannedMax: number
  limit: number
}

/**
 * Makes the step that reads a page of the rows that are wanted, however rare they are: it asks a bounded
 * number of rows, and says where it stopped. So a page takes as long on ten million rows as on one, without
 * an index for each way to look.
 *
 * Sequential scans are off: without statistics, as on a day that has just begun, Postgres would read and
 * sort everything.
 */
export function createScan<Row extends { id: string }>(database: Kysely<Database>) {
  return async (
    scan: Scan,
    complete: (rows: RawBuilder<unknown>, direction: RawBuilder<unknown>) => RawBuilder<Row>,
  ): Promise<ScanPage<Row>> => {
    const { wanted, last } = queriesOf(scan)
    try {
      return await database.transaction().execute(async (transaction) => {
        await sql`select set_config('statement_timeout', ${String(SCAN_MS_MAX)}, true),
          set_config('enable_seqscan', 'off', true)`.execute(transaction)
        const { rows } = await complete(wanted, directionOf(scan)).execute(transaction)
        const shown = rows.slice(0, scan.limit)
        if (rows.length > scan.limit) {
          return { rows: shown, next: shown.at(-1)?.id ?? null, isCutShort: false }
        }
        const next = (await last.execute(transaction)).rows[0]?.id ?? null
        return { rows: shown, next, isCutShort: next !== null }
      })
    } catch (error) {
      throw isTimeout(error) ? new SearchTooSlow({ cause: error }) : error
    }
  }
}

/** The rows that are wanted, and the last one that was asked. */
function queriesOf({ table, indexed, asked, scannedMax, limit, ...order }: Scan) {
  const byId = sql`order by r.id ${directionOf(order)}`
  const from = sql`${sql.table(`postrider.${table}`)} as r`
  const scanned = sql`select r.* from ${from} where ${indexed} ${byId} limit ${scannedMax}`
  return {
    wanted: sql`select r.* from (${scanned}) as r where ${asked} ${byId} limit ${limit + 1}`,
    last: sql<{ id: string }>`
      select r.id from ${from} where ${indexed} ${byId} offset ${scannedMax - 1} limit 1`,
  }
}
