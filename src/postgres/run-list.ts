import { type Kysely, sql } from 'kysely'
import { isTimeout } from './outage.ts'
import type { Database } from './schema.ts'

/** Longer than a page over an index takes; short enough that anyone who waits for it still does. */
const LIST_MS_MAX = 3_000

/** A list has looked through too many rows; what it was asked for is rare, or not there. */
export class SearchTooSlow extends Error {
  override readonly name = 'SearchTooSlow'
  readonly code = 'search_too_slow'
  constructor(options: ErrorOptions) {
    super(
      `no match was found within ${LIST_MS_MAX / 1000} s; narrow the time range with since and until`,
      options,
    )
  }
}

/**
 * Runs the query of a list; within its own time where it may have to look through many rows, because
 * no index leads to those that are wanted.
 *
 * @throws SearchTooSlow
 */
export async function runList<T>(
  database: Kysely<Database>,
  { isIndexed }: { isIndexed: boolean },
  query: (on: Kysely<Database>) => Promise<T>,
): Promise<T> {
  if (isIndexed) return await query(database)
  try {
    return await database.transaction().execute(async (transaction) => {
      await sql`select set_config('statement_timeout', ${String(LIST_MS_MAX)}, true)`.execute(
        transaction,
      )
      return await query(transaction)
    })
  } catch (error) {
    throw isTimeout(error) ? new SearchTooSlow({ cause: error }) : error
  }
}
