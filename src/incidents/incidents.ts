import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { EndpointId, IncidentId, TenantId } from '../ids.ts'
import { allOf } from '../postgres/list-query.ts'
import { operate } from '../postgres/operate.ts'
import type { Database, EndpointState, IncidentCause } from '../postgres/schema.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'

/** As the view `incident_list` has it; its columns are described there. */
export interface Incident {
  id: IncidentId
  tenant_id: TenantId
  tenant_key: string
  tenant_name: string
  endpoint_id: EndpointId
  url: string
  description: string
  endpoint_state: EndpointState
  cause: IncidentCause
  verdict: 'ours' | 'theirs'
  opened_at: Date
  first_seen_at: Date
  last_seen_at: Date
  /** `bigint`, which pg hands over as text. */
  failures: string
  held: number
  last_status_code: number | null
  last_answer: string | null
  last_attempt_id: string | null
  last_delivery_id: string | null
  circuit_opened_at: Date | null
  probe_at: Date | null
  reopened_count: number
  closed_at: Date | null
  closed_reason: 'recovered' | 'quiet' | 'deleted' | null
  acknowledged_at: Date | null
  acknowledged_by: string | null
  note: string | null
  noted_by: string | null
  notified_at: Date | null
  notified_by: string | null
  /** For an earlier event of their ordering key; counted as `held` is. */
  waiting: number
  /** Whether a probe has something to try. */
  can_probe: boolean
  /** Beginning of what the receiver returned last, on one line. */
  last_body: string | null
}

/** `held` counts no further. */
export const HELD_COUNTED_MAX = 10_000

export class IncidentNotFound extends Error {
  override readonly name = 'IncidentNotFound'
  readonly code = 'incident_not_found'
  constructor() {
    super('the tenant has no incident with this id')
  }
}

interface IncidentFilter {
  state?: 'open' | 'closed' | undefined
  cause?: IncidentCause | undefined
  verdict?: Incident['verdict'] | undefined
  endpointId?: EndpointId | undefined
}

interface IncidentPage extends IncidentFilter {
  limit: number
  before: IncidentId | null
}

/** What the home page says before anything else. */
export interface IncidentTotals {
  incidents: number
  endpoints: number
  tenants: number
  causes: number
  /** Whose trouble is likely to be ours. */
  ours: number
  unacknowledged: number
  since: Date | null
  /** Endpoints that are not deleted, failing or not. */
  ofEndpoints: number
  /** What is wrong with this service itself. */
  alarm: string | null
  /** Since when nothing is sent to anybody; null = it is. */
  pausedAt: Date | null
  pausedBy: string | null
}

/** @param who for the audit log @throws IncidentNotFound, OperationRefused */
type Operation = (tenantId: TenantId, id: IncidentId, who: string) => Promise<void>

export interface Incidents {
  /** Newest first, from below the id `before` on. */
  list(tenants: ListedTenants, page: IncidentPage): Promise<Incident[]>
  /** Open ones for people: likely ours first, then those that nobody takes care of, the worst first. */
  worst(tenants: ListedTenants, limit: number): Promise<Incident[]>
  totals(tenants: ListedTenants): Promise<IncidentTotals>
  /** How many are open, of all tenants. */
  count(): Promise<number>
  /** The same by tenant; those without any are left out. */
  openOf(tenantIds: readonly TenantId[]): Promise<Map<string, number>>
  /** @throws IncidentNotFound */
  get(tenantId: TenantId, id: IncidentId): Promise<Incident>
  /** What to tell the customer. @throws IncidentNotFound */
  messageOf(tenantId: TenantId, id: IncidentId): Promise<string>
  /** Somebody takes care of it. */
  acknowledge: Operation
  /** Replaces the previous note; an empty one removes it. @throws IncidentNotFound */
  note(tenantId: TenantId, id: IncidentId, who: string, note: string): Promise<void>
  /** Has one delivery tried at once. */
  probe: Operation
  /** Closes the circuit of the endpoint by hand, and has what is on hold sent; how much that is. */
  release(tenantId: TenantId, id: IncidentId, who: string): Promise<number>
  /** Pauses the endpoint. */
  pause: Operation
  /** Tells the customer, in these words or those of `messageOf`. @throws IncidentNotFound */
  notify(tenantId: TenantId, id: IncidentId, who: string, message: string | null): Promise<void>
}

