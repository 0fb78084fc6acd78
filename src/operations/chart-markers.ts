import { type Kysely, sql } from 'kysely'
import type { EndpointId } from '../ids.ts'
import type { Database } from '../postgres/schema.ts'

/** More lines would hide what the chart shows. */
const MARKERS_MAX = 12
/** Entries of the audit log, and operational events, that are looked through. */
const READ_MAX = 2_000

/** Something that explains why a chart changes. */
export interface ChartMarker {
  at: Date
  label: string
}

/** What happened since a time: to one endpoint and to the service as a whole, or to every endpoint. Oldest first. */
export type MarkersOf = (since: Date, endpointId?: EndpointId) => Promise<ChartMarker[]>

const LABELS: Record<string, string> = {
  pause_endpoint: 'paused',
  resume_endpoint: 'resumed',
  enable_endpoint: 'enabled',
  pause_all: 'all paused',
  resume_all: 'all resumed',
  'endpoint.failing': 'backing off',
  'endpoint.recovered': 'recovered',
  'endpoint.disabled': 'disabled',
}
const ACTIONS = Object.keys(LABELS).filter((name) => !name.includes('.'))
const EVENTS = Object.keys(LABELS).filter((name) => name.includes('.'))

/**
 * Makes the step that finds pauses, in the audit log, and circuits. When a circuit opened is known while it is open;
 * of circuits that have closed since, operational events tell, where the service publishes them.
 */
export function createChartMarkers({ database }: { database: Kysely<Database> }): MarkersOf {
  return async (since, endpointId) => {
    const parts = [pausesSince, openSince, eventsSince].map((part) => part(since, endpointId))
    const { rows } = await sql<{ at: Date; what: string }>`
      select distinct date_trunc('second', marked.at) as at, marked.what
      from (${sql.join(parts, sql` union all `)}) as marked (at, what)
      order by at desc limit ${MARKERS_MAX}`.execute(database)
    return rows.reverse().map(({ at, what }) => ({ at, label: LABELS[what] ?? what }))
  }
}

/** By the index on the target where there is one, and by the id of the entry. */
const pausesSince = (since: Date, endpointId: EndpointId | undefined) => sql`(
  select a.at, a.action as what
  from (
    select * from postrider.audit_log
    where id >= postrider.id_at(${since}) and ${
      endpointId === undefined
        ? sql`target_kind in ('endpoint', 'service')`
        : sql`(target_kind = 'endpoint' and target_id = ${endpointId} or target_kind = 'service' and target_id is null)`
    }
    order by id desc limit ${READ_MAX}) as a
  where a.action = any (${ACTIONS}::text[]))`

/** An event says the same, at the same time, where it is published. */
const openSince = (since: Date, endpointId: EndpointId | undefined) => sql`(
  select c.opened_at, 'endpoint.failing'
  from postrider.circuit c
  where c.opened_at >= ${since}
    and ${endpointId === undefined ? sql`true` : sql`c.endpoint_id = ${endpointId}`})`

const eventsSince = (since: Date, endpointId: EndpointId | undefined) => sql`(
  select e.created_at, e.type
  from postrider.tenant operator
  cross join lateral (
    select * from postrider.event
    where tenant_id = operator.id and id >= postrider.id_at(${since}) and id < postrider.id_at(now() + interval '1 hour')
    order by id desc limit ${READ_MAX}) as e
  where operator.key = 'postrider:operator' and e.type = any (${EVENTS}::text[])
    and ${endpointId === undefined ? sql`true` : sql`e.data::json ->> 'endpointId' = ${endpointId}`})`
