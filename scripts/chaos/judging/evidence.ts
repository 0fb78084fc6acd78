import type { Pool } from 'pg'
import { type ErasedLine, erasedFile, publishedFile, readLedger, receivedFile } from '../ledger.ts'
import { MARKER_TABLE } from '../producing/producer-sql.ts'
import type { Evidence, Stored, StoredEvent } from './judge.ts'

/** The ledgers and everything that the database has, for the judge. */
export async function collectEvidence(pool: Pool, folder: string): Promise<Evidence> {
  const erased = await readLedger<ErasedLine>(erasedFile(folder))
  const stored = await readStored(pool, new Map(erased.map(({ id, n }) => [id, n])))
  return {
    published: await readLedger(publishedFile(folder)),
    erased,
    received: await readLedger(receivedFile(folder)),
    stored,
    endpointsOf: await readEndpoints(pool),
    ordered: await readPaths(pool, `e.ordering = 'key'`),
    collapsing: await readPaths(pool, 'e.collapse_ms is not null'),
  }
}

/**
 * Without the operational events, which belong to a tenant that has no endpoints here.
 *
 * @param numbers of the events whose data was erased, and their numbers with it
 */
async function readStored(pool: Pool, numbers: ReadonlyMap<string, number>): Promise<Stored> {
  const events = await pool.query<StoredEvent>(
    `select e.id, (e.data ->> 'n')::int as n, t.key as tenant, e.data is null as "isErased",
       e.ordering_key as key, e.position::float8 as position
     from postrider.event e join postrider.tenant t on t.id = e.tenant_id
     where e.type like 'chaos.%'`,
  )
  const deliveries = await pool.query(
    `select d.id, d.event_id as "eventId", d.state, ${pathOf('e.url')} as endpoint
     from postrider.delivery d join postrider.endpoint e on e.id = d.endpoint_id`,
  )
  const attempts = await pool.query(
    `select delivery_id as "deliveryId", number, outcome, trigger, batch_id as "batchId", runner,
       extract(epoch from started_at)::float8 * 1000 as "startedAt",
       extract(epoch from finished_at)::float8 * 1000 as "finishedAt"
     from postrider.attempt`,
  )
  const markers = await pool.query<{ n: number }>(`select n from ${MARKER_TABLE}`)
  return {
    events: events.rows.map((event) => ({ ...event, n: event.n ?? numbers.get(event.id) ?? null })),
    deliveries: deliveries.rows,
    attempts: attempts.rows,
    markers: markers.rows.map(({ n }) => n),
  }
}

async function readEndpoints(pool: Pool): Promise<Map<string, string[]>> {
  const { rows } = await pool.query<{ tenant: string; endpoints: string[] }>(
    `select t.key as tenant, array_agg(${pathOf('e.url')}) as endpoints
     from postrider.endpoint e join postrider.tenant t on t.id = e.tenant_id group by t.key`,
  )
  return new Map(rows.map(({ tenant, endpoints }) => [tenant, endpoints]))
}

/** Paths of the endpoints for which the condition holds. */
async function readPaths(pool: Pool, condition: string): Promise<Set<string>> {
  const { rows } = await pool.query<{ endpoint: string }>(
    `select ${pathOf('e.url')} as endpoint from postrider.endpoint e where ${condition}`,
  )
  return new Set(rows.map(({ endpoint }) => endpoint))
}

const pathOf = (url: string) => `regexp_replace(${url}, '^https?://[^/]+', '')`

/** How often a circuit opened, so that deliveries were held and released again. */
export async function countOpenedCircuits(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int from postrider.event where type = 'endpoint.failing'`,
  )
  return rows[0]?.count ?? 0
}

/** Runners that were found dead, rightly or not. */
export async function readReaped(pool: Pool): Promise<Set<string>> {
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.runner where reaped_at is not null',
  )
  return new Set(rows.map(({ id }) => id))
}

/** Everything about jobs and deliveries that are not final, for people who look into a failure. */
export async function readOpen(pool: Pool): Promise<object> {
  const jobs = await pool.query('select * from graphile_worker.jobs limit 10000')
  const deliveries = await pool.query(
    'select * from postrider.delivery where finished_at is null limit 10000',
  )
  return { jobs: jobs.rows, deliveries: deliveries.rows }
}

export interface Leftovers {
  /** Rows of the kinds that the view invariant_violation has. */
  violations: { kind: string; id: string; detail: string }[]
  /** Attempts that nobody has finished. */
  attemptsStarted: number
  /** Jobs that somebody still holds. */
  jobsLocked: number
}

/** What must not be there once everything is final and all runners have stopped. */
export async function findLeftovers(pool: Pool): Promise<Leftovers> {
  const { rows: violations } = await pool.query(
    `select kind, id, detail from postrider.violations(now() - interval '1 day', 200000)`,
  )
  const { rows } = await pool.query<{ attempts: number; jobs: number }>(
    `select (select count(*)::int from postrider.attempt where outcome = 'started') as attempts,
       (select count(*)::int from graphile_worker.jobs where locked_at is not null) as jobs`,
  )
  return {
    violations,
    attemptsStarted: rows[0]?.attempts ?? 0,
    jobsLocked: rows[0]?.jobs ?? 0,
  }
}