export function createIncidents({ database }: { database: Kysely<Database> }): Incidents {
  const call = (tenantId: TenantId, id: IncidentId, operation: RawBuilder<unknown>) =>
    callFor(database, tenantId, id, operation)
  return {
    list: async (tenants, page) => (await listOf(tenants, page).execute(database)).rows,
    worst: async (tenants, limit) => (await worstOf(tenants, limit).execute(database)).rows,
    totals: (tenants) => totals(database, tenants),
    count: () => count(database),
    openOf: (tenantIds) => openOf(database, tenantIds),
    async get(tenantId, id) {
      const { rows } = await select(isOne(tenantId, id)).execute(database)
      if (!rows[0]) throw new IncidentNotFound()
      return rows[0]
    },
    messageOf: (tenantId, id) => call(tenantId, id, sql`postrider.incident_message(i.id)`),
    acknowledge: (tenantId, id, who) =>
      call(tenantId, id, sql`postrider.acknowledge_incident(i.id, ${who})`).then(nothing),
    note: (tenantId, id, who, note) =>
      call(tenantId, id, sql`postrider.note_incident(i.id, ${note}, ${who})`).then(nothing),
    probe: (tenantId, id, who) =>
      call(tenantId, id, sql`postrider.probe_incident(i.id, ${who})`).then(nothing),
    release: (tenantId, id, who) =>
      call(tenantId, id, sql`postrider.release_incident(i.id, ${who})`).then(Number),
    pause: (tenantId, id, who) =>
      call(tenantId, id, sql`postrider.pause_incident(i.id, ${who})`).then(nothing),
    notify: (tenantId, id, who, message) =>
      call(tenantId, id, sql`postrider.notify_customer(i.id, ${message}, ${who})`).then(nothing),
  }
}

const nothing = () => undefined

/** Enough to recognise an answer. */
const BODY_SHOWN = 120

const select = (where: RawBuilder<unknown>) => sql<Incident>`
  select i.*, (
    select left(regexp_replace(left(a.response_body, 1000), '\\s+', ' ', 'g'), ${BODY_SHOWN})
    from postrider.attempt a where a.id = i.last_attempt_id) as last_body
  from postrider.incident_list i where ${where}`

const isOne = (tenantId: TenantId, id: IncidentId) =>
  sql`i.tenant_id = ${tenantId} and i.id = ${id}`

function listOf(tenants: ListedTenants, page: IncidentPage) {
  const { state, cause, verdict, endpointId, limit, before } = page
  const asked = allOf([
    ofTenants(tenants, 'i.tenant_id'),
    state && (state === 'open' ? sql`i.closed_at is null` : sql`i.closed_at is not null`),
    cause && sql`i.cause = ${cause}`,
    verdict && sql`i.verdict = ${verdict}`,
    endpointId && sql`i.endpoint_id = ${endpointId}`,
    before === null ? undefined : sql`i.id < ${before}`,
  ])
  return sql<Incident>`${select(asked)} order by i.id desc limit ${limit}`
}

const worstOf = (tenants: ListedTenants, limit: number) => sql<Incident>`
  ${select(isOpen(tenants))}
  order by i.verdict = 'theirs', i.acknowledged_at is not null, i.failures desc, i.id limit ${limit}`

const isOpen = (tenants: ListedTenants) =>
  allOf([sql`i.closed_at is null`, ofTenants(tenants, 'i.tenant_id')])

async function totals(database: Kysely<Database>, tenants: ListedTenants): Promise<IncidentTotals> {
  const { rows } = await sql<IncidentTotals>`
    select count(*)::int as incidents, count(distinct i.endpoint_id)::int as endpoints,
      count(distinct i.tenant_id)::int as tenants, count(distinct i.cause)::int as causes,
      count(*) filter (where i.verdict = 'ours')::int as ours,
      count(*) filter (where i.acknowledged_at is null)::int as unacknowledged, min(i.first_seen_at) as since,
      (select count(*)::int from postrider.endpoint e where e.deleted_at is null) as "ofEndpoints",
      postrider.service_alarm() as alarm, (select s.paused_at from postrider.service s) as "pausedAt",
      (select s.paused_by from postrider.service s) as "pausedBy"
    from postrider.incident i
    where ${isOpen(tenants)}`.execute(database)
  if (!rows[0]) throw new Error('a count has a row')
  return rows[0]
}

async function count(database: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int from postrider.incident i where i.closed_at is null`.execute(database)
  return rows[0]?.count ?? 0
}

async function openOf(database: Kysely<Database>, tenantIds: readonly TenantId[]) {
  const { rows } = await sql<{ id: string; count: number }>`
    select i.tenant_id as id, count(*)::int from postrider.incident i
    where i.closed_at is null and i.tenant_id = any (${tenantIds}::uuid[])
    group by i.tenant_id`.execute(database)
  return new Map(rows.map(({ id, count }) => [id, count]))
}

/** The function is called for an incident of the tenant and for no other. */
async function callFor(
  database: Kysely<Database>,
  tenantId: TenantId,
  id: IncidentId,
  operation: RawBuilder<unknown>,
): Promise<string> {
  const { rows } = await operate(() =>
    sql<{ said: string }>`
      select (${operation})::text as said from postrider.incident i
      where ${isOne(tenantId, id)}`.execute(database),
  )
  if (!rows[0]) throw new IncidentNotFound()
  return rows[0].said
}
