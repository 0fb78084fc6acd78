import type { Queryable } from '../postgres/migrate/schema-record.ts'

/** A table that publishes by itself. */
export interface AttachedTable {
  table: string
  type: string
  tenant: string
  data: string | null
  orderingKey: string | null
  when: string | null
  previous: boolean
  events: string[]
  /** Why it does not publish, or cannot be written to. */
  problem: string | null
  owner: string
  attachedAt: Date
}

/** The rows of an attached table that are published although nobody changes them. */
export interface Backfill {
  id: string
  table: string
  state: 'running' | 'done' | 'cancelled'
  read: number
  total: number
  published: number
  error: string | null
  /** Whether runners continue it. */
  isAutomatic: boolean
  requestedBy: string
  createdAt: Date
  finishedAt: Date | null
}

/** There is no backfill with this id that runs. */
export class BackfillNotFound extends Error {
  override readonly name = 'BackfillNotFound'
  readonly code = 'backfill_not_found'
}

/** Beyond it, nobody reads the list to its end. */
const BACKFILLS_SHOWN = 100

export async function listTables(database: Queryable): Promise<AttachedTable[]> {
  const { rows } = await database.query<AttachedTable>(`
    select "table", type, tenant, data, ordering_key as "orderingKey", "when", previous, events, problem, owner,
      attached_at as "attachedAt"
    from postrider.attached_table order by 1`)
  return rows
}

/** Newest first. */
export async function listBackfills(database: Queryable): Promise<Backfill[]> {
  const { rows } = await database.query<Backfill>(
    `select id, "table", state, read::float8 as read, total::float8 as total, published::float8 as published, error,
       is_automatic as "isAutomatic", requested_by as "requestedBy", created_at as "createdAt",
       finished_at as "finishedAt"
     from postrider.backfill_progress order by id desc limit $1`,
    [BACKFILLS_SHOWN],
  )
  return rows
}

/** What it has published is delivered. @throws BackfillNotFound */
export async function cancelBackfill(database: Queryable, id: string, who?: string): Promise<void> {
  const { rows } = await database.query<{ was_running: boolean }>(
    'select postrider.cancel_backfill($1, coalesce($2, session_user)) as was_running',
    [id, who],
  )
  if (!rows[0]?.was_running) throw new BackfillNotFound(`no backfill ${id} is running`)
}
