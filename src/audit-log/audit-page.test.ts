import t from 'tap'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
const pages = await createTestConsole(pool)
const cookie = await pages.signedIn()

/** What the list and the page of an entry show of it, whose detail this is. */
async function shownOf(detail: Record<string, unknown>) {
  const { tenant } = await createWorld(pool, { incident: false })
  await pool.query(`select postrider.audit('ann', 'act', 'service', null, $1, $2)`, [
    tenant.id,
    JSON.stringify(detail),
  ])
  const { rows } = await pool.query('select id from postrider.audit_log order by id desc limit 1')
  const list = await pages.get(`/console/audit?tenant=${tenant.key}&action=act`, { cookie })
  const entry = await pages.get(`/console/audit/${rows[0].id}`, { cookie })
  return { list: list.text, entry: entry.text }
}

t.test('what was done is shown by names, with links to what it is about', async (t) => {
  const id = '019ad000-0000-7000-8000-000000000000'
  const { list, entry } = await shownOf({
    stateBefore: 'failed',
    attempt: 7,
    event: id,
    event_types: ['order.*', 'invoice.paid'],
    url: null,
    bounds: { a: 1 },
  })
  t.match(list, '>URL: –, Event: 019ad000')
  t.match(list, 'Attempt: 7, Event types: order.*, invoice.paid, State before: failed<')
  for (const [name, value] of [
    ['State before', 'failed'],
    ['Attempt', '7'],
    ['Event types', '<code>order.*, invoice.paid</code>'],
    ['URL', '–'],
  ]) {
    t.match(entry, `<dt>${name}</dt><dd>${value}</dd>`)
  }
  t.match(entry, `href="/console/events/${id}"`)
  t.match(entry, /<dt>Bounds<\/dt><dd><code>\{\s*&quot;a&quot;: 1\s*\}/)
})

t.test('of a change each setting is shown as it was before and is after', async (t) => {
  const { list, entry } = await shownOf({
    client: '10.1.2.3',
    before: { name: 'First', url: null },
    after: { name: '<Second>', url: 'https://example.com/' },
  })
  t.match(list, '>URL, Name, Client: 10.1.2.3<')
  t.match(entry, '<dt>Client</dt><dd>10.1.2.3</dd>')
  t.match(entry, '<tr><td>Name</td><td>First</td><td>&lt;Second&gt;</td></tr>')
  t.match(entry, '<tr><td>URL</td><td>–</td><td>https://example.com/</td></tr>')
  const created = await shownOf({ before: null, after: { name: 'A' } })
  t.match(created.entry, '<tr><td>Name</td><td>–</td><td>A</td></tr>')
  t.notMatch((await shownOf({})).entry, '<h2>Detail</h2>')
})
