import { type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely'
import { directionOf, type Order } from './list-query.ts'
import { isTimeout } from './outage.ts'
import { SearchTooSlow } from './run-list.ts'
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
  /** The place behind which the next page goes on, an id where it is ordered by time; null = there is nothing more. */
  next: string | null
  /** Set where the page was given up before it was full: what is wanted is rare. */
  isCutShort: boolean
}

export interface Scan extends Order {
  table: 'event' | 'delivery' | 'attempt'
  /** What an index leads to, ordered by id or `by`. */
  indexed: RawBuilder<unknown>
  /** A column of times, the rows of which have an id as their second key; by id alone where it is left out. */
  by?: 'next_attempt_at' | undefined
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
export function createScan<Row extends { id: string; place?: string }>(database: Kysely<Database>) {
  return async (
    scan: Scan,
    complete: (
      rows: RawBuilder<unknown>,
      direction: RawBuilder<unknown>,
      order: RawBuilder<unknown>,
    ) => RawBuilder<Row>,
  ): Promise<ScanPage<Row>> => {
    const { wanted, last, order } = queriesOf(scan)
    try {
      return await database.transaction().execute(async (transaction) => {
        await sql`select set_config('statement_timeout', ${String(SCAN_MS_MAX)}, true),
          set_config('enable_seqscan', 'off', true)`.execute(transaction)
        const { rows } = await complete(wanted, directionOf(scan), order).execute(transaction)
        const shown = rows.slice(0, scan.limit)
        if (rows.length > scan.limit) {
          const end = shown.at(-1)
          return { rows: shown, next: end?.place ?? end?.id ?? null, isCutShort: false }
        }
        const next = (await last.execute(transaction)).rows[0]?.place ?? null
        return { rows: shown, next, isCutShort: next !== null }
      })
    } catch (error) {
      throw isTimeout(error) ? new SearchTooSlow({ cause: error }) : error
    }
  }
}

/** The rows that are wanted, in which order, and the place of the last one that was asked. */
function queriesOf({ table, indexed, asked, scannedMax, limit, by, ...direction }: Scan) {
  const to = directionOf(direction)
  const order = by
    ? sql`order by ${sql.ref(`r.${by}`)} ${to}, r.id ${to}`
    : sql`order by r.id ${to}`
  const place = by ? placeIn(by) : sql`r.id::text`
  const from = sql`${sql.table(`postrider.${table}`)} as r`
  const scanned = sql`select r.* from ${from} where ${indexed} ${order} limit ${scannedMax}`
  const more = by ? sql`, ${place} as place` : sql``
  return {
    order,
    wanted: sql`select r.*${more} from (${scanned}) as r where ${asked} ${order} limit ${limit + 1}`,
    last: sql<{ place: string }>`
      select ${place} as place from ${from} where ${indexed} ${order} offset ${scannedMax - 1} limit 1`,
  }
}

/** To the microsecond, as rows are compared with it. */
const placeIn = (column: string) => sql`
  to_char(${sql.ref(`r.${column}`)} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '~' || r.id`

/** Leaves out the pages before in a list that is ordered by such a column; null = this is no place in it. */
export function isBehindPlace(
  column: string,
  { before, isOldestFirst = false }: { before: string; isOldestFirst?: boolean | undefined },
): RawBuilder<SqlBool> | null {
  const [, at, id] = PLACE.exec(before) ?? []
  if (!at || !id || !isTime(at)) return null
  const than = isOldestFirst ? sql`>` : sql`<`
  return sql`(${sql.ref(`r.${column}`)}, r.id) ${than} (${at}::timestamptz, ${id}::uuid)`
}

const PLACE =
  /^([1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)~([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** No 30 February, which Postgres refuses and `Date` reads as another day. */
function isTime(at: string): boolean {
  const time = new Date(at)
  return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 19) === at.slice(0, 19)
}
