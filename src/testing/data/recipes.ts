import type { Pool } from 'pg'
import { createPublisher } from '../../events/publish.ts'
import { createBatchPublisher } from '../../events/publish-batch.ts'
import type { ApiOptions } from '../../service/api-app.ts'
import { makeCertificates } from '../servers/certificates.ts'
import { createTestApi, type RequestOptions } from '../wiring/api.ts'
import { startService } from '../wiring/service.ts'
import type { World } from './world.ts'

interface RecipeContext {
  pool: Pool
  databaseUrl: string
  world: World
  t: { teardown(done: () => unknown): void }
}

/** How a status is provoked that the example of the document alone does not lead to. */
export interface Recipe {
  /** Puts the world into the state that it takes; what it returns undoes that. */
  prepare?: (context: RecipeContext) => Promise<(() => Promise<unknown>) | undefined>
  request?: (world: World, context: RecipeContext) => RequestOptions | Promise<RequestOptions>
  /** Instead of what stands in the path. */
  path?: Record<string, string>
  /** Behind the path, where it cannot do without. */
  query?: string
  /** How often it is sent until the status comes. */
  times?: number
  overrides?: (context: RecipeContext) => Partial<ApiOptions>
}

const SINCE = '2026-01-01T00:00:00Z'

/** By operation and status. A route with its own status kind gets its recipe here. */
export const RECIPES: Record<string, Recipe> = {
  'publishEvent 409': {
    prepare: holdIdempotencyKey,
    overrides: publishing,
    request: () => ({ headers: { 'idempotency-key': 'held' } }),
  },
  'publishEvents 409': {
    prepare: holdIdempotencyKey,
    overrides: publishing,
    request: ({ tenant }) => ({
      body: { events: [{ tenant: tenant.key, type: 'a', data: 1, idempotencyKey: 'held' }] },
    }),
  },
  'putTenant 201': { path: { tenant: 'a-new-one' } },
  'putTenant 404': { request: keyOfTheTenant, path: { tenant: 'somebody-else' } },
  'putTenant 409': { prepare: startDeletion },
  'updateTenant 409': { prepare: startDeletion },
  'suspendTenant 409': { prepare: startDeletion },
  'resumeTenant 409': { prepare: startDeletion },
  'createPortalLink 409': { prepare: suspendTenant },
  'getEndpointSecret 409': { prepare: loseKeyOfSecret },
  'rotateEndpointSecret 409': { times: 12 },
  'putEndpointClientCertificate 200': { request: clientCertificate },
  'getEndpointClientCertificate 200': { prepare: giveClientCertificate },
  'pauseEndpoint 409': { prepare: disableEndpoint },
  'resumeEndpoint 409': { prepare: disableEndpoint },
  'enableEndpoint 202': {
    prepare: holdMoreThanOneCallCancels,
    request: () => ({ body: { deliverHeld: false } }),
  },
  'enableEndpoint 409': { prepare: pauseEndpoint },
  'testEndpoint 200': { prepare: startRunner },
  // With the 3 s on top that leaves no time for an attempt.
  'testEndpoint 202': { overrides: () => ({ deliveryTimeoutSeconds: -3 }) },
  'testEndpoint 409': { prepare: disableEndpoint },
  'putEventType 201': { path: { name: 'a.new.one' } },
  'putEventType 409': { prepare: fillEventTypes, path: { name: 'one.too.many' } },
  'getEventTypeExample 422': { prepare: giveImpossibleSchema },
  'getOrderingKey 200': { prepare: waitInOrder },
  'retryOrderingKey 202': { prepare: waitInOrder },
  'retryOrderingKey 409': {
    async prepare(context) {
      await waitInOrder(context)
      return pauseEndpoint(context)
    },
  },
  'skipOrderingKey 204': { prepare: waitInOrder },
  'releaseOrdering 200': { prepare: waitInOrder },
  'skipToEvent 200': {
    prepare: waitInOrder,
    request: ({ ids }) => ({ body: { eventId: ids['waiting'] } }),
  },
  'retryDelivery 409': { prepare: pauseEndpoint },
  'cancelDelivery 409': { prepare: finishDelivery },
  'probeIncident 202': { prepare: openCircuit },
  'probeIncident 409': { prepare: pauseEndpoint },
  'releaseIncident 409': { prepare: pauseEndpoint },
  'pauseIncident 409': { prepare: disableEndpoint },
  'searchAll 200': { query: '?q=acme' },
  'searchAll 404': { query: '?q=acme&tenant=nobody' },
  'bulkDeliveries 200': { request: () => ({ body: { action: 'cancel', preview: true } }) },
  'bulkDeliveries 201': { request: () => ({ body: { action: 'cancel' } }) },
  'createReplay 200': { request: () => ({ body: { since: SINCE, preview: true } }) },
  'getReady 503': {
    overrides: () => ({
      ready: async () => ({ ready: false, checks: { database: 'unreachable' } }),
    }),
  },
}

