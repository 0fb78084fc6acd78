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
  t.notMatch(await show(), '/console/incidents/0', 'no incident that is closed')
})

t.test('what helps is pressed on the page of the endpoint, and leads back to it', async (t) => {
  const pages = await createTestConsole(pool)
  const { ids } = await createWorld(pool)
  const path = `/console/endpoints/${ids['endpoints']}`
  const incident = `/console/incidents/${ids['incidents']}`
  const [cookie, reader] = [
    await pages.signedIn(),
    await pages.signedIn((await pages.apiKeys.issue({ name: 'r', scopes: ['read'] })).key),
  ]
  const show = async (as = cookie) => (await pages.get(path, { cookie: as })).text
  const hold = (reason: string) =>
    pool.query(
      `update postrider.delivery set state = 'held', held_reason = $2, finished_at = null, next_attempt_at = null
       where endpoint_id = $1`,
      [ids['endpoints'], reason],
    )
  await hold('order')
  for (const page of [path, incident]) {
    const { text } = await pages.get(page, { cookie })
    t.notMatch(text, `action="${incident}/release"`, 'the circuit holds nothing')
    t.notMatch(text, `action="${incident}/probe"`, 'nothing can be tried')
    t.match(text, /href="\/console\/replays\?[^"]*mode=redeliver[^"]*">Replay deliveries/)
    t.match(text, /1 (?:behind|delivery waits for) an earlier event/)
    t.match(text, `href="${path}/keys"`)
  }
  const list = await pages.get('/console/incidents', { cookie })
  t.match(list.text, new RegExp(`href="${path}/keys"[^>]*>1 in order`))
  const nothing = await pages.post(`${incident}/release`, {}, { cookie })
  t.equal(nothing.headers.get('location'), `${incident}?said=nothing_held`)
  const refused = await pages.post(`${incident}/probe`, {}, { cookie })
  t.match(refused, { status: 409, text: /nothing waits/i })
  t.match(refused.text, `href="${incident}">Back`)
  await hold('circuit')
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at)
     select id, tenant_id, 20, now() from postrider.endpoint where id = $1
     on conflict (endpoint_id) do update set opened_at = now()`,
    [ids['endpoints']],
  )
  for (const act of ['probe', 'release']) t.match(await show(), `action="${incident}/${act}"`)
  t.notMatch(await show(reader), `action="${incident}`)
  const from = { from: 'endpoint' }
  const { status, headers } = await pages.post(`${incident}/release`, from, { cookie })
  t.strictSame([status, headers.get('location')], [303, `${path}?said=released`])
  const said = await pages.get(`${path}?said=released`, { cookie })
  t.match(said.text, 'The deliveries on hold are being sent')
  await pool.query(`select postrider.pause_endpoint($1, 'ann')`, [ids['endpoints']])
  t.notMatch(await show(), `action="${incident}`, 'nothing is sent to one that is paused')
  const { text } = await pages.get(incident, { cookie })
  t.match(text, ' 1 delivery on hold. ')
  t.match(text, '1 delivery is on hold. It is sent automatically', 'as the customer is told')
})
