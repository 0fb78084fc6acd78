import { setTimeout as delay } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import { every } from '../clock.ts'
import type { Log } from '../log.ts'
import { beginDuty, endDuty } from '../postgres/duty.ts'
import { isTimeout, levelOf } from '../postgres/outage.ts'

/** A day falls due once a day; an hour later is soon enough, and a run without work costs milliseconds. */
const INTERVAL_MS = 3_600_000
const LOCK_NOT_AVAILABLE = '55P03'
/** A backlog of a month goes in one run; more in the next hour. */
const DAYS_IN_RUN_MAX = 31
/** Half a million rows an hour, some minutes of work; more in the next. */
const DELETES_IN_RUN_MAX = 500
const DELETE_BATCH_ROWS = 1_000
/** Detaching waits for every transaction that uses the table, and holds back stopping meanwhile. */
const DETACH_MS_MAX = 10_000
/** A runner that does not own the tables tries a day so often, then again in the next run. */
const BRIEF_DETACHES_MAX = 20
/** Publishing may have waited for 100 ms; for as long again, and more, nothing is in its way. */
const BRIEF_DETACH_PAUSE_MS = 500
/** Counts the attempts of a day: 5 s for 10 million. */
const DROP_MS_MAX = 300_000

export interface RetentionOptions {
  retentionDays: number
  /** Stops after the step under way. */
  signal?: AbortSignal
  /** How long a partition may wait for the transactions that use it. */
  detachMsMax?: number
}

export interface Retained {
  /** Days that were dropped. */
  dropped: string[]
  /** Days that are due and stay, with the reason. */
  kept: { day: string; reason: string }[]
  /** Events and deliveries of tenants with a shorter retention. */
  deleted: number
}

interface Day {
  day: string
  /** Why it is kept; null = it goes. */
  reason: string | null
  /** Not so where a run was cut off: it is dropped now or, when it has come into use, attached again. */
  attached: boolean
}

/**
 * Drops the days that are older than the retention, now and every hour for as long as it runs. Every runner
 * has one, and one at a time works (the duty `retention`).
 */
export function startRetention(deps: { pool: Pool; retentionDays: number; log: Log }): {
  stop(): Promise<void>
} {
  const stopping = new AbortController()
  const run = async () => {
    const { retentionDays } = deps
    const retained = await applyRetention(deps.pool, { retentionDays, signal: stopping.signal })
    if (!retained) return
    const { dropped, kept, deleted } = retained
    if (dropped.length > 0 || deleted > 0) deps.log.info({ dropped, deleted }, 'retention.applied')
    for (const { day, reason } of kept) deps.log.info({ day, reason }, 'retention.day_kept')
  }

  const recurring = every(INTERVAL_MS, run, (err) =>
    deps.log[levelOf(err)]({ err }, 'retention.failed'),
  )
  return {
    /** Resolves once the step under way has ended. Safe to call twice. */
    stop: async () => {
      stopping.abort()
      await recurring.stop()
    },
  }
}

/**
 * Drops what is older than so many days, and deletes what tenants keep for a shorter time.
 *
 * Takes no lock that publishing waits for: a partition is detached concurrently, which waits for others but
 * lets nobody wait, and dropped when nobody uses it any more. Who does not own the tables cannot do that, and
 * takes a lock that gives up after 100 ms. Cut off at any point, the next run goes on.
 *
 * @returns null when another process is at it
 */
export async function applyRetention(
  pool: Pool,
  options: RetentionOptions,
): Promise<Retained | null> {
  const duty = await pool.connect()
  try {
    if (!(await beginDuty(duty, 'retention'))) return null
    const retained = await dropAndDelete(pool, options)
    await endDuty(duty)
    return retained
  } finally {
    duty.release(true) // after a failure the duty ends with the session
  }
}

async function dropAndDelete(pool: Pool, options: RetentionOptions): Promise<Retained> {
  const client = await pool.connect()
  try {
    const days = await dropDays(client, options)
    return { ...days, deleted: await deleteExpired(client, options) }
  } finally {
    client.release(true) // its timeouts end with the session
  }
}

