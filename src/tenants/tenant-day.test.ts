import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)

/** As a tile has it: what it leads to, its number and its words. */
const tilesOn = (html: string) =>
  [
    ...html.matchAll(/class="tile" href="([^"]*)"><strong>([^<]*)<\/strong> <span[^>]*>([^<]*)/g),
  ].map(([, href = '', value, label]) => [value, label, href.replaceAll('&amp;', '&')])

t.test('a tenant’s page counts what it had in 24 hours, and what is on hold', async (t) => {
  const pages = await createTestConsole(pool)
  const cookie = await pages.signedIn()
  const [tenant, other] = [await createTenant(pool), await createTenant(pool)]
  const show = async () =>
    tilesOn((await pages.get(`/console/tenants/${tenant.key}`, { cookie })).text)
  const to = (list: string, more = '') => `/console/${list}?tenant=${tenant.key}${more}`
  const day = '&last=24h'
  t.strictSame(await show(), [
    ['0', 'events in 24 hours', to('events', day)],
    ['0', 'deliveries in 24 hours', to('deliveries', day)],
    ['–', 'of finished ones delivered', to('deliveries', `${day}&state=failed`)],
    ['0', 'on hold', to('deliveries', '&state=held')],
  ])
  const [endpoint] = [
    await tenant.addEndpoint({ url: 'http://127.0.0.1:9/a' }),
    await tenant.addEndpoint({ url: 'http://127.0.0.1:9/b', event_types: ['rare'] }),
    await other.addEndpoint({ url: 'http://127.0.0.1:9/c' }),
  ]
  await tenant.publish()
  t.match(await show(), [
    ['1', 'event in 24 hours'],
    ['1', 'delivery in 24 hours'],
  ])
  for (let n = 1; n < 5; n++) await tenant.publish()
  await other.publish()
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.delivery where endpoint_id = $1 order by id',
    [endpoint.id],
  )
  const end = (state: string, ids: (string | undefined)[]) =>
    pool.query(
      `update postrider.delivery set state = $2, finished_at = now(), next_attempt_at = null
       where id = any ($1)`,
      [ids, state],
    )
  const ids = rows.map(({ id }) => id)
  await end('delivered', ids.slice(0, 2))
  await end('failed', ids.slice(2, 3))
  await pool.query(`select postrider.pause_endpoint($1, 'ann')`, [endpoint.id])
  const shown = await show()
  t.strictSame(
    shown.map(([value]) => value),
    ['5', '5', '66.6 %', '2'],
  )
})
