/** A request that loses against another transaction is made again as a whole, and nobody hears of it. */
import t from 'tap'
import { createTenant } from '../../testing/data/tenant.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { callEveryRoute, requestsTo } from '../../testing/wiring/every-route.ts'
import { startService } from '../../testing/wiring/service.ts'

const WRITTEN = [
  ...['tenant', 'api_key', 'portal_link', 'event_type', 'endpoint', 'endpoint_secret'],
  ...['event', 'delivery', 'replay', 'audit_log'],
]
const { pool, url } = await createTestDatabase(t)
const api = await startService(t, 'api', { DATABASE_URL: url })

/** The next so many statements that write are refused as Postgres refuses one of two that are in each other's way. */
const lose = (times: number) =>
  pool.query(`select setval('public.losses', $1, true)`, [1_000 - times])

t.before(async () => {
  await pool.query(`
    create sequence public.losses start 1000;
    create function public.lose() returns trigger language plpgsql security definer as $$
    begin
      if nextval('public.losses') <= 1000 then
        raise exception 'could not serialize access' using errcode = '40001';
      end if;
      return null;
    end $$`)
  for (const table of WRITTEN) {
    await pool.query(`create trigger lose before insert or update or delete on postrider.${table}
      for each statement execute function public.lose()`)
  }
  await lose(0)
})

t.test('every route goes on that has lost twice', async (t) => {
  const around = async <T>(send: () => Promise<T>) => {
    await lose(2)
    return await send().finally(() => lose(0))
  }
  const results = await callEveryRoute(t, api, { pool, runnerUrl: url, around })
  for (const { name, expected, status, text } of results) {
    t.equal(status, expected, `${name}: ${text.slice(0, 500)}`)
  }
})

// Only its last statement was, within a transaction that Postgres had ended already: 25P02, and 500.
t.test('a filter and a limit are changed by a request that has lost', async (t) => {
  const { key } = await createTenant(pool)
  const path = `/api/tenants/${key}/endpoints`
  const { request } = requestsTo(api)
  const { json } = await request('POST', path, { body: { url: 'http://127.0.0.1:9/a' } })
  const body = { filter: '$.a == 1', ratePerSecond: 5 }
  await lose(2)
  t.match(await request('PATCH', `${path}/${json.id}`, { body }), { status: 200, json: body })
  await lose(0)
})

t.test('one that loses again and again is told to try later', async (t) => {
  const { key } = await createTenant(pool)
  const path = `/api/tenants/${key}/endpoints`
  const { request } = requestsTo(api)
  const made = await request('POST', path, { body: { url: 'http://127.0.0.1:9/a' } })
  for (const body of [{ filter: '$.a == 1' }, { description: 'A' }]) {
    await lose(100)
    const refused = await request('PATCH', `${path}/${made.json.id}`, { body })
    t.match(refused, { status: 503, json: { code: 'database_unavailable' } })
    t.ok(refused.headers.get('retry-after'))
    await lose(0)
  }
})
