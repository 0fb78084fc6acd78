import { type Kysely, sql } from 'kysely'
import type { Database } from '../database/schema.ts'
import type { EventId, TenantId } from '../ids.ts'
import { EventNotFound } from './events.ts'

/** Makes the step that builds the body of every request about an event, to the byte. @throws EventNotFound */
export function createSentBody({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId, id: EventId): Promise<{ type: string; body: string }> => {
    const { rows } = await sql<{ type: string; body: string }>`
      select type, postrider.body(type, occurred_at, data) as body
      from postrider.event where id = ${id} and tenant_id = ${tenantId}`.execute(database)
    const [row] = rows
    if (!row) throw new EventNotFound()
    return row
  }
}
