import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { DeliveryId, TenantId } from '../ids.ts'
import { operate } from '../postgres/operate.ts'
import type { Database } from '../postgres/schema.ts'
import { DeliveryNotFound } from './deliveries.ts'

/** @param who for the audit log */
type Operation = (tenantId: TenantId, id: DeliveryId, who: string) => Promise<void>

/** What people do to a delivery. Each throws DeliveryNotFound and OperationRefused. */
export interface DeliveryOperations {
  /** Makes the next attempt at once; a finished delivery is reopened, its schedule from the start. */
  retry: Operation
  /** Ends an open delivery; an attempt on the wire still writes down its outcome. */
  cancel: Operation
}

export function createDeliveryOperations({
  database,
}: {
  database: Kysely<Database>
}): DeliveryOperations {
  return {
    retry: (tenantId, id, who) =>
      call(database, tenantId, id, sql`postrider.retry_now(delivery.id, ${who})`),
    cancel: (tenantId, id, who) =>
      call(database, tenantId, id, sql`postrider.cancel(delivery.id, ${who})`),
  }
}

/** The function is called for a delivery of the tenant and for no other. */
async function call(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: DeliveryId,
  operation: RawBuilder<unknown>,
): Promise<void> {
  const { rows } = await operate(() =>
    sql`
      select ${operation} from postrider.delivery
      where id = ${id} and tenant_id = ${tenantId}`.execute(database),
  )
  if (rows.length === 0) throw new DeliveryNotFound()
}
