import t from 'tap'
import type { EndpointId, TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { endpoints, secrets } = createTestServices(pool)
const URL_OF_TEST = 'https://example.com/webhooks'

async function bundle() {
  const tenant = await createTenant(pool)
  const tenantId = tenant.id as TenantId
  const create = async (values = {}) =>
    (await endpoints.create(tenantId, { url: URL_OF_TEST, ...values })).endpoint
  const deliveries = async () => {
    const { rows } = await pool.query(
      `select d.state, d.claim is not null as claimed, d.finished_at is not null as finished,
         exists (select from graphile_worker.jobs j where j.key = 'd:' || d.id) as queued
       from postrider.delivery d where d.tenant_id = $1 order by d.id`,
      [tenantId],
    )
    return rows
  }
  return { tenant, tenantId, create, deliveries }
}

t.test('keeps every value that is given, and the defaults of what is not', async (t) => {
  const { tenantId, create } = await bundle()
  const values = {
    description: 'ledger',
    eventTypes: ['invoice.*', 'order.paid'],
    headers: { 'X-Team': 'ledger' },
    metadata: { crm: '42' },
    ratePerSecond: 2.5,
    maxInFlight: 3,
    timeoutSeconds: 20,
    retrySchedule: [5, 10],
  }
  const { id } = await create(values)
  t.match(await endpoints.get(tenantId, id), {
    url: URL_OF_TEST,
    description: 'ledger',
    event_types: ['invoice.*', 'order.paid'],
    headers: { 'X-Team': 'ledger' },
    metadata: { crm: '42' },
    rate_per_second: '2.5',
    max_in_flight: 3,
    timeout_seconds: 20,
    retry_schedule: [5, 10],
    state: 'active',
  })
  t.match(await create(), { event_types: ['*'], headers: {}, retry_schedule: null })
})

t.test('a change leaves what it does not name', async (t) => {
  const { tenantId, create } = await bundle()
  const { id } = await create({ description: 'ledger', timeoutSeconds: 20 })
  const changed = await endpoints.change(tenantId, id, { timeoutSeconds: null, eventTypes: ['a'] })
  t.match(changed, { description: 'ledger', timeout_seconds: null, event_types: ['a'] })
  t.match(await endpoints.change(tenantId, id, {}), { description: 'ledger', event_types: ['a'] })
})

t.test('another tenant has no such endpoint', async (t) => {
  const { create } = await bundle()
  const { tenantId: other } = await bundle()
  const { id } = await create()
  const missing = { name: 'EndpointNotFound', code: 'endpoint_not_found' }
  await t.rejects(endpoints.get(other, id), missing)
  await t.rejects(endpoints.change(other, id, { description: 'mine' }), missing)
  await t.rejects(endpoints.delete(other, id), missing)
  await t.rejects(secrets.list(other, id), missing)
  await t.rejects(secrets.rotate(other, id, {}), missing)
  t.strictSame(await endpoints.list(other, { limit: 10, before: null }), [])
})

t.test('lists the newest first and goes on below an id', async (t) => {
  const { tenantId, create } = await bundle()
  const ids = [await create(), await create(), await create()].map(({ id }) => id)
  const page = await endpoints.list(tenantId, { limit: 2, before: null })
  t.strictSame(
    page.map(({ id }) => id),
    [ids[2], ids[1]],
  )
  const rest = await endpoints.list(tenantId, { limit: 2, before: ids[1] ?? null })
  t.strictSame(
    rest.map(({ id }) => id),
    [ids[0]],
  )
})

t.test('a deleted endpoint gets nothing more, and its open deliveries are cancelled', async (t) => {
  const { tenant, tenantId, create, deliveries } = await bundle()
  const { id } = await create()
  await tenant.publish()
  await tenant.publish()
  await endpoints.delete(tenantId, id)
  const cancelled = { state: 'cancelled', claimed: false, finished: true, queued: false }
  t.strictSame(await deliveries(), [cancelled, cancelled])

  await tenant.publish()
  t.equal((await deliveries()).length, 2, 'nothing is routed to it')
  await t.rejects(endpoints.get(tenantId, id), { code: 'endpoint_not_found' })
  await t.rejects(endpoints.delete(tenantId, id), { code: 'endpoint_not_found' })
  const { rows } = await pool.query(
    `select (select count(*)::int from postrider.endpoint_secret where endpoint_id = $1) as secrets,
       (select deleted_at is not null from postrider.endpoint where id = $1) as kept`,
    [id],
  )
  t.strictSame(rows, [{ secrets: 0, kept: true }])
})

t.test('cancels more deliveries than fit into one batch', async (t) => {
  const { tenant, tenantId, create, deliveries } = await bundle()
  const { id } = await create()
  await pool.query(
    `select from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a', 'data', n))
       from generate_series(1, 1001) as n))`,
    [tenant.key],
  )
  await endpoints.delete(tenantId, id)
  t.equal((await deliveries()).filter(({ state }) => state === 'cancelled').length, 1001)
})

t.test('the request on the wire of a deleted endpoint still writes its outcome', async (t) => {
  const { tenant, tenantId, create, deliveries } = await bundle()
  const { id } = await create()
  await tenant.publish()
  const attemptId = await claim(id)
  await endpoints.delete(tenantId, id)
  t.match(await deliveries(), [{ state: 'cancelled', claimed: true, queued: false }])

  await pool.query('select * from postrider.finish_many($1)', [
    JSON.stringify([
      {
        ...attemptId,
        outcome: 'delivered',
        status_code: 200,
        duration_ms: 1,
        next_in_seconds: null,
      },
    ]),
  ])
  t.match(await deliveries(), [{ state: 'cancelled', claimed: false }])
  const { rows } = await pool.query(
    'select outcome, status_code from postrider.attempt where id = $1',
    [attemptId.attempt_id],
  )
  t.strictSame(rows, [{ outcome: 'delivered', status_code: 200 }])
})

/** Claims the one delivery of an endpoint, as a runner does. */
async function claim(id: EndpointId): Promise<{ delivery_id: string; attempt_id: string }> {
  await pool.query(`select postrider.register_runner('worker-1', 'test', 1)`)
  const { rows } = await pool.query(
    `select c.delivery_id, c.attempt_id
     from postrider.delivery d,
       postrider.claim_many(array[d.id], array[d.due_attempt], 'worker-1') as c
     where d.endpoint_id = $1`,
    [id],
  )
  return rows[0]
}

/** As a statement that loses against a runner: once, at the next change of an endpoint. */
async function loseOnce() {
  await pool.query(`
    create sequence if not exists public.lost;
    create or replace function public.lose_once() returns trigger language plpgsql as $$
    begin
      if nextval('public.lost') = 1 then raise exception 'lost' using errcode = '40001'; end if;
      return new;
    end $$;
    alter sequence public.lost restart;
    create or replace trigger lose_once before update on postrider.endpoint
      for each row execute function public.lose_once()`)
  return async () => {
    await pool.query('drop trigger lose_once on postrider.endpoint')
    return Number((await pool.query('select last_value from public.lost')).rows[0].last_value)
  }
}

// Found by the program in scripts/hostile: a change of the filter was tried again in the transaction that was over.
t.test('a change that loses against another transaction is made again', async (t) => {
  const { tenantId, create } = await bundle()
  for (const change of [{ description: 'new' }, { filter: '$.a == 1' }]) {
    const { id } = await create()
    const tries = await loseOnce()
    t.match(await endpoints.change(tenantId, id, change), change)
    t.equal(await tries(), 2)
  }
  const { id } = await create()
  const tries = await loseOnce()
  await endpoints.delete(tenantId, id)
  t.equal(await tries(), 2)
  await t.rejects(endpoints.get(tenantId, id), { code: 'endpoint_not_found' })
})
