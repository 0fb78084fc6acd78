import { type Kysely, sql } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import type { Linked } from '../sending/thin-link.ts'

export interface ThinEvents {
  /** What an endpoint in the default shape is sent; null where it, the event or its data is gone. */
  bodyOf(linked: Linked): Promise<string | null>
}

export function createThinEvents({ database }: { database: Kysely<Database> }): ThinEvents {
  return {
    async bodyOf({ tenantId, endpointId, eventId }) {
      const { rows } = await sql<{ body: string | null }>`
        select postrider.body(ev.type, ev.occurred_at, ev.data) as body
        from postrider.event ev
        where ev.id = ${eventId} and ev.tenant_id = ${tenantId} and exists (
          select from postrider.endpoint e
          where e.id = ${endpointId} and e.tenant_id = ${tenantId} and e.deleted_at is null)`.execute(
        database,
      )
      return rows[0]?.body ?? null
    },
  }
}
