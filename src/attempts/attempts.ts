import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely'
import type { AttemptTable, Database } from '../database/schema.ts'
import type { AttemptId, DeliveryId } from '../ids.ts'

export type Attempt = Selectable<AttemptTable> & { id: AttemptId }

/** More than the longest schedule and many retries by hand; each may hold 16 KiB of an answer. */
const ATTEMPTS_SHOWN_MAX = 200

/** All but the answer, which is what takes room. */
const BRIEFLY = [
  ...(['id', 'tenant_id', 'delivery_id', 'endpoint_id', 'number', 'trigger'] as const),
  ...(['outcome', 'status_code', 'reason', 'error', 'started_at', 'finished_at'] as const),
  ...(['duration_ms', 'dns_ms', 'connect_ms', 'tls_ms', 'first_byte_ms'] as const),
  'runner',
  'request_headers',
] as const satisfies readonly (keyof AttemptTable)[]

export interface Attempts {
  /** The attempts of a delivery in the order of their numbers; the latest 200 when there are more. */
  listOf(deliveryId: DeliveryId): Promise<Attempt[]>
  /** The same without the answers, but for that of the latest: for pages, which ask again and again. */
  outlineOf(deliveryId: DeliveryId): Promise<Attempt[]>
  get(deliveryId: DeliveryId, number: number): Promise<Attempt | undefined>
}

export function createAttempts({ database }: { database: Kysely<Database> }): Attempts {
  const latestFirst = (deliveryId: DeliveryId) =>
    database
      .selectFrom('attempt')
      .where('delivery_id', '=', deliveryId)
      .where(sql<SqlBool>`id >= postrider.id_floor(${deliveryId})`)
      .orderBy('number', 'desc')
      .limit(ATTEMPTS_SHOWN_MAX)
  return {
    async listOf(deliveryId) {
      const attempts = await latestFirst(deliveryId).selectAll().$castTo<Attempt>().execute()
      return attempts.reverse()
    },
    async outlineOf(deliveryId) {
      const [brief, [latest]] = await Promise.all([
        latestFirst(deliveryId).select(BRIEFLY).execute(),
        latestFirst(deliveryId).selectAll().limit(1).$castTo<Attempt>().execute(),
      ])
      return brief
        .map((attempt) => ({ response_headers: null, response_body: null, ...attempt }) as Attempt)
        .map((attempt) => (attempt.id === latest?.id ? latest : attempt))
        .reverse()
    },
    get: (deliveryId, number) =>
      latestFirst(deliveryId)
        .selectAll()
        .where('number', '=', number)
        .$castTo<Attempt>()
        .executeTakeFirst(),
  }
}
