/** One delivery: what its page costs, however often it was attempted and however large its body is. */
import t from 'tap'
import { SHOWN_CHARACTERS_MAX } from '../console/shown-text.ts'
import { messageIdOf } from '../ksuid.ts'
import { addAttempts } from '../testing/data/attempts.ts'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)

/** What the buttons of a page copy. */
const copiesIn = (text: string): string[] =>
  [...text.matchAll(/data-copy="([^"]+)"/g)].map(([, copy = '']) =>
    copy.replaceAll('&#39;', "'").replaceAll('&quot;', '"').replaceAll('&gt;', '>'),
  )

/** A delivery with so many attempts, or of an event with this data. */
async function bundle({ attempts = 0, data }: { attempts?: number; data?: string } = {}) {
  const [pages, portal] = [await createTestConsole(pool), await createTestPortal(pool)]
  const { tenant, ids } = await createWorld(pool, { incident: false })
  const id = ids['deliveries'] ?? ''
  await addAttempts(pool, id, attempts)
  if (data !== undefined) {
    await pool.query('update postrider.event set data = $2 where id = $1', [ids['events'], data])
  }
  const [inConsole, inPortal] = [await pages.signedIn(), await portal.entered(tenant.key)]
  return {
    id,
    event: ids['events'],
    logged: pages.logged,
    /** By the API. */
    shown: async () =>
      (await pages.request('GET', `/api/tenants/${tenant.key}/deliveries/${id}`)).json,
    end: () =>
      pool.query(
        `update postrider.delivery set state = 'delivered', finished_at = now(), next_attempt_at = null
         where id = $1`,
        [id],
      ),
    inConsole: (path: string, headers: Record<string, string> = {}) =>
      pages.get(`/console${path}`, { cookie: inConsole, headers }),
    inPortal: (path: string) => portal.get(`/portal${path}`, { cookie: inPortal }),
  }
}

t.test('the latest answer is on the page, older ones each have their own', async (t) => {
  const { id, inConsole, inPortal, logged } = await bundle({ attempts: 3 })
  for (const get of [inConsole, inPortal]) {
    const { text } = await get(`/deliveries/${id}`)
    t.match(text, 'answer 3.')
    t.notMatch(text, /answer [12]\./)
    t.match(text, `/deliveries/${id}/attempts/1"`)
    t.notMatch(text, `/deliveries/${id}/attempts/3"`)
    const older = await get(`/deliveries/${id}/attempts/1`)
    t.match(older, { status: 200, text: 'answer 1.' })
    t.match(older.text, 'x-answer: a')
    for (const number of ['0', '4', '-1', '1.5', 'x', '99999999999', '2147483648']) {
      t.equal((await get(`/deliveries/${id}/attempts/${number}`)).status, 404, number)
    }
  }
  t.strictSame(logged, [])
})

// The page showed the events of a batch without the id that each of them was sent with.
t.test('an event that was sent in a batch is shown with its id, as it was there', async (t) => {
  const { id, event, inConsole, inPortal } = await bundle({ attempts: 1, data: '{"a": 1}' })
  const alone = (await inConsole(`/deliveries/${id}/body.json`)).text
  t.notMatch(alone, event)
  await pool.query(
    'update postrider.attempt set batch_id = postrider.uuidv7() where delivery_id = $1',
    [id],
  )
  for (const get of [inConsole, inPortal]) {
    const { text } = await get(`/deliveries/${id}/body.json`)
    t.equal(text, `{"id":"${event}",${alone.slice(1)}`)
    const page = (await get(`/deliveries/${id}`)).text
    t.match(page, 'as part of its batch')
    t.ok(copiesIn(page).includes(text))
  }
})

t.test(
  'a delivery that waits for an earlier event leads to the ordering keys of its endpoint',
  async (t) => {
    const { id, event, inConsole, inPortal } = await bundle({ attempts: 1 })
    const { rows } = await pool.query<{ endpoint_id: string }>(
      `update postrider.delivery set state = 'held', held_reason = 'order', next_attempt_at = null
     where id = $1 returning endpoint_id`,
      [id],
    )
    const keys = `/endpoints/${rows[0]?.endpoint_id}/keys"`
    for (const path of [`/deliveries/${id}`, `/events/${event}`]) {
      t.match((await inConsole(path)).text, `"/console${keys}`)
      t.match((await inPortal(path)).text, `"/portal${keys}`)
    }
  },
)

t.test('a delivery that its endpoint holds back says when that is probed next', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 1 })
  await pool.query(
    `with held as (
       update postrider.delivery set state = 'held', held_reason = 'circuit', next_attempt_at = null
       where id = $1 returning endpoint_id, tenant_id)
     insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at)
     select endpoint_id, tenant_id, 20, now(), '2036-01-31T12:30:00Z' from held`,
    [id],
  )
  for (const get of [inConsole, inPortal]) {
    t.match((await get(`/deliveries/${id}`)).text, /Next attempt .*<time[^>]*2036-01-31T12:30/)
  }
})

