import { type Kysely, sql } from 'kysely'
import type { AttemptId, DeliveryId, EndpointId, TenantId } from '../ids.ts'
import type { Database, OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'
import type { Snapshot } from './live-watermark.ts'

/** As much of an attempt as says who wants to see it. */
export interface AttemptSummary {
  id: AttemptId
  tenantId: TenantId
  endpointId: EndpointId
  deliveryId: DeliveryId
  outcome: OutcomeColumn
  statusCode: number | null
  reason: ReasonColumn | null
  finishedAt: Date | null
}

/** Longer than any timeout of an endpoint, and what comes on top of it. */
const IN_FLIGHT_MS_MAX = 75_000
/** Four seconds of more attempts than one Postgres has been seen to take; 3 MB. */
export const SUMMARIES_MAX = 20_000

const COLUMNS = sql`id, tenant_id as "tenantId", endpoint_id as "endpointId", delivery_id as "deliveryId",
  outcome, status_code as "statusCode", reason, finished_at as "finishedAt"`
/** Leaves out the partitions that are made ahead. */
const UNTIL_NOW = sql`id < postrider.id_at(now() + interval '1 hour')`

const idAt = (ms: number) => sql`postrider.id_at(to_timestamp(${ms / 1000}::float8))`

export interface Found {
  snapshot: Snapshot
  summaries: AttemptSummary[]
}

/** Attempts that are under way, and those that were made within `recentMs`. */
export function readUnderWay(database: Kysely<Database>, recentMs: number): Promise<Found> {
  const since = (ms: number) =>
    sql`id >= postrider.id_at(now() - make_interval(secs => ${ms / 1000}::float8))`
  return read(
    database,
    sql`
      select ${COLUMNS} from postrider.attempt
      where ${since(IN_FLIGHT_MS_MAX)} and ${UNTIL_NOW} and (outcome = 'started' or ${since(recentMs)})
      order by id desc limit ${SUMMARIES_MAX}`,
  )
}

/**
 * Attempts that were made from `sinceMs` on (the newest 20,000), and those of `open` that have ended. Both over
 * the primary key: an index on the end would make each update of an attempt write every index.
 */
export function readSince(
  database: Kysely<Database>,
  { sinceMs, open }: { sinceMs: number; open: AttemptId[] },
): Promise<Found> {
  const [low = null, high = null] = open.length > 0 ? [least(open), greatest(open)] : []
  return read(
    database,
    sql`
      (select ${COLUMNS} from postrider.attempt
       where id >= ${idAt(sinceMs)} and ${UNTIL_NOW} order by id desc limit ${SUMMARIES_MAX})
      union all
      select ${COLUMNS} from postrider.attempt
      where id = any (${open}::uuid[]) and id between ${low}::uuid and ${high}::uuid
        and id < ${idAt(sinceMs)} and outcome <> 'started'`,
  )
}

interface ReadEndedOptions {
  sinceMs: number
  tenants: ListedTenants
  limit: number
  isWanted: (summary: AttemptSummary) => boolean
}

/**
 * Attempts that ended from `sinceMs` on and are wanted, in this order, the latest `limit` of them. Looks through
 * the 20,000 newest of the tenant, or of all.
 */
export async function readEnded(
  database: Kysely<Database>,
  options: ReadEndedOptions,
): Promise<{ summaries: AttemptSummary[]; isComplete: boolean }> {
  const { sinceMs, tenants, limit, isWanted } = options
  const { rows } = await sql<AttemptSummary>`
    select ${COLUMNS} from postrider.attempt
    where id >= ${idAt(sinceMs - IN_FLIGHT_MS_MAX)} and ${UNTIL_NOW}
      and ${ofTenants(tenants) ?? sql`true`}
    order by id desc limit ${SUMMARIES_MAX}`.execute(database)
  const ended = rows
    .filter(({ finishedAt }) => finishedAt !== null && finishedAt.getTime() >= sinceMs)
    .filter(isWanted)
    .sort(byEnd)
  return {
    summaries: ended.slice(-limit),
    isComplete: rows.length < SUMMARIES_MAX && ended.length <= limit,
  }
}

export function byEnd(a: AttemptSummary, b: AttemptSummary): number {
  const later = (a.finishedAt?.getTime() ?? 0) - (b.finishedAt?.getTime() ?? 0)
  return later || (a.id < b.id ? -1 : 1)
}

/** Both in one statement, so that the snapshot is that of the rows. */
async function read(database: Kysely<Database>, summaries: ReturnType<typeof sql>): Promise<Found> {
  const { rows } = await sql<Partial<AttemptSummary> & { at: Date; xmin: string; xid: string }>`
    select statement_timestamp() as at, s.xmin, s.xid, summary.*
    from (
      select pg_snapshot_xmin(pg_current_snapshot())::text as xmin, pg_current_xact_id()::text as xid
    ) as s left join lateral (${summaries}) as summary on true`.execute(database)
  const { at = new Date(), xmin = '0', xid = '0' } = rows[0] ?? {}
  return {
    snapshot: { at: at.getTime(), xmin: BigInt(xmin), xid: BigInt(xid) },
    summaries: rows.filter((row): row is typeof row & AttemptSummary => row.id !== null),
  }
}

/** Ids are ordered as text, too. */
export const least = <Id extends string>(ids: readonly Id[]): Id | undefined =>
  ids.reduce<Id | undefined>((low, id) => (low === undefined || id < low ? id : low), undefined)
export const greatest = <Id extends string>(ids: readonly Id[]): Id | undefined =>
  ids.reduce<Id | undefined>((high, id) => (high === undefined || id > high ? id : high), undefined)
