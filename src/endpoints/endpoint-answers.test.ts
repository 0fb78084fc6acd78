import t from 'tap'
import { addAttempts } from '../testing/data/attempts.ts'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

async function bundle() {
  const [pages, portal] = [await createTestConsole(pool), await createTestPortal(pool)]
  const { tenant, ids } = await createWorld(pool, { incident: false })
  const [operator, customer] = [await pages.signedIn(), await portal.entered(tenant.key)]
  const path = `/endpoints/${ids['endpoints']}`
  return {
    delivery: ids['deliveries'] ?? '',
    show: () =>
      Promise.all([
        pages.get(`/console${path}`, { cookie: operator }),
        portal.get(`/portal${path}`, { cookie: customer }),
      ]),
  }
}

t.test('an endpoint that was sent nothing has no responses on its page', async (t) => {
  const { show } = await bundle()
  for (const { text } of await show()) t.notMatch(text, /Last responses|Why attempts failed/)
})

t.test('an endpoint’s page has its last five responses, each a link to its attempt', async (t) => {
  const { show, delivery } = await bundle()
  await addAttempts(pool, delivery, 6)
  for (const { text } of await show()) {
    t.match(text, /<code>answer 6\.<\/code>/)
    t.match(text, /<code>answer 2\.<\/code>/)
    t.notMatch(text, 'answer 1.')
    t.match(text, `/deliveries/${delivery}/attempts/6"`)
  }
})

t.test('causes are counted over all failures of a day, the most frequent first', async (t) => {
  const { show, delivery } = await bundle()
  await addAttempts(pool, delivery, 8)
  await pool.query(
    `update postrider.attempt set outcome = 'unreachable', status_code = null, reason = 'connection_refused'
     where delivery_id = $1 and number <= 2`,
    [delivery],
  )
  await pool.query(
    `update postrider.attempt set outcome = 'delivered', status_code = 200
     where delivery_id = $1 and number = 8`,
    [delivery],
  )
  const row = (cause: string, count: number, share: number) =>
    `<tr><td>${cause}</td><td class="number">${count}</td><td class="number">${share} %</td></tr>`
  for (const { text } of await show()) {
    t.match(text, row('HTTP 500', 5, 71) + row('Connection refused', 2, 29))
    t.notMatch(text, '<td>HTTP 200</td>')
  }
})
