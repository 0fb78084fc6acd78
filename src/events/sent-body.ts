import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/schema.ts'
import type { EventId, TenantId } from '../ids.ts'

/** A delivery may be there for longer than its event, whose day is dropped first. */
export interface SentBody {
  /** Null where the event is gone. */
  type: string | null
  /** To the byte; null where its data was erased or the event is gone. */
  body: string | null
}

/** Makes the step that builds the body of every request about an event. */
export function createSentBody({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId, id: EventId): Promise<SentBody> => {
    const { rows } = await sql<SentBody>`
      select type, postrider.body(type, occurred_at, data) as body
      from postrider.event where id = ${id} and tenant_id = ${tenantId}`.execute(database)
    return rows[0] ?? { type: null, body: null }
  }
}
