import { type Kysely, sql } from 'kysely'
import type { EndpointId, TenantId } from '../ids.ts'
import { containsText } from '../postgres/contains-text.ts'
import type { Database, EndpointState } from '../postgres/schema.ts'

/** So many are counted in some milliseconds, and nobody waits for the exact number. */
export const OPEN_COUNTED_MAX = 10_000

/** An endpoint with its tenant and how it fares. */
export interface FoundEndpoint {
  id: EndpointId
  tenantKey: string
  url: string
  description: string
  eventTypes: string[]
  state: EndpointState
  disabledReason: string | null
  failures: number
  failingSince: Date | null
  /** Attempts since its last success that it answered with a refusal of the event. */
  refusals: number
  refusingSince: Date | null
  circuitOpenedAt: Date | null
  /** Since when its deliveries are held because no key opens its secret or client key. */
  unreadableSince: Date | null
  /** What the runner said, for operators. */
  unreadableDetail: string | null
  probeAt: Date | null
  createdAt: Date
}

export interface AllEndpoints {
  /** Of every tenant, or of one; newest first, from below the id `before` on. */
  list(page: {
    limit: number
    before: EndpointId | null
    tenantId?: TenantId | undefined
    state?: EndpointState | undefined
    /** Part of the URL or description, large and small letters alike. */
    search?: string | undefined
  }): Promise<FoundEndpoint[]>
  /** Its circuit; undefined where it is deleted. */
  get(id: EndpointId): Promise<FoundEndpoint | undefined>
  /** What is open for it, each state counted up to `OPEN_COUNTED_MAX` together. */
  countOpen(id: EndpointId): Promise<{ pending: number; delivering: number; held: number }>
}

/** The endpoints of every tenant, for operators. */
export function createAllEndpoints({ database }: { database: Kysely<Database> }): AllEndpoints {
  return {
    async list({ limit, before, tenantId, state, search }) {
      const { rows } = await sql<FoundEndpoint>`
        ${select}
        where e.deleted_at is null
          and ${before === null ? sql`true` : sql`e.id < ${before}`}
          and ${tenantId === undefined ? sql`true` : sql`e.tenant_id = ${tenantId}`}
          and ${state === undefined ? sql`true` : sql`e.state = ${state}`}
          and ${search ? containsText(sql`(e.url || e'\\n' || e.description)`, [search]) : sql`true`}
        order by e.id desc
        limit ${limit}`.execute(database)
      return rows
    },
    async get(id) {
      const { rows } = await sql<FoundEndpoint>`
        ${select} where e.id = ${id} and e.deleted_at is null`.execute(database)
      return rows[0]
    },
    async countOpen(id) {
      const { rows } = await sql<{ pending: number; delivering: number; held: number }>`
        select count(*) filter (where state = 'pending')::int as pending,
          count(*) filter (where state = 'delivering')::int as delivering,
          count(*) filter (where state = 'held')::int as held
        from (
          select d.state from postrider.delivery d
          where d.endpoint_id = ${id} and d.finished_at is null
            and d.id >= postrider.id_floor(${id}) and d.id < postrider.id_at(now() + interval '1 hour')
          limit ${OPEN_COUNTED_MAX}
        ) as open`.execute(database)
      return rows[0] ?? { pending: 0, delivering: 0, held: 0 }
    },
  }
}

const select = sql`
  select e.id, t.key as "tenantKey", e.url, e.description, e.event_types as "eventTypes", e.state,
    e.disabled_reason as "disabledReason", coalesce(c.failures, 0) as failures,
    c.failing_since as "failingSince", coalesce(c.refusals, 0) as refusals, c.refusing_since as "refusingSince",
    e.unreadable_since as "unreadableSince", e.unreadable_detail as "unreadableDetail", c.opened_at as "circuitOpenedAt", c.probe_at as "probeAt",
    e.created_at as "createdAt"
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c on c.endpoint_id = e.id`
