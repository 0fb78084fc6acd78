import type { Pool } from 'pg'
import type { TestApi } from '../wiring/api.ts'
import type { Operation } from '../wiring/openapi-check.ts'

/** One of everything that a path can lead to, made through the API itself. */
export interface World {
  tenant: { id: string; key: string }
  /** By what comes before `{id}` or `{name}` in a path. */
  ids: Record<string, string>
}

let made = 0

/** @param pool for what the API does not make; left out: the world has no incident, and an unknown id for one */
export async function createWorld(
  { request }: Pick<TestApi, 'request'>,
  pool?: Pool,
): Promise<World> {
  made += 1
  const key = `world-${process.pid}-${made}`
  const create = async (method: string, path: string, body: unknown = {}) => {
    const { status, json, text } = await request(method, path, { body })
    if (status >= 300) throw new Error(`${method} ${path}: ${text}`)
    return json
  }
  const base = `/api/tenants/${key}`
  const tenant = await create('PUT', base)
  const endpoint = await create('POST', `${base}/endpoints`, { url: 'http://127.0.0.1:9/a' })
  const event = await create('POST', '/api/events', { tenant: key, type: 'invoice.paid', data: 1 })
  const { json: deliveries } = await request('GET', `${base}/deliveries`)
  const replay = await create('POST', `${base}/replays`, { since: '2026-01-01T00:00:00Z' })
  const apiKey = await create('POST', '/api/keys', { name: 'of the world', scopes: ['read'] })
  const eventType = `type.${made}`
  await create('PUT', `/api/event-types/${eventType}`)
  return {
    tenant: { id: tenant.id, key },
    ids: {
      endpoints: endpoint.id,
      events: event.id,
      deliveries: deliveries.data[0].id,
      replays: replay.id,
      incidents: pool ? await addIncident(pool, tenant.id, endpoint.id) : UNKNOWN,
      audit: pool ? await entryOf(pool, tenant.id) : UNKNOWN,
      keys: apiKey.id,
      'ordering-keys': 'invoice:42',
      'event-types': eventType,
    },
  }
}

const UNKNOWN = '00000000-0000-7000-8000-000000000000'

/** Of the audit log: what was done with something of the tenant. */
async function entryOf(pool: Pool, tenantId: string): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.audit_log where tenant_id = $1 limit 1',
    [tenantId],
  )
  return rows[0]?.id ?? UNKNOWN
}

/** As the service opens one for an endpoint that has failed three times. */
export async function addIncident(
  pool: Pool,
  tenantId: string,
  endpointId: string,
): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into postrider.incident (
       tenant_id, endpoint_id, cause, first_seen_at, last_seen_at, failures, counted, last_attempt_id)
     select $1, $2, 'server_error', now() - interval '19 minutes', now(), 3, 3,
       (select max(a.id::text)::uuid from postrider.attempt a where a.endpoint_id = $2)
     on conflict (endpoint_id, cause) where closed_at is null do update set last_seen_at = now()
     returning id`,
    [tenantId, endpointId],
  )
  return rows[0]?.id ?? ''
}

/** The path of something in the world; `change` replaces what stands for a parameter. */
export function pathIn(
  world: World,
  template: string,
  change: Record<string, string> = {},
): string {
  return template.replace(/([\w-]+)\/\{(\w+)\}/g, (_, collection, name) => {
    const own = name === 'tenant' ? world.tenant.key : world.ids[collection]
    const value = change[name] ?? own
    if (value === undefined) throw new Error(`the world has none of ${collection}: add one there`)
    return `${collection}/${value}`
  })
}

/** The example body of the document, about what is in the world. */
export function bodyIn(world: World, { requestBody }: Operation): unknown {
  const example = requestBody?.content['application/json']?.example
  if (example === undefined) return undefined
  const text = JSON.stringify(example)
    .replaceAll('"acme"', JSON.stringify(world.tenant.key))
    .replace(/"endpointId":"[^"]*"/g, `"endpointId":"${world.ids['endpoints']}"`)
  return JSON.parse(text)
}
