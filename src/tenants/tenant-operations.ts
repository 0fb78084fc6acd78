import { type Kysely, type RawBuilder, sql } from 'kysely'
import { TenantNotFound } from '../not-found.ts'
import { changeAsActor } from '../postgres/actor.ts'
import { operate } from '../postgres/operate.ts'
import type { Database } from '../postgres/schema.ts'
import { refuseReserved, TENANT_KEY, TenantDeleting } from './tenants.ts'

/** Of 100 endpoints each. More are rare, and the reconciler goes on with them every minute. */
const RESUME_CALLS_MAX = 5
const NO_DATA_FOUND = 'P0002'

/** @param who for the audit log */
type Operation = (key: string, who: string) => Promise<void>

/** What is done to a tenant as a whole. Each throws TenantNotFound, TenantReserved, TenantDeleting. */
export interface TenantOperations {
  /** Refuses what is published for it, and holds its deliveries as they fall due. */
  suspend: Operation
  /** Ends that; what was held is released endpoint by endpoint. */
  resume: Operation
  /**
   * Nothing is published for it or sent to it from now on. Its rows are deleted by runners, batch by
   * batch. Doing it again changes nothing.
   */
  delete: Operation
}

export function createTenantOperations(options: { database: Kysely<Database> }): TenantOperations {
  const { database } = options
  return {
    async suspend(key, who) {
      await refuseDeleting(database, key)
      await call(database, key, sql`postrider.suspend_tenant(${key}, ${who})`)
    },
    async resume(key, who) {
      await refuseDeleting(database, key)
      const resume = sql<number>`postrider.resume_tenant(${key}, ${who})`
      for (let calls = 0; calls < RESUME_CALLS_MAX; calls++) {
        if ((await call(database, key, resume)) === 0) return
      }
    },
    async delete(key, who) {
      await call(database, key, sql`postrider.delete_tenant(${key}, ${who})`)
    },
  }
}

async function call<T>(
  database: Kysely<Database>,
  key: string,
  operation: RawBuilder<T>,
): Promise<T | undefined> {
  refuseReserved(key)
  if (!TENANT_KEY.test(key)) throw new TenantNotFound()
  try {
    const { rows } = await operate(() =>
      changeAsActor(database, (on) => sql<{ value: T }>`select ${operation} as value`.execute(on)),
    )
    return rows[0]?.value
  } catch (error) {
    const isUnknown = (error as { code?: unknown }).code === NO_DATA_FOUND
    throw isUnknown ? new TenantNotFound({ cause: error }) : error
  }
}

async function refuseDeleting(database: Kysely<Database>, key: string): Promise<void> {
  if (!TENANT_KEY.test(key)) throw new TenantNotFound()
  const deleting = await database
    .selectFrom('tenant')
    .select('id')
    .where('key', '=', key)
    .where('deletion_started_at', 'is not', null)
    .executeTakeFirst()
  if (deleting) throw new TenantDeleting()
}
