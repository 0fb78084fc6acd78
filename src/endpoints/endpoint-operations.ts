import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { operate } from '../postgres/operate.ts'
import type { Database } from '../postgres/schema.ts'

/** Cancelling so many calls of a batch each takes some seconds; the caller asks again for the rest. */
const CALLS_MAX = 20
const BATCH = 500

/** What people do to an endpoint. Each throws EndpointNotFound and OperationRefused; `who` is for the audit log. */
export interface EndpointOperations {
  /** Holds its deliveries; events that it wants are still accepted. */
  pause(tenantId: TenantId, id: EndpointId, who: string): Promise<void>
  /** Takes it back into service; what was held follows by itself. */
  resume(tenantId: TenantId, id: EndpointId, who: string): Promise<void>
  /** Holds what is open; what is published meanwhile does not match it. Nothing where it is disabled already. */
  disable(tenantId: TenantId, id: EndpointId, who: string): Promise<void>
  /**
   * Takes a disabled one back into service.
   *
   * @param options.deliverHeld false cancels what was held instead
   */
  enable(
    tenantId: TenantId,
    id: EndpointId,
    who: string,
    options: { deliverHeld: boolean },
  ): Promise<Enabled>
}

export interface Enabled {
  /** Otherwise so much was held that it is to be called again. */
  isDone: boolean
  /**
   * The time for which it was disabled, when it was and it is done: what was published then has no delivery
   * to it. A replay of mode `missed` makes them.
   */
  missed: { since: Date; until: Date } | null
}

export function createEndpointOperations({
  database,
}: {
  database: Kysely<Database>
}): EndpointOperations {
  return {
    async pause(tenantId, id, who) {
      const pause = sql<number>`postrider.pause_endpoint(endpoint.id, ${who})`
      await callFor(database, tenantId, id, pause)
    },
    async resume(tenantId, id, who) {
      const resume = sql<number>`postrider.resume_endpoint(endpoint.id, ${who})`
      await callFor(database, tenantId, id, resume)
    },
    async disable(tenantId, id, who) {
      const disable = sql<never>`postrider.disable_by_hand(endpoint.id, ${who})`
      await callFor(database, tenantId, id, disable)
    },
    enable(tenantId, id, who, { deliverHeld }) {
      const enable = sql<number>`postrider.enable_endpoint(endpoint.id, ${who}, ${deliverHeld}, ${BATCH})`
      return enableAll(() => callFor(database, tenantId, id, enable), deliverHeld)
    },
  }
}

async function enableAll(call: () => Promise<Called>, deliverHeld: boolean): Promise<Enabled> {
  for (let calls = 1; ; calls++) {
    const { left, disabledAt, at } = await call()
    // What is to be delivered follows by itself.
    if (left === 0 || deliverHeld) {
      return { isDone: true, missed: disabledAt && { since: disabledAt, until: at } }
    }
    if (calls === CALLS_MAX) return { isDone: false, missed: null }
  }
}

interface Called {
  left: number
  /** As it was before the call. */
  disabledAt: Date | null
  /** Not before the call; later by a moment, as milliseconds are all that is kept of it. */
  at: Date
}

/** The function is called for an endpoint of the tenant and for no other. */
async function callFor(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
  operation: RawBuilder<number>,
): Promise<Called> {
  const { rows } = await operate(() =>
    sql<Called>`
      select ${operation} as left, disabled_at as "disabledAt", clock_timestamp() + interval '1 ms' as at
      from postrider.endpoint
      where id = ${id} and tenant_id = ${tenantId} and deleted_at is null`.execute(database),
  )
  if (!rows[0]) throw new EndpointNotFound()
  return rows[0]
}