/** To which there are no other tenants. */
async function keyOfTheTenant({ tenant }: World, { pool }: RecipeContext) {
  const body = { name: 'of one tenant', scopes: ['manage'], tenant: tenant.key }
  const { json } = await createTestApi(pool).request('POST', '/api/keys', { body })
  return { key: json.key, body: {} }
}

/** As a producer does whose transaction is open. */
async function holdIdempotencyKey({ pool, world }: RecipeContext) {
  const client = await pool.connect()
  await client.query('begin')
  await client.query("select postrider.publish($1, 'a', '1', 'held')", [world.tenant.key])
  return async () => {
    await client.query('rollback')
    client.release()
  }
}

/** Waits for a key no longer than one try takes. */
function publishing({ pool }: RecipeContext): Partial<ApiOptions> {
  return {
    publisher: createPublisher({ pool, keyWaitMsMax: 0 }),
    batchPublisher: createBatchPublisher({ pool, keyWaitMsMax: 0 }),
  }
}

const change =
  (text: string, id: (world: World) => string | undefined) =>
  async ({ pool, world }: RecipeContext) => {
    await pool.query(text, [id(world)])
    return undefined
  }

function startDeletion(context: RecipeContext) {
  const text = 'update postrider.tenant set deletion_started_at = now() where id = $1'
  return change(text, ({ tenant }) => tenant.id)(context)
}

function openCircuit(context: RecipeContext) {
  const text = `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at)
    select id, tenant_id, 20, now(), now() + interval '1 minute' from postrider.endpoint where id = $1`
  return change(text, ({ ids }) => ids['endpoints'])(context)
}

function suspendTenant(context: RecipeContext) {
  const text = 'update postrider.tenant set suspended_at = now() where id = $1'
  return change(text, ({ tenant }) => tenant.id)(context)
}

function disableEndpoint(context: RecipeContext) {
  const text =
    "update postrider.endpoint set state = 'disabled', disabled_reason = 'gone' where id = $1"
  return change(text, ({ ids }) => ids['endpoints'])(context)
}

function pauseEndpoint(context: RecipeContext) {
  const text = "update postrider.endpoint set state = 'paused' where id = $1"
  return change(text, ({ ids }) => ids['endpoints'])(context)
}

async function holdMoreThanOneCallCancels(context: RecipeContext) {
  const text = `
    insert into postrider.delivery (tenant_id, endpoint_id, event_id, state, held_reason, next_attempt_at)
    select tenant_id, id, postrider.uuidv7(), 'held', 'paused', now()
    from postrider.endpoint, generate_series(1, 10001) where id = $1`
  await change(text, ({ ids }) => ids['endpoints'])(context)
  return disableEndpoint(context)
}

function finishDelivery(context: RecipeContext) {
  const text = `
    update postrider.delivery set state = 'delivered', finished_at = now(), next_attempt_at = null
    where id = $1`
  return change(text, ({ ids }) => ids['deliveries'])(context)
}

function giveImpossibleSchema(context: RecipeContext) {
  const text = "update postrider.event_type set schema = 'false' where name = $1"
  return change(text, ({ ids }) => ids['event-types'])(context)
}

async function fillEventTypes({ pool }: RecipeContext) {
  await pool.query(`
    insert into postrider.event_type (name)
    select 'filling.' || n from generate_series(1, 1000) as n`)
  return () => pool.query("delete from postrider.event_type where name like 'filling.%'")
}

async function loseKeyOfSecret({ pool, world }: RecipeContext): Promise<undefined> {
  await pool.query(
    `update postrider.endpoint_secret
     set encrypted = overlay(encrypted placing 'AAAAAAAA' from 30 for 8) where endpoint_id = $1`,
    [world.ids['endpoints']],
  )
}

async function clientCertificate() {
  const { client } = await makeCertificates()
  return { body: { certificate: client.cert, privateKey: client.key } }
}

async function giveClientCertificate({ pool, world }: RecipeContext) {
  const { client } = await makeCertificates()
  await pool.query(
    `update postrider.endpoint set client_certificate = $2, client_key_encrypted = 'not used'
     where id = $1`,
    [world.ids['endpoints'], client.cert],
  )
  return undefined
}

/** Its receiver is not there, which is an attempt as good as any. */
async function startRunner({ t, databaseUrl }: RecipeContext) {
  const runner = await startService(t, 'runner', { DATABASE_URL: databaseUrl })
  return () => runner.stop()
}

/** Two events of a key of the endpoint, of which one waits. */
async function waitInOrder({ pool, world }: RecipeContext): Promise<undefined> {
  await pool.query(`update postrider.endpoint set ordering = 'key' where id = $1`, [
    world.ids['endpoints'],
  ])
  const { rows } = await pool.query<{ id: string }>(
    `select postrider.publish($1, 'invoice.paid', '1', ordering_key => $2) as id from generate_series(1, 2)`,
    [world.tenant.key, world.ids['ordering-keys']],
  )
  world.ids['waiting'] = rows[1]?.id ?? ''
}
