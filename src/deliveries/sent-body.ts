import { type Kysely, sql } from 'kysely'
import type { EventId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** A delivery may be there for longer than its event, whose day is dropped first. */
export interface SentBody {
  /** Null where the event is gone. */
  type: string | null
  /** To the byte, or as much of it as was asked for; null where its data was erased or the event is gone. */
  body: string | null
  /** Whether members of the data are hidden, so that the signature does not fit. */
  isMasked: boolean
}

/**
 * Makes the step that builds the body of every request about an event: the whole of it, or its first `charactersMax`
 * characters and some when it is longer.
 */
export function createSentBody({
  database,
  isMasked = true,
}: {
  database: Kysely<Database>
  /** As in `createEvents`. */
  isMasked?: boolean
}) {
  const data = isMasked ? sql`postrider.masked(type, data)` : sql`data`
  return async (
    tenantId: TenantId,
    id: EventId,
    { charactersMax = null }: { charactersMax?: number | null } = {},
  ): Promise<SentBody> => {
    const body = sql`postrider.body(type, occurred_at, ${data})`
    // One more, which tells that there is more.
    const read = charactersMax === null ? body : sql`left(${body}, ${charactersMax + 1})`
    const { rows } = await sql<SentBody>`
      select type, ${read} as body,
        ${isMasked ? sql`postrider.is_masked(type)` : sql`false`} as "isMasked"
      from postrider.event where id = ${id} and tenant_id = ${tenantId}`.execute(database)
    return rows[0] ?? { type: null, body: null, isMasked: false }
  }
}
