import { type Kysely, sql } from 'kysely'
import { runList, SearchTooSlow } from '../postgres/run-list.ts'
import type { Database } from '../postgres/schema.ts'

/** More are no help to anybody who looks for the large ones. */
const TABLES_SHOWN = 15
/** Past days: somewhat more than most installations keep. */
const DAYS_SHOWN = 40
const HOLDERS_SHOWN = 10
const PROGRAMS_SHOWN = 20

/** What a database administrator looks for first; the runbooks say what to do about it. */
export interface DatabaseReport {
  bytes: number
  tables: TableSize[]
  /** The last day for which each table has a partition; null = one has none at all. */
  readyUntil: string | null
  days: StoredDay[]
  /** Whether it could be read what retention does with them: that can take long. */
  isPlanRead: boolean
  holders: SnapshotHolder[]
  programs: Program[]
  connections: number
  connectionsMax: number
  /** Share of the notification queue that is filled. */
  notifyQueue: number
}

/** A table with all its partitions and indexes. */
interface TableSize {
  name: string
  liveRows: number
  deadRows: number
  bytes: number
  vacuumedAt: Date | null
}

/** The partitions of a past day. */
interface StoredDay extends Fate {
  day: string
  isAttached: boolean
  rows: number
  bytes: number
}

/** What retention does with a day; null where it is younger, or that is not known. */
interface Fate {
  verdict: 'drop' | 'keep' | null
  reason: string | null
}

/** What keeps vacuum from removing dead rows. */
interface SnapshotHolder {
  kind: string
  who: string
  detail: string | null
  age: number
  openSeconds: number | null
  state: string | null
}

/** Connections to this database, by the name that programs give. */
interface Program {
  name: string
  connections: number
  /** Null where it is not known of all of them, as `inTransaction`. */
  active: number | null
  inTransaction: number | null
}

const TABLES = sql<TableSize>`
  select coalesce('postrider.' || parent, table_name) as name, sum(live_rows)::float8 as "liveRows",
    sum(dead_rows)::float8 as "deadRows", sum(table_bytes + index_bytes)::float8 as bytes,
    max(last_autovacuum) as "vacuumedAt"
  from postrider.table_health group by 1 order by bytes desc, name limit ${TABLES_SHOWN}`

const DAYS = sql<Omit<StoredDay, keyof Fate>>`
  select p.day::text, bool_and(p.state = 'attached') as "isAttached", sum(p.rows_estimate)::float8 as rows,
    sum(p.bytes)::float8 as bytes
  from postrider.partition p
  where p.day <= (now() at time zone 'UTC')::date
  group by p.day order by p.day desc limit ${DAYS_SHOWN}`

const planOf = (retentionDays: number) => sql<Fate & { day: string }>`
  select day::text, verdict, reason from postrider.retention_plan(${retentionDays})`

const HOLDERS = sql<SnapshotHolder>`
  select kind, who, detail, xmin_age as age, extract(epoch from open_for)::float8 as "openSeconds", state
  from postrider.xmin_holder order by xmin_age desc, who limit ${HOLDERS_SHOWN}`

const PROGRAMS = sql<Program>`
  select coalesce(nullif(application_name, ''), '–') as name, count(*)::int as connections,
    case when bool_and(state is not null) then count(*) filter (where state = 'active')::int end as active,
    case when bool_and(state is not null) then count(*) filter (where state like 'idle in transaction%')::int
      end as "inTransaction"
  from postrider.client_sessions() where is_here
  group by 1 order by connections desc, name limit ${PROGRAMS_SHOWN}`

type Totals = Pick<
  DatabaseReport,
  'bytes' | 'readyUntil' | 'connections' | 'connectionsMax' | 'notifyQueue'
>

const TOTALS = sql<Totals>`
  select pg_database_size(current_database())::float8 as bytes,
    (select min(last)::text from (
       select max(p.day) as last from unnest(array['event', 'delivery', 'attempt']) as of (parent)
       left join postrider.partition p on p.parent = of.parent and p.state = 'attached'
       group by of.parent) as ready
     having bool_and(last is not null)) as "readyUntil",
    (select count(*)::int from postrider.client_sessions()) as connections,
    current_setting('max_connections')::int as "connectionsMax", queue_usage::float8 as "notifyQueue"
  from postrider.notify_pressure`

/** Makes the step that reads it: statistics, file sizes, and what retention would do. */
export function createDatabaseReport(options: {
  database: Kysely<Database>
  retentionDays: number
}) {
  const { database, retentionDays } = options
  return async (): Promise<DatabaseReport> => {
    const [tables, days, plan, holders, programs, totals] = await Promise.all([
      TABLES.execute(database),
      DAYS.execute(database),
      readPlan(database, retentionDays),
      HOLDERS.execute(database),
      PROGRAMS.execute(database),
      TOTALS.execute(database),
    ])
    const [total] = totals.rows
    if (!total) throw new Error('a view of one row has it')
    return {
      ...total,
      ...{ tables: tables.rows, holders: holders.rows, programs: programs.rows },
      days: days.rows.map((day) => ({ ...day, ...(plan?.get(day.day) ?? UNKNOWN) })),
      isPlanRead: plan !== null,
    }
  }
}

const UNKNOWN: Fate = { verdict: null, reason: null }

/** What retention does with each old day; null where that takes too long, as when many deliveries are open. */
async function readPlan(database: Kysely<Database>, retentionDays: number) {
  try {
    const { rows } = await runList(database, { isIndexed: false }, (on) =>
      planOf(retentionDays).execute(on),
    )
    return new Map(rows.map(({ day, ...fate }) => [day, fate]))
  } catch (error) {
    if (error instanceof SearchTooSlow) return null
    throw error
  }
}
