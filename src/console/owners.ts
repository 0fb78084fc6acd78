import { type Kysely, sql } from 'kysely'
import type { DeliveryId, EndpointId, EventId, ReplayId, TenantId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** The tenant that something belongs to: what the API and the services ask for first. */
export interface Owner {
  id: TenantId
  key: string
}

export class NothingFound extends Error {
  override readonly name = 'NothingFound'
  readonly code = 'thing_not_found'
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * Finds whose something is, by its bare id: an address of the console names no tenant, so that an id from a
 * log or a support case is enough. Each throws NothingFound.
 */
export function createOwners({ database }: { database: Kysely<Database> }) {
  const find =
    <Id extends string>(table: 'delivery' | 'event' | 'endpoint' | 'replay') =>
    async (text: string): Promise<{ id: Id; owner: Owner }> => {
      if (!UUID.test(text)) throw new NothingFound()
      const { rows } = await sql<{ thing: Id; id: TenantId; key: string }>`
        select thing.id as thing, t.id, t.key
        from ${sql.table(`postrider.${table}`)} as thing
        join postrider.tenant t on t.id = thing.tenant_id
        where thing.id = ${text}`.execute(database)
      const [row] = rows
      if (!row) throw new NothingFound()
      return { id: row.thing, owner: { id: row.id, key: row.key } }
    }
  return {
    /** Of an endpoint that may have been deleted since. */
    async urlOf(endpoint: string): Promise<string> {
      const row = await database
        .selectFrom('endpoint')
        .select('url')
        .where('id', '=', endpoint)
        .executeTakeFirst()
      return row?.url ?? endpoint
    },
    ofDelivery: find<DeliveryId>('delivery'),
    ofEvent: find<EventId>('event'),
    ofEndpoint: find<EndpointId>('endpoint'),
    ofReplay: find<ReplayId>('replay'),
  }
}

export type Owners = ReturnType<typeof createOwners>
