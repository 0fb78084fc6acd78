import { setTimeout as delay } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Pool } from 'pg'
import type { DeliveryId, EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { operate } from '../postgres/operate.ts'
import type { Database } from '../postgres/schema.ts'
import { createExplainer } from './publish.ts'

/** As soon as a receiver next door has answered; then less and less often. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 250

interface TestEvent {
  type: string
  /** JSON text. */
  data: string
}

export interface TestEvents {
  /**
   * Stores the event with a delivery of one attempt to this endpoint, whatever it has subscribed to.
   *
   * @throws EndpointNotFound, OperationRefused, PublishRefused
   */
  publish(tenantId: TenantId, id: EndpointId, event: TestEvent): Promise<DeliveryId>
  /** The same on the retry schedule of the endpoint, and in the form that Svix sends. @throws as publish */
  publishExample(tenantId: TenantId, id: EndpointId, event: TestEvent): Promise<DeliveryId>
  /**
   * Waits until a runner, in whichever process, has finished the delivery; asks the database, so that no
   * connection is held meanwhile.
   *
   * @returns false when it took longer, or the signal was aborted
   */
  finished(id: DeliveryId, options: { forMs: number; signal: AbortSignal }): Promise<boolean>
}

/** @param options.pool tells what the code of a refusal means */
export function createTestEvents(options: { database: Kysely<Database>; pool: Pool }): TestEvents {
  const { database, pool } = options
  const explain = createExplainer(pool)
  const publish = async (...[tenantId, id, { type, data }, name]: Given) => {
    const call = sql`${sql.ref(`postrider.${name}`)}(e.id, ${type}, ${data})`
    const stored = await store(database, tenantId, id, call)
    if (stored.error !== null) throw await explain(stored.error)
    return stored.id
  }
  return {
    publish: (tenantId, id, event) => publish(tenantId, id, event, 'publish_test'),
    publishExample: (tenantId, id, event) => publish(tenantId, id, event, 'publish_example'),
    async finished(id, { forMs, signal }) {
      const endsAt = performance.now() + forMs
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
        if (await isOver(database, id)) return true
        if (signal.aborted || performance.now() > endsAt) return false
        await delay(pauseMs, undefined, { signal }).catch(() => undefined)
      }
    },
  }
}

type Given = [...Parameters<TestEvents['publish']>, name: 'publish_test' | 'publish_example']

async function store(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: EndpointId,
  call: RawBuilder<unknown>,
): Promise<Stored> {
  const { rows } = await operate(() =>
    sql<Stored>`
      select t.delivery_id as id, t.error
      from postrider.endpoint e
      cross join lateral ${call} as t
      where e.id = ${id} and e.tenant_id = ${tenantId} and e.deleted_at is null`.execute(database),
  )
  const [stored] = rows
  if (!stored) throw new EndpointNotFound()
  return stored
}

type Stored = { id: DeliveryId; error: null } | { id: null; error: string }

/** Also while it is held: the endpoint was paused meanwhile, and nobody knows for how long. */
async function isOver(database: Kysely<Database>, id: DeliveryId): Promise<boolean> {
  const { rows } = await sql<{ over: boolean }>`
    select finished_at is not null or state = 'held' as over
    from postrider.delivery where id = ${id}`.execute(database)
  return rows[0]?.over ?? false
}
