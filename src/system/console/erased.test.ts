/** Events whose data was erased, or whose day was dropped while a delivery of theirs is still there. */
import t from 'tap'
import { createWorld } from '../../testing/data/world.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { createTestConsole } from '../../testing/wiring/pages.ts'
import { createTestPortal } from '../../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

const erase = (event: string) => pool.query('select postrider.erase_event($1)', [event])
const drop = (event: string) => pool.query('delete from postrider.event where id = $1', [event])

/** Both sets of pages with a session in each, about the same event and delivery. */
async function bundle() {
  const [pages, portal] = [await createTestConsole(pool), await createTestPortal(pool)]
  const { tenant, ids } = await createWorld(pool, { incident: false })
  const [inConsole, inPortal] = [await pages.signedIn(), await portal.entered(tenant.key)]
  return {
    ids: ids as { events: string; deliveries: string; endpoints: string },
    logged: [pages.logged, portal.logged],
    inConsole: (path: string) => pages.get(`/console${path}`, { cookie: inConsole }),
    inPortal: (path: string) => portal.get(`/portal${path}`, { cookie: inPortal }),
    post: (path: string, fields: Record<string, string>) =>
      pages.post(`/console${path}`, fields, { cookie: inConsole }),
  }
}

// Issue 8: the body of an erased event is null, and pages that took its length answered 500.
t.test('a delivery of an erased event is shown, and says that its data was erased', async (t) => {
  const { ids, inConsole, inPortal, logged } = await bundle()
  await erase(ids.events)
  for (const get of [inConsole, inPortal]) {
    const { status, text } = await get(`/deliveries/${ids.deliveries}`)
    t.equal(status, 200)
    t.match(text, 'Delivery of invoice.paid')
    t.match(text, 'The data of this event was erased')
    t.notMatch(text, 'body.json')
    const file = await get(`/deliveries/${ids.deliveries}/body.json`)
    t.match(file, { status: 410, text: 'The data of this event was erased' })
  }
  t.strictSame(logged, [[], []])
})

t.test('a delivery of an event that is gone is shown, and says so', async (t) => {
  const { ids, inConsole, inPortal, logged } = await bundle()
  await drop(ids.events)
  for (const get of [inConsole, inPortal]) {
    const { status, text } = await get(`/deliveries/${ids.deliveries}`)
    t.equal(status, 200)
    t.match(text, 'The event was deleted')
    t.notMatch(text, `events/${ids.events}`, 'nothing leads to it')
    const file = await get(`/deliveries/${ids.deliveries}/body.json`)
    t.match(file, { status: 404, text: 'Page not found' })
  }
  t.equal((await inConsole(`/events/${ids.events}`)).status, 404)
  t.strictSame(logged, [[], []])
})

t.test('the page of an erased event says so, and shows no data', async (t) => {
  const { ids, inConsole, logged } = await bundle()
  await erase(ids.events)
  const { status, text } = await inConsole(`/events/${ids.events}`)
  t.equal(status, 200)
  t.match(text, 'The data of this event was erased')
  t.notMatch(text, 'as the producer gave it')
  t.strictSame(logged, [[], []])
})

t.test('lists show erased events and deliveries of what is gone', async (t) => {
  const { ids, inConsole, inPortal, logged } = await bundle()
  for (const remove of [erase, drop]) {
    await remove(ids.events)
    for (const get of [inConsole, inPortal]) {
      const { status, text } = await get(`/deliveries?endpoint=${ids.endpoints}`)
      t.equal(status, 200)
      t.match(text, ids.deliveries)
    }
    t.equal((await inConsole('/events')).status, 200)
  }
  t.strictSame(logged, [[], []])
})

t.test('a filter is tried on an erased event by its type alone', async (t) => {
  const { ids, post, logged } = await bundle()
  await erase(ids.events)
  const fields = { intent: 'try', url: 'http://127.0.0.1:9/a', eventTypes: 'invoice.*' }
  const path = `/endpoints/${ids.endpoints}/edit`
  t.match((await post(path, fields)).text, 'The last event would be sent.')
  const filtered = await post(path, { ...fields, filter: '$.a == 1' })
  t.match(filtered.text, 'The last event would not be sent.')
  t.match(filtered.text, 'the data of the event was erased')
  t.strictSame(logged, [[], []])
})

t.test('an endpoint that was deleted is shown with the deliveries it has had', async (t) => {
  const { ids, inConsole, inPortal, post, logged } = await bundle()
  await post(`/endpoints/${ids.endpoints}/delete`, {})
  for (const get of [inConsole, inPortal]) {
    t.equal((await get(`/endpoints/${ids.endpoints}`)).status, 404)
    t.match(await get(`/deliveries/${ids.deliveries}`), { status: 200, text: '127.0.0.1:9/a' })
  }
  t.strictSame(logged, [[], []])
})
