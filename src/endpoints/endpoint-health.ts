import { type Kysely, sql } from 'kysely'
import type { DeliveryId, EndpointId, TenantId } from '../ids.ts'
import type { Database, EndpointState, OutcomeColumn, ReasonColumn } from '../postgres/schema.ts'

/** How an endpoint fares; `unused`: nothing was sent to it yet. */
export type Health = 'disabled' | 'failing' | 'paused' | 'working' | 'unused'

/** An endpoint with what its owner asks first: whether it works, and what it answered last. */
export interface EndpointHealth {
  id: EndpointId
  url: string
  description: string
  state: EndpointState
  disabledReason: string | null
  /** Since when it fails, refuses events, or its secret cannot be read; null = it does not. */
  failingSince: Date | null
  /** Whether its trouble is one of this service: no key opens its secret. */
  isUnreadable: boolean
  probeAt: Date | null
  /** Whether all but a probe is on hold until something succeeds. */
  isBackingOff: boolean
  /** Deliveries that wait for it, counted up to `HELD_COUNTED_MAX`. */
  held: number
  /** Of the newest attempt; null before there is one, or where it is no longer stored. */
  last: LastAttempt | null
}

interface LastAttempt {
  deliveryId: DeliveryId
  outcome: OutcomeColumn
  statusCode: number | null
  durationMs: number | null
  reason: ReasonColumn | null
  error: string | null
  startedAt: Date
}

export const HELD_COUNTED_MAX = 1_000
/** Of the newest deliveries, one has the newest attempt, unless all of them wait. */
const DELIVERIES_READ_MAX = 20

export interface HealthOfEndpoints {
  /** Those in trouble first; not more than were asked for. */
  worst: EndpointHealth[]
  /** Of all that exist. */
  count: number
  /** How many of all fail or are disabled. */
  failing: number
}

/** Makes the step that says how the endpoints of a tenant fare. */
export function createEndpointHealth({ database }: { database: Kysely<Database> }) {
  return async (tenantId: TenantId, limit: number): Promise<HealthOfEndpoints> => {
    const { rows } = await worstOf(tenantId, limit).execute(database)
    const { count = 0, failing = 0 } = rows[0] ?? {}
    const worst = rows.map(({ count: _, failing: __, last, ...row }) => ({
      ...row,
      last: last && { ...last, startedAt: new Date(last.startedAt) },
    }))
    return { worst, count, failing }
  }
}

export type HealthOf = ReturnType<typeof createEndpointHealth>

type Row = Omit<EndpointHealth, 'last'> & {
  last: (Omit<LastAttempt, 'startedAt'> & { startedAt: string }) | null
  count: number
  failing: number
}

const lastAttempt = sql`
  select d.id as "deliveryId", a.outcome, a.status_code as "statusCode", a.duration_ms as "durationMs",
    a.reason, a.error, a.started_at as "startedAt"
  from (
    select d.id from postrider.delivery d
    where d.endpoint_id = w.id and d.id >= postrider.id_floor(w.id) and d.id < postrider.id_at(now() + interval '1 hour')
    order by d.id desc
    limit ${DELIVERIES_READ_MAX}
  ) as d
  join lateral (
    select * from postrider.attempt a
    where a.delivery_id = d.id and a.id >= postrider.id_floor(d.id) and a.id < postrider.id_at(now() + interval '1 hour')
    order by a.id desc
    limit 1
  ) as a on true
  order by a.id desc
  limit 1`

const worstOf = (tenantId: TenantId, limit: number) => sql<Row>`
  with mine as (
    select e.id, e.url, e.description, e.state, e.disabled_reason, c.probe_at, c.opened_at is not null as is_backing_off,
      e.unreadable_since is not null as is_unreadable,
      least(e.unreadable_since, c.failing_since, c.refusing_since, c.opened_at) as failing_since
    from postrider.endpoint e
    left join postrider.circuit c on c.endpoint_id = e.id
    where e.tenant_id = ${tenantId} and e.deleted_at is null
  ), worst as (
    select mine.*, count(*) over ()::int as count,
      (count(*) filter (where state = 'disabled' or failing_since is not null) over ())::int as failing
    from mine
    order by state <> 'disabled', failing_since is null, state <> 'paused', failing_since, id desc
    limit ${limit}
  )
  select w.id, w.url, w.description, w.state, w.disabled_reason as "disabledReason", w.probe_at as "probeAt", w.is_backing_off as "isBackingOff",
    w.failing_since as "failingSince", w.is_unreadable as "isUnreadable", w.count, w.failing,
    (select count(*)::int from (
      select from postrider.delivery d
      where d.endpoint_id = w.id and d.held_reason <> 'order' limit ${HELD_COUNTED_MAX}) as counted) as held,
    to_jsonb(a) as last
  from worst w
  left join lateral (${lastAttempt}) as a on true
  order by w.state <> 'disabled', w.failing_since is null, w.state <> 'paused', w.failing_since, w.id desc`

/** In one word. */
export function healthOf({ state, failingSince, last }: EndpointHealth): Health {
  if (state !== 'active') return state
  if (failingSince !== null) return 'failing'
  return last === null ? 'unused' : 'working'
}
