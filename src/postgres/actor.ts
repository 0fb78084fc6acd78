import { AsyncLocalStorage } from 'node:async_hooks'
import { type Kysely, sql, type Transaction } from 'kysely'
import { transact } from './operate.ts'
import type { Database } from './schema.ts'

/** On whose behalf something is done, for the audit log. */
export interface Actor {
  /** As `auditName` says it. */
  who: string
  /** Network address that the request came from. */
  client: string
}

/** Of the request under way: a context, and no state that outlives it. */
const actors = new AsyncLocalStorage<Actor>()

/** Runs `work`, and whatever it awaits, on behalf of the actor. */
export function asActor<T>(actor: Actor, work: () => T): T {
  return actors.run(actor, work)
}

/** Null outside a request: the triggers then write down the role of the session. */
export function currentActor(): Actor | null {
  return actors.getStore() ?? null
}

/**
 * A transaction, as of `transact`, in which the triggers of sql/functions/audit-log/audit_settings.sql know the actor. For databases that
 * are not those of one tenant: a tenant scope says it by itself.
 */
export function changeAsActor<T>(
  database: Kysely<Database>,
  change: (transaction: Transaction<Database>) => Promise<T>,
): Promise<T> {
  return transact(database, async (transaction) => {
    const actor = currentActor()
    if (actor) {
      await sql`select set_config('postrider.who', ${actor.who}, true),
        set_config('postrider.client', ${actor.client}, true)`.execute(transaction)
    }
    return await change(transaction)
  })
}