async function dropDays(client: PoolClient, options: RetentionOptions) {
  const { retentionDays, signal, detachMsMax = DETACH_MS_MAX } = options
  const { rows: plan } = await client.query<Day>(
    'select day::text, reason, attached from postrider.retention_plan($1)',
    [retentionDays],
  )
  const dropped: string[] = []
  const kept = plan.flatMap(({ day, reason, attached }) =>
    reason !== null && attached ? [{ day, reason }] : [],
  )
  const due = plan.filter(({ reason, attached }) => reason === null || !attached)
  for (const { day } of due.slice(0, DAYS_IN_RUN_MAX)) {
    if (signal?.aborted) break
    // Transactions older than our patience are about: it stays half detached until the next run.
    if (!(await detachDay(client, day, detachMsMax))) break
    const reason = await dropDay(client, day, retentionDays)
    if (reason === null) dropped.push(day)
    else kept.push({ day, reason })
  }
  return { dropped, kept }
}

interface Partition {
  parent: string
  name: string
  state: string
  /** Whether we may detach it concurrently. */
  is_ours: boolean
}

/** False when it took too long. */
async function detachDay(client: PoolClient, day: string, msMax: number): Promise<boolean> {
  await client.query(`set statement_timeout = ${msMax}`)
  try {
    for (const partition of await attachedPartitions(client, day)) {
      if (partition.is_ours) await detachConcurrently(client, partition)
      else if (!(await detachBriefly(client, day, partition))) return false
    }
    return true
  } catch (error) {
    if (isTimeout(error)) return false
    throw error
  }
}

async function attachedPartitions(client: PoolClient, day: string): Promise<Partition[]> {
  const { rows } = await client.query<Partition>(
    `select p.parent, p.name, p.state, pg_has_role(c.relowner, 'usage') as is_ours
     from postrider.partition p
     join pg_class c on c.relname = p.parent and c.relnamespace = 'postrider'::regnamespace
     where p.day = $1 and p.state <> 'detached'
     order by p.parent`,
    [day],
  )
  return rows
}

async function detachConcurrently(client: PoolClient, { parent, name, state }: Partition) {
  const how = state === 'detaching' ? 'finalize' : 'concurrently'
  await client.query(`alter table postrider.${parent} detach partition postrider.${name} ${how}`)
}

/** False when the table was in use by somebody at every try. */
async function detachBriefly(client: PoolClient, day: string, { parent }: Partition) {
  for (let tried = 1; tried <= BRIEF_DETACHES_MAX; tried++) {
    try {
      await client.query('select postrider.detach_partition($1, $2)', [day, parent])
      return true
    } catch (error) {
      if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error
    }
    await delay(BRIEF_DETACH_PAUSE_MS)
  }
  return false
}

/** The reason when the day has come into use meanwhile, and was attached again. */
async function dropDay(
  client: PoolClient,
  day: string,
  retentionDays: number,
): Promise<string | null> {
  await client.query(`set statement_timeout = ${DROP_MS_MAX}`)
  const { rows } = await client.query<{ reason: string | null }>(
    'select postrider.drop_day($1, $2) as reason',
    [day, retentionDays],
  )
  return rows[0]?.reason ?? null
}

async function deleteExpired(client: PoolClient, { retentionDays, signal }: RetentionOptions) {
  await client.query(`set statement_timeout = ${DROP_MS_MAX}`)
  let total = 0
  for (let batch = 0; batch < DELETES_IN_RUN_MAX && !signal?.aborted; batch++) {
    const { rows } = await client.query<{ deleted: number }>(
      'select postrider.delete_expired($1, $2) as deleted',
      [retentionDays, DELETE_BATCH_ROWS],
    )
    const deleted = rows[0]?.deleted ?? 0
    total += deleted
    if (deleted === 0) break
  }
  return total
}
