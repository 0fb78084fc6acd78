import type pg from 'pg'
import { startProgress } from '../measure/progress.ts'
import { publishMany } from './sql.ts'
import { type Call, EVENT_TYPE, TENANT } from './system.ts'

/** A statement of a second or two. */
const HISTORY_CHUNK = 50_000
/** Requests at once to the API, which sets things up. */
const SETUP_REQUESTS = 16
/** Numbers of events that wait, apart from those of the load. */
const WAITING_FROM = 1_000_000

/** Events that were delivered at the first attempt: rows as the service itself leaves them. */
const HISTORY = `
  with stored as (
    insert into postrider.event (tenant_id, type, data, occurred_at)
    select t.id, $3, json_build_object('n', -n, 'note', repeat('x', $4::int)), now()
    from postrider.tenant t, generate_series(1, $2::int) as n
    where t.key = $1
    returning id, tenant_id
  ),
  delivered as (
    insert into postrider.delivery
      (tenant_id, event_id, endpoint_id, state, attempt_count, due_attempt, finished_at)
    select s.tenant_id, s.id, e.id, 'delivered', 1, 2, now()
    from stored s join postrider.endpoint e on e.tenant_id = s.tenant_id
    returning id, tenant_id, endpoint_id
  )
  insert into postrider.attempt
    (tenant_id, delivery_id, endpoint_id, number, trigger, outcome, status_code, duration_ms,
     request_headers, response_headers, response_body, runner, finished_at)
  select d.tenant_id, d.id, d.endpoint_id, 1, 'schedule', 'delivered', 200, 3,
    json_build_object('host', '127.0.0.1', 'webhook-id', d.id, 'filler', repeat('x', 250)),
    json_build_object('content-length', '2', 'filler', repeat('x', 100)), 'ok', 'bench', now()
  from delivered d`

/** Stores so many delivered events of the bench tenant. */
export async function storeHistory(
  client: pg.Client,
  events: number,
  bytes: number,
): Promise<void> {
  const progress = startProgress('storing history', events)
  for (let stored = 0; stored < events; stored += HISTORY_CHUNK) {
    const chunk = Math.min(HISTORY_CHUNK, events - stored)
    await client.query(HISTORY, [TENANT, chunk, EVENT_TYPE, bytes])
    progress.update(stored + chunk)
  }
  progress.stop()
  await client.query('vacuum analyze') // as autovacuum would have by then
}

/** Publishes until so many deliveries are open; due now, or only at the given time. */
export async function ensureWaiting(
  client: pg.Client,
  count: number,
  { bytes, deliverAt }: { bytes: number; deliverAt?: string },
): Promise<void> {
  const text = 'select count(*)::int as open from postrider.delivery where finished_at is null'
  const { rows } = await client.query<{ open: number }>(text)
  const events = Math.max(0, count - (rows[0]?.open ?? 0))
  const eventOf = () => (deliverAt === undefined ? {} : { deliverAt })
  await publishMany(client, { events, bytes, from: WAITING_FROM, eventOf })
}

/** Endpoint `i` of the bench tenant wants events of the type `bench.<i>`. */
export async function createEndpoints(call: Call, url: string, count: number): Promise<void> {
  await call('PUT', `/api/tenants/${TENANT}`)
  await inParallel('creating endpoints', count, async (i) => {
    const endpoint = { url: `${url}/endpoints/${i}`, eventTypes: [`bench.${i}`] }
    await call('POST', `/api/tenants/${TENANT}/endpoints`, endpoint)
  })
}

/** Tenant `tenant-<i>` has one endpoint. */
export async function createTenants(call: Call, url: string, count: number): Promise<void> {
  await inParallel('creating tenants', count, async (i) => {
    await call('PUT', `/api/tenants/tenant-${i}`)
    await call('POST', `/api/tenants/tenant-${i}/endpoints`, { url: `${url}/tenants/${i}` })
  })
}

async function inParallel(label: string, count: number, run: (i: number) => Promise<void>) {
  const progress = startProgress(label, count)
  let next = 0
  const worker = async () => {
    while (next < count) {
      await run(next++)
      progress.update(next)
    }
  }
  await Promise.all(Array.from({ length: SETUP_REQUESTS }, worker))
  progress.stop()
}