// Issue 18: nothing to paste into a ticket or a shell.
t.test('a delivery can be copied for a ticket, and its request as cURL', async (t) => {
  const { id, event, inConsole, inPortal } = await bundle({ attempts: 12, data: `{"a": "it's"}` })
  const { text } = await inConsole(`/deliveries/${id}`)
  const copies = copiesIn(text)
  const ticket = copies.find((copy) => copy.startsWith('Delivery ')) ?? ''
  t.match(ticket, `Delivery ${id} to http://127.0.0.1:9, created `)
  t.match(ticket, `Event invoice.paid (${event}) of `)
  t.match(ticket, '- 2 earlier attempts')
  t.match(ticket, /- attempt 12, \d{4}-\S+Z: HTTP \d+/)
  const command = copies.find((copy) => copy.startsWith('curl ')) ?? ''
  t.match(command, "curl -g -i 'http://127.0.0.1:9/a'")
  t.match(command, "it'\\''s")
  const customer = await inPortal(`/deliveries/${id}`)
  t.match(customer.text, 'Copy as cURL')
  t.notMatch(customer.text, 'Copy for a ticket')
})

t.test('what is copied names where it was sent, though the endpoint has moved since', async (t) => {
  const { id, inConsole } = await bundle({ attempts: 2 })
  await pool.query(
    `update postrider.attempt set url = 'http://127.0.0.1:8/then' where delivery_id = $1 and number = 1`,
    [id],
  )
  await pool.query(
    `update postrider.attempt set request_headers = null where delivery_id = $1 and number = 2`,
    [id],
  )
  const copies = copiesIn((await inConsole(`/deliveries/${id}`)).text).join('\n')
  t.match(copies, `Delivery ${id} to http://127.0.0.1:8, created `)
  t.match(copies, "curl -g -i 'http://127.0.0.1:8/then'")
})

t.test('a delivery is shown though its URL, written with SQL, cannot be read', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 1 })
  const { rows } = await pool.query<{ id: string }>(
    `update postrider.endpoint e set url = 'https://a:x/secret'
     from postrider.delivery d where d.id = $1 and e.id = d.endpoint_id returning e.id`,
    [id],
  )
  for (const get of [inConsole, inPortal]) {
    t.equal((await get(`/deliveries/${id}`)).status, 200)
  }
  t.match((await inConsole(`/deliveries/${id}`)).text, `Delivery ${id} to endpoint ${rows[0]?.id},`)
})

t.test('an event that is sent again says that it has one attempt only', async (t) => {
  const { id, end, inConsole, inPortal, shown } = await bundle()
  const ofRetries = /None: one attempt only/
  await end()
  t.match(await shown(), { oneAttempt: false })
  t.notMatch((await inConsole(`/deliveries/${id}`)).text, ofRetries)
  await pool.query(
    'select postrider.resend(event_id, endpoint_id) from postrider.delivery where id = $1',
    [id],
  )
  t.match(await shown(), { oneAttempt: true })
  for (const get of [inConsole, inPortal]) t.match((await get(`/deliveries/${id}`)).text, ofRetries)
  await pool.query('select postrider.retry_now($1)', [id])
  t.match(await shown(), { oneAttempt: true }, 'a person hurries it, and it stays the only one')
  await end()
  t.match(await shown(), { oneAttempt: true }, 'which is why it ended')
  await pool.query('select postrider.retry_now($1)', [id])
  t.match(await shown(), { oneAttempt: false }, 'a retry of what has ended has its schedule again')
})

t.test(
  'the id that was sent is shown where it is not that of the event, and is found',
  async (t) => {
    const { id, event = '', inConsole, inPortal } = await bundle()
    const sentAs = messageIdOf(event)
    for (const get of [inConsole, inPortal]) {
      t.notMatch((await get(`/deliveries/${id}`)).text, 'Sent as')
      t.match((await get(`/deliveries?search=${sentAs}`)).text, `/deliveries/${id}`)
      t.notMatch((await get('/deliveries?search=msg_nothing')).text, `/deliveries/${id}`)
    }
    await pool.query(
      `update postrider.endpoint set shape = 'svix' where id = (select endpoint_id from postrider.delivery where id = $1)`,
      [id],
    )
    for (const get of [inConsole, inPortal]) {
      const { text } = await get(`/deliveries/${id}`)
      t.match(text, 'Sent as (webhook-id)')
      t.match(text, sentAs)
    }
  },
)

t.test(
  'the page asks for what changes until the delivery is over, and no body with it',
  async (t) => {
    const { id, inConsole, end } = await bundle({ attempts: 1 })
    const path = `/deliveries/${id}`
    const whole = await inConsole(path)
    t.match(whole.text, 'hx-trigger="every 2s"')
    t.match(whole.text, 'aria-label="Request body"')
    const part = await inConsole(path, { 'hx-request': 'true' })
    t.match(part.text, 'id="delivery"')
    t.match(part.text, 'class="answer" role="status"', 'what it has become is said aloud')
    t.notMatch(part.text, 'aria-label="Request body"')
    await end()
    const { text } = await inConsole(path)
    t.notMatch(text, 'hx-trigger="every')
  },
)

