import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Pool } from 'pg'
import { createPool } from '../postgres/pool.ts'
import { createBar } from '../terminal/bar.ts'
import { findDatabase } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'

/** A batch takes well under a second; counting the rows of a large table takes longer. */
const STATEMENT_MS_MAX = 600_000

/** How far a backfill is. */
export interface BackfillProgress {
  id: string
  state: 'running' | 'ended'
  read: number
  total: number
  published: number
}

export interface BackfillRequest {
  table: string
  where?: string | undefined
  rate?: number | undefined
  event?: string | undefined
}

/** The database refused it, in words that are for people. */
export class TableRefused extends Error {
  override readonly name = 'TableRefused'
  readonly code = 'table_refused'
}

/**
 * On the database that the command finds. Asks nothing about the schema: the owner of a table can call our functions, and
 * reads none of our tables.
 */
export async function onTables<T>(
  context: CommandContext,
  work: (pool: Pool) => Promise<T>,
): Promise<T> {
  const { databaseUrl } = await findDatabase(context)
  const pool = createPool({
    ...{ connectionString: databaseUrl, max: 1, applicationName: 'postrider table' },
    statementTimeoutMs: STATEMENT_MS_MAX,
  })
  try {
    return await work(pool)
  } catch (error) {
    throw refusalOf(error) ?? error
  } finally {
    await pool.end()
  }
}

/** What our functions raise, and what Postgres says of rights and of conditions: classes 0A, 22, 42, 55 and P0. */
function refusalOf(error: unknown): TableRefused | null {
  const { code = '', message, hint, severity } = error as pg.DatabaseError
  if (severity === 'FATAL' || !/^(0A|22|23514|42|55000|P0)/.test(code)) return null
  return new TableRefused(hint ? `${message}. ${hint}` : message)
}

/** Begins a backfill. @returns its id */
export async function beginBackfill(pool: Pool, request: BackfillRequest): Promise<string> {
  const { table, where = null, rate = null, event = null } = request
  const { rows } = await pool.query<{ id: string }>(
    `select postrider.backfill($1, "where" => $2, rate_per_second => coalesce($3::numeric, 500), event => coalesce($4, 'created')) as id`,
    [table, where, rate, event],
  )
  return rows[0]?.id ?? ''
}

/**
 * Continues a backfill to its end, a batch a transaction, with a bar on the terminal. Being asked to stop ends the
 * command between two batches. Where runners continue it too, each takes its turn.
 *
 * @returns as it was seen last
 */
export async function continueBackfill(
  context: CommandContext,
  pool: Pool,
  id: string,
): Promise<BackfillProgress> {
  const bar = createBar()
  const { stopSignal: signal } = context
  let { waitMs, ...progress } = await step(pool, id)
  if (context.isWatched) bar.start(progress.total, progress.read)
  while (progress.state === 'running') {
    await delay(waitMs, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) break
    ;({ waitMs, ...progress } = await step(pool, id))
    bar.setTotal(Math.max(progress.total, progress.read))
    bar.update(progress.read)
  }
  bar.stop()
  if (progress.state === 'running') context.note(await wayOn(pool, id))
  return progress
}

/** What a person has to know who stopped the command. */
async function wayOn(pool: Pool, id: string): Promise<string> {
  const { rows } = await pool.query<{ is_automatic: boolean }>(
    'select is_automatic from postrider.take_backfill($1)',
    [id],
  )
  return rows[0]?.is_automatic
    ? `runners continue it; to end it: postrider table cancel ${id}\n`
    : `to continue it: postrider table continue ${id}\n`
}

async function step(pool: Pool, id: string): Promise<BackfillProgress & { waitMs: number }> {
  const { rows } = await pool.query(
    `select case when is_over then 'ended' else 'running' end as state, read::float8 as read, total::float8 as total,
       published::float8 as published, coalesce(wait_seconds, 0) * 1000 as "waitMs"
     from postrider.backfill_step($1)`,
    [id],
  )
  return { id, ...rows[0] }
}
