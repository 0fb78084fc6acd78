import t from 'tap'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

t.test('the page of an endpoint says why it fails, and leads to where to act', async (t) => {
  const [pages, portal] = [await createTestConsole(pool), await createTestPortal(pool)]
  const { tenant, ids } = await createWorld(pool)
  const path = `/endpoints/${ids['endpoints']}`
  const show = async () => (await pages.get(`/console${path}`, { cookie })).text
  const cookie = await pages.signedIn()
  const failing = await show()
  t.match(failing, /The receiver returns a server error\. 3 failed attempts since <time/)
  t.match(failing, `href="/console/incidents/${ids['incidents']}"`)
  const ofTenant = await pages.get(`/console/tenants/${tenant.key}`, { cookie })
  t.match(ofTenant.text, `class="lead" href="/console/endpoints/${ids['endpoints']}"`)
  const customer = await portal.entered(tenant.key)
  const shown = await portal.get(`/portal${path}`, { cookie: customer })
  t.match(shown, { status: 200 })
  t.notMatch(shown.text, '/incidents/', 'which customers do not see')

  await pool.query(
    `update postrider.incident set closed_at = now(), closed_reason = 'recovered' where id = $1`,
    [ids['incidents']],
  )
  t.notMatch(await show(), '/console/incidents/0', 'nothing of what is over')
})
