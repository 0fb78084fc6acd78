import t from 'tap'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

t.test('a list says of an endpoint that answers nothing but 4xx that it fails', async (t) => {
  const [pages, portal] = [await createTestConsole(pool), await createTestPortal(pool)]
  const { tenant, ids } = await createWorld(pool, { incident: false })
  const [operator, customer] = [await pages.signedIn(), await portal.entered(tenant.key)]
  const stateOn = async (html: Promise<{ text: string }>) =>
    /data-column="state"[^>]*>\s*<span class="badge (\w+)">([^<]+)/
      .exec((await html).text)
      ?.slice(1)
  const states = () =>
    Promise.all([
      stateOn(pages.get(`/console/endpoints?tenant=${tenant.key}`, { cookie: operator })),
      stateOn(pages.get(`/console/tenants/${tenant.key}`, { cookie: operator })),
      stateOn(portal.get('/portal/endpoints', { cookie: customer })),
    ])
  const everywhere = (tone: string, word: string) => Array(3).fill([tone, word])
  t.strictSame(await states(), everywhere('good', 'Active'))
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since, refusals, refusing_since)
     values ($1, $2, 0, null, 3, now())`,
    [ids['endpoints'], tenant.id],
  )
  t.strictSame(await states(), everywhere('bad', 'Failing'))
  await pool.query('update postrider.circuit set opened_at = now() where endpoint_id = $1', [
    ids['endpoints'],
  ])
  t.strictSame(await states(), everywhere('bad', 'Backing off'))
  await pool.query(`update postrider.endpoint set state = 'paused' where id = $1`, [
    ids['endpoints'],
  ])
  t.strictSame(await states(), everywhere('hold', 'Paused'))
})
