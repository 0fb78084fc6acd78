import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { AttemptTable, Database } from '../database/schema.ts'
import type { AttemptId, DeliveryId } from '../ids.ts'

export type Attempt = Selectable<AttemptTable> & { id: AttemptId }

/** More than the longest schedule and many retries by hand; each may hold 16 KiB of an answer. */
const ATTEMPTS_SHOWN_MAX = 200

export interface Attempts {
  /** The attempts of a delivery in the order of their numbers; the latest 200 when there are more. */
  listOf(deliveryId: DeliveryId): Promise<Attempt[]>
}

export function createAttempts({ database }: { database: Kysely<Database> }): Attempts {
  return {
    async listOf(deliveryId) {
      const latestFirst = await database
        .selectFrom('attempt')
        .selectAll()
        .where('delivery_id', '=', deliveryId)
        .where(sql<SqlBool>`id >= postrider.id_floor(${deliveryId})`)
        .orderBy('number', 'desc')
        .limit(ATTEMPTS_SHOWN_MAX)
        .$castTo<Attempt>()
        .execute()
      return latestFirst.reverse()
    },
  }
}