t.test('what is wrong with an answer is shown next to its status', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 1 })
  await pool.query(
    `update postrider.attempt set outcome = 'delivered', status_code = 200, error = $2
     where delivery_id = $1`,
    [id, 'the response has more than one length'],
  )
  for (const get of [inConsole, inPortal]) {
    const { text } = await get(`/deliveries/${id}`)
    t.match(text, 'HTTP 200')
    t.match(text, 'The response has more than one length.')
  }
})

t.test('a body that is nested as deep as Postgres takes makes no page of megabytes', async (t) => {
  const deep = `${'['.repeat(4_000)}${']'.repeat(4_000)}`
  const { id, event, inConsole } = await bundle({ data: deep })
  for (const path of [`/deliveries/${id}`, `/events/${event}`]) {
    const { status, text } = await inConsole(path)
    t.equal(status, 200)
    t.ok(text.length < 500_000, `${path}: ${text.length} characters`)
  }
})

t.test('of a long body the beginning is shown, with the way to the whole', async (t) => {
  const long = JSON.stringify(`${'x'.repeat(SHOWN_CHARACTERS_MAX)} unmistakable`)
  const { id, event, inConsole } = await bundle({ data: long })
  for (const [path, file] of [
    [`/deliveries/${id}`, 'body.json'],
    [`/events/${event}`, 'data.json'],
  ]) {
    const { text } = await inConsole(path ?? '')
    t.match(text, `<a href="/console${path}/${file}">the whole is a file</a>`)
    t.notMatch(text, 'unmistakable')
    t.match(await inConsole(`${path}/${file}`), { status: 200, text: 'unmistakable' })
  }
})

t.test('where a name led is told in the console, and not in the portal', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 1 })
  await pool.query(
    `update postrider.attempt set outcome = 'blocked', status_code = null, reason = 'blocked_name',
       error = 'the address is not allowed', error_detail = '10.1.2.3 is not a public address'
     where delivery_id = $1`,
    [id],
  )
  for (const path of [`/deliveries/${id}`, `/deliveries/${id}/attempts/1`]) {
    t.match((await inConsole(path)).text, /The address is not allowed\..*10\.1\.2\.3/)
    const { text } = await inPortal(path)
    t.match(text, 'The address is not allowed.')
    t.notMatch(text, '10.1.2.3')
  }
})

t.test('what became of a delivery is said first, with names', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 2 })
  await pool.query(
    `update postrider.endpoint set description = 'Legacy billing'
     where id = (select endpoint_id from postrider.delivery where id = $1)`,
    [id],
  )
  await pool.query(
    `update postrider.tenant set name = 'Acme Retail'
     where id = (select tenant_id from postrider.delivery where id = $1)`,
    [id],
  )
  await pool.query(
    `update postrider.delivery set state = 'failed', finished_at = now(), next_attempt_at = null, attempt_count = 2
     where id = $1`,
    [id],
  )
  const { text } = await inConsole(`/deliveries/${id}`)
  t.match(
    text,
    '<p class="answer" role="status">Failed for Legacy billing (HTTP 500 after 2 attempts).</p>',
  )
  t.ok(text.indexOf('class="answer"') < text.indexOf('class="facts"'))
  t.match(text, /<a href="\/console\/endpoints\/[^"]+">Legacy billing<\/a>/)
  t.match(text, />\s*Acme Retail\s*<\/a>/)
  const customer = await inPortal(`/deliveries/${id}`)
  t.match(customer.text, /class="answer" role="status">.*Failed.*HTTP 500, attempt 2\./)
})

t.test('attempts that failed alike are one line that opens, and the latest is not', async (t) => {
  const { id, inConsole, inPortal } = await bundle({ attempts: 7 })
  await pool.query(
    `update postrider.attempt set status_code = 404 where delivery_id = $1 and number = 5`,
    [id],
  )
  for (const get of [inConsole, inPortal]) {
    const { text } = await get(`/deliveries/${id}`)
    const lines = [...text.matchAll(/<strong>(\d+) attempts alike/g)].map(([, count]) => count)
    t.strictSame(lines, ['4'], 'a single one stays as it is, and so does the latest')
    const [folded = '', rest = ''] = text.split('</details>')
    t.match(folded, /<summary>.*HTTP 500.*<\/summary>/)
    for (const number of [1, 2, 3, 4]) t.match(folded, `id="attempt-${number}"`)
    for (const number of [5, 6]) t.match(rest, `id="attempt-${number}"`)
  }
  await pool.query(
    `update postrider.attempt set outcome = 'delivered', status_code = 200 where delivery_id = $1`,
    [id],
  )
  t.notMatch((await inConsole(`/deliveries/${id}`)).text, 'attempts alike')
})
