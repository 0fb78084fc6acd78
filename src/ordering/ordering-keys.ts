import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { DeliveryId, EndpointId, EventId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { allOf } from '../postgres/list-query.ts'
import { operate } from '../postgres/operate.ts'
import type { Database, DeliveryState, HeldReason } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'

/** As the view `line_state` has it, where its columns are described, with what people know it by. */
export interface OrderingKey {
  /** Of the delivery whose turn it is. */
  id: DeliveryId
  tenant_id: TenantId
  tenant_key: string
  tenant_name: string
  endpoint_id: EndpointId
  url: string
  /** Of its endpoint. */
  description: string
  ordering_key: string
  state: 'blocked' | 'held' | 'moving'
  blocked_at: Date | null
  event_id: EventId | null
  delivery_state: DeliveryState | null
  held_reason: HeldReason | null
  next_attempt_at: Date | null
  waiting: number
  next_event_id: EventId | null
  last_attempt_at: Date | null
  last_status_code: number | null
  last_error: string | null
}

/** `waiting` counts no further. */
export const WAITING_COUNTED_MAX = 10_000

export class OrderingKeyNotFound extends Error {
  override readonly name = 'OrderingKeyNotFound'
  readonly code = 'ordering_key_not_found'
  constructor(options?: ErrorOptions) {
    super(
      'nothing of this key is open for the endpoint, or the event does not wait for it',
      options,
    )
  }
}

interface Page {
  limit: number
  before: DeliveryId | null
  state?: 'blocked' | undefined
  endpointId?: EndpointId | undefined
}

/** An ordering key of an endpoint. */
export interface KeyOf {
  endpointId: EndpointId
  key: string
}

/** Batches that one call skips; the caller calls again for the rest. */
const CALLS_MAX = 20
const BATCH = 500
const NO_DATA_FOUND = 'P0002'

export interface OrderingKeys {
  /** Those with open deliveries, by the delivery whose turn it is: newest first, from below the id `before` on. */
  list(tenants: ListedTenants, page: Page): Promise<OrderingKey[]>
  /** @throws OrderingKeyNotFound */
  get(tenantId: TenantId, of: KeyOf): Promise<OrderingKey>
  /** Retries the event whose turn it is. @throws OrderingKeyNotFound, OperationRefused */
  retry(tenantId: TenantId, of: KeyOf, who: string): Promise<void>
  /** The next one gets the turn. @throws OrderingKeyNotFound, OperationRefused */
  skip(tenantId: TenantId, of: KeyOf, who: string): Promise<void>
  /**
   * Skips what comes before this event.
   *
   * @returns whether that is all; otherwise there was so much that it is to be called again
   * @throws OrderingKeyNotFound, OperationRefused
   */
  skipTo(tenantId: TenantId, of: KeyOf, eventId: EventId, who: string): Promise<boolean>
  /** Sends events to the endpoint in no particular order. @throws EndpointNotFound */
  release(tenantId: TenantId, endpointId: EndpointId, who: string): Promise<void>
}

export function createOrderingKeys({ database }: { database: Kysely<Database> }): OrderingKeys {
  const call = (tenantId: TenantId, of: KeyOf, operation: RawBuilder<unknown>) => {
    assertStorable(of)
    return callFor(database, tenantId, of, operation)
  }
  return {
    list: async (tenants, page) => (await listOf(tenants, page).execute(database)).rows,
    async get(tenantId, of) {
      assertStorable(of)
      const { rows } = await select(isOne(tenantId, of)).execute(database)
      if (!rows[0]) throw new OrderingKeyNotFound()
      return rows[0]
    },
    async retry(tenantId, of, who) {
      await call(tenantId, of, sql`postrider.retry_head(e.id, ${of.key}, ${who})`)
    },
    async skip(tenantId, of, who) {
      await call(tenantId, of, sql`postrider.skip_head(e.id, ${of.key}, ${who})`)
    },
    async skipTo(tenantId, of, eventId, who) {
      const skip = sql`postrider.skip_to(e.id, ${of.key}, ${eventId}, ${who}, ${BATCH})`
      for (let calls = 0; calls < CALLS_MAX; calls++) {
        if ((await call(tenantId, of, skip)) === '0') return true
      }
      return false
    },
    async release(tenantId, endpointId, who) {
      await call(tenantId, { endpointId, key: '' }, sql`postrider.release_ordering(e.id, ${who})`)
    },
  }
}

const select = (where: RawBuilder<unknown>) => sql<OrderingKey>`
  select l.*, l.delivery_id as id, t.name as tenant_name, e.url, e.description
  from postrider.line_state l
  join postrider.tenant t on t.id = l.tenant_id
  join postrider.endpoint e on e.id = l.endpoint_id
  where l.delivery_id is not null and ${where}`

const isOne = (tenantId: TenantId, { endpointId, key }: KeyOf) =>
  sql`l.tenant_id = ${tenantId} and l.endpoint_id = ${endpointId} and l.ordering_key = ${key}`

function listOf(tenants: ListedTenants, { limit, before, state, endpointId }: Page) {
  const asked = allOf([
    ofTenants(tenants, 'l.tenant_id'),
    state && sql`l.blocked_at is not null`,
    endpointId && sql`l.endpoint_id = ${endpointId}`,
    before === null ? undefined : sql`l.delivery_id < ${before}`,
  ])
  return sql<OrderingKey>`${select(asked)} order by l.delivery_id desc limit ${limit}`
}

/** The function is called for an endpoint of the tenant and for no other. */
async function callFor(
  database: Kysely<Database>,
  tenantId: TenantId,
  { endpointId }: KeyOf,
  operation: RawBuilder<unknown>,
): Promise<string> {
  const { rows } = await operate(() =>
    sql<{ said: string }>`
      select (${operation})::text as said from postrider.endpoint e
      where e.id = ${endpointId} and e.tenant_id = ${tenantId} and e.deleted_at is null`.execute(
      database,
    ),
  ).catch((error: unknown) => {
    if (!isNothingFound(error)) throw error
    throw new OrderingKeyNotFound({ cause: error })
  })
  if (!rows[0]) throw new EndpointNotFound()
  return rows[0].said
}

/** Postgres takes no NUL; no key has one. */
function assertStorable({ key }: KeyOf): void {
  if (key.includes('\0')) throw new OrderingKeyNotFound()
}

const isNothingFound = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === NO_DATA_FOUND
