import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import type { Operation } from '../wiring/openapi-check.ts'
import { secretBox } from './encryption.ts'
import { createTenant } from './tenant.ts'

/** One of everything that a path can lead to. */
export interface World {
  tenant: { id: string; key: string }
  /** By what comes before `{id}` or `{name}` in a path. */
  ids: Record<string, string>
}

let made = 0

/**
 * Made in SQL, which takes a third of the processor's time that requests for it take. Services
 * of the tests can read the secret of its endpoint.
 *
 * @param options.incident whether its endpoint has an open incident; otherwise `ids` has that of none
 */
export async function createWorld(pool: Pool, { incident = true } = {}): Promise<World> {
  made += 1
  const tenant = await createTenant(pool)
  const url = 'http://127.0.0.1:9/a'
  const endpoint = await tenant.addEndpoint({ url }, secretBox.encrypt)
  const events = await tenant.publish('invoice.paid', 1)
  const eventType = `type.${process.pid}.${made}`
  return {
    tenant: { id: tenant.id, key: tenant.key },
    ids: {
      endpoints: endpoint.id,
      events,
      ...(await addRest(pool, { tenant: tenant.key, event: events, eventType })),
      incidents: incident ? await addIncident(pool, tenant.id, endpoint.id) : UNKNOWN,
      'ordering-keys': 'invoice:42',
      'event-types': eventType,
    },
  }
}

const UNKNOWN = '00000000-0000-7000-8000-000000000000'

/** The entry of the audit log is one of what was done with something of the tenant. */
async function addRest(
  pool: Pool,
  { tenant, event, eventType }: { tenant: string; event: string; eventType: string },
): Promise<Record<string, string>> {
  const { rows } = await pool.query<Record<string, string>>(
    `with key as (
       insert into postrider.api_key (name, scopes, hash) values ('of the world', '{read}', $3) returning id
     ), event_type as (
       insert into postrider.event_type (name) values ($4)
     )
     select (select id from postrider.delivery where event_id = $2) as deliveries,
       (select id from postrider.start_replay($1, '2026-01-01Z')) as replays,
       (select l.id from postrider.audit_log l join postrider.tenant t on t.id = l.tenant_id
        where t.key = $1 limit 1) as audit,
       (select id from key) as keys`,
    [tenant, event, createHash('sha256').update(eventType).digest(), eventType],
  )
  return rows[0] ?? {}
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
