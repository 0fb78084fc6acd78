import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys, get, post, signedIn } = await createTestConsole(pool)
const DATA =
  '{"order": 4711, "customer": {"email": "ann@example.com"}, "lines": [{"price": 10.50}]}'

/** An event of a type of which these paths are masked, and keys that may and may not see them. */
async function masked(mask: string[], data = DATA) {
  const tenant = await createTenant(pool)
  const type = `masked.${tenant.key.replaceAll('-', '_')}`
  const put = await request('PUT', `/api/event-types/${type}`, { body: { mask } })
  t.match(put, { status: 201, json: { mask } })
  await tenant.addEndpoint({ url: 'http://127.0.0.1:9/a' })
  const { rows } = await pool.query<{ id: string }>('select postrider.publish($1, $2, $3) as id', [
    tenant.key,
    type,
    data,
  ])
  const id = rows[0]?.id ?? ''
  const keyWith = async (...scopes: ('read' | 'reveal')[]) =>
    (await apiKeys.issue({ name: scopes.join(), scopes })).key
  const path = `/api/tenants/${tenant.key}/events`
  const delivery = (await request('GET', `/api/tenants/${tenant.key}/deliveries`)).json.data[0]
  const audited = async () =>
    (
      await pool.query(
        `select action, target_id from postrider.audit_log where tenant_id = $1 and action = 'reveal_event'`,
        [tenant.id],
      )
    ).rows
  const [reader, revealer] = [await keyWith('read'), await keyWith('read', 'reveal')]
  return { tenant, type, id, path, reader, revealer, delivery, audited }
}

t.test('members that an event type masks are shown to nobody who only looks', async (t) => {
  const { path, id, reader, revealer, delivery, type, tenant } = await masked([
    'customer.email',
    'lines.price',
  ])
  const expected = { order: 4711, customer: { email: '***' }, lines: [{ price: '***' }] }
  for (const key of [reader, revealer]) {
    const one = await request('GET', `${path}/${id}`, { key })
    t.match(one.json, { masked: true, data: expected })
    t.match((await request('GET', path, { key })).json.data, [{ data: expected }])
    const cookie = await signedIn(key)
    const pages = [`events/${id}`, `events/${id}/data.json`]
    pages.push(`deliveries/${delivery.id}`, `deliveries/${delivery.id}/body.json`)
    pages.push(`events?tenant=${tenant.key}`)
    for (const page of pages) {
      const { status, text } = await get(`/console/${page}`, { cookie })
      t.equal(status, 200, page)
      t.notMatch(text, 'ann@example.com', page)
      t.match(text, '***', page)
      t.notMatch(text, 'Verify the signature', page)
    }
  }
  const { rows } = await pool.query(
    'select postrider.body(type, occurred_at, data) from postrider.event where id = $1',
    [id],
  )
  t.match(rows[0].body, DATA, 'receivers get it as it was published')
  await request('PATCH', `/api/event-types/${type}`, { body: { mask: [] } })
  const after = await request('GET', `${path}/${id}`, { key: reader })
  t.match(after.text, `"data":${DATA}`, 'to the byte, without a mask')
})

t.test('what is masked is not found by those who search for it either', async (t) => {
  const { path, id, tenant } = await masked(['customer.email'])
  const found = async (text: string) => {
    const list = await request('GET', `${path}?search=${encodeURIComponent(text)}`)
    const page = await request(
      'GET',
      `/api/search?q=${encodeURIComponent(text)}&tenant=${tenant.key}`,
    )
    return [list, page].map(({ json }) => json.data.map((one: { id: string }) => one.id))
  }
  t.strictSame(await found('ann@example'), [[], []])
  t.strictSame(await found('4711'), [[id], [id]])
  t.strictSame(await found(id), [[id], [id]])
})

t.test('a key with the scope reveal sees it, and the audit log says so', async (t) => {
  const { path, id, reader, revealer, audited } = await masked(['*'])
  t.match((await request('GET', `${path}/${id}`, { key: revealer })).json, { data: '***' })
  const refused = await request('GET', `${path}/${id}?reveal=true`, { key: reader })
  t.match(refused, { status: 403, json: { code: 'scope_missing' } })
  const form = `/console/events/${id}/reveal`
  t.equal((await post(form, {}, { cookie: await signedIn(reader) })).status, 403)
  t.strictSame(await audited(), [])
  const shown = await request('GET', `${path}/${id}?reveal=true`, { key: revealer })
  t.match(shown.text, `"data":${DATA}`)
  const cookie = await signedIn(revealer)
  t.match((await get(`/console/events/${id}`, { cookie })).text, 'Reveal data')
  t.match((await post(form, {}, { cookie })).text, 'ann@example.com')
  const again = await get(form, { cookie })
  t.equal(again.headers.get('location'), `/console/events/${id}`, 'loaded again it asks again')
  const row = { action: 'reveal_event', target_id: id }
  t.strictSame(await audited(), [row, row])
})

t.test('a path leads through arrays, and one that leads nowhere changes nothing', async (t) => {
  const cases: [mask: string[], data: string, shown: unknown][] = [
    [
      ['a.b'],
      '{"a": [{"b": 1}, {"c": 2}, 3, [{"b": 4}]]}',
      { a: [{ b: '***' }, { c: 2 }, 3, [{ b: '***' }]] },
    ],
    [['a'], '[{"a": 1}]', [{ a: '***' }]],
    [['a.b.c', 'x'], '{"a": {"b": "text"}, "y": null}', { a: { b: 'text' }, y: null }],
    [['a'], '"a"', 'a'],
    [['a', 'a.b'], '{"a": {"b": 1}}', { a: '***' }],
    [['*'], '[]', '***'],
  ]
  for (const [mask, data, shown] of cases) {
    const { path, id } = await masked(mask, data)
    t.strictSame((await request('GET', `${path}/${id}`)).json.data, shown, `${mask} of ${data}`)
  }
  const body = (path: string) => ({ body: { mask: [path] } })
  for (const path of ['', 'a..b', '.a', '*.a', 'a b', 'a,b']) {
    const { status } = await request('PUT', '/api/event-types/wrong.mask', body(path))
    t.equal(status, 422, path)
  }
})

t.test('customers see their data in the portal', async (t) => {
  const { tenant, delivery } = await masked(['*'])
  const made = await request('POST', `/api/tenants/${tenant.key}/portal-links`, { body: {} })
  const { pathname, search } = new URL(made.json.url)
  const { headers } = await get(pathname + search, { cookie: null })
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
  const { text } = await get(`/portal/deliveries/${delivery.id}`, { cookie })
  t.match(text, 'ann@example.com')
})
