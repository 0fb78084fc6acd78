import t from 'tap'
import type { TenantId } from '../ids.ts'
import { messageIdOf } from '../ksuid.ts'
import { createLineSteps } from '../testing/data/lines.ts'
import { createTenant, operatorTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys, get, post, signedIn } = await createTestConsole(pool)

const search = async (text: string, options: { key?: string; tenant?: string } = {}) => {
  const { key, tenant } = options
  const query = new URLSearchParams({ q: text, ...(tenant && { tenant }) })
  return await request('GET', `/api/search?${query}`, key === undefined ? {} : { key })
}
const kindsOf = ({ json }: Awaited<ReturnType<typeof search>>): string[] =>
  json.data.map(({ kind, matched }: Record<string, string>) => `${kind} by ${matched}`)

/** A customer with a receiver that works, one that is paused, and one that wants other events. */
async function acme() {
  const work = await createWork(pool)
  const { key, id } = work.tenant
  const name = `Acme ${key.slice(-6)} Retail`
  await request('PUT', `/api/tenants/${key}`, { body: { name } })
  await pool.query(`update postrider.endpoint set description = 'HubSpot bridge' where id = $1`, [
    work.endpoint.id,
  ])
  const base = `/api/tenants/${key}/endpoints`
  const add = async (body: object) => (await request('POST', base, { body })).json.id as string
  const paused = await add({ url: `https://bi.example.com/${key}`, description: 'BI ingestion' })
  await request('POST', `${base}/${paused}/pause`)
  await add({ url: 'https://erp.example.com/in', eventTypes: ['stock.*'] })
  const publish = async (data: unknown, more: object = {}) =>
    (
      await request('POST', '/api/events', {
        body: { tenant: key, type: 'order.shipped', data },
        headers: more as Record<string, string>,
      })
    ).json.id as string
  return { work, key, id, name, paused, publish }
}

t.test('the webhook-id of a batch leads to what was sent in it, also of one tenant', async (t) => {
  const [work, other] = [await createWork(pool), await createWork(pool)]
  const deliveries = [await work.publish(), await work.publish()]
  const alone = await work.publish()
  const { rows } = await pool.query<{ id: string }>('select postrider.uuidv7() as id')
  const batch = rows[0]?.id ?? ''
  for (const delivery of [...deliveries, alone]) await work.finish(await work.claim(delivery), 200)
  await pool.query('update postrider.attempt set batch_id = $1 where delivery_id = any ($2)', [
    batch,
    deliveries.map(({ id }) => id),
  ])
  // Sent six times, which is as many as are shown.
  await pool.query(
    `insert into postrider.attempt
     select (jsonb_populate_record(a, jsonb_build_object('id', postrider.uuidv7(), 'number', n))).*
     from postrider.attempt a cross join generate_series(2, 6) as n where a.batch_id = $1`,
    [batch],
  )
  const ids = deliveries.map(({ id }) => id).sort()
  for (const tenant of [undefined, work.tenant.key]) {
    const { json } = await search(batch, tenant === undefined ? {} : { tenant })
    t.strictSame(
      json.data.map(({ kind, id }: Record<string, string>) => `${kind} ${id}`).sort(),
      ids.map((id) => `delivery ${id}`),
    )
  }
  t.strictSame(kindsOf(await search(batch, { tenant: other.tenant.key })), [])
  const { rows: failed } = await pool.query(
    `update postrider.attempt set reason = 'item_failed' where delivery_id = $1 returning id`,
    [alone.id],
  )
  t.match(
    (await search(failed[0].id)).json.data,
    [{ kind: 'delivery', id: alone.id }],
    'named as failed',
  )
  const page = await get(`/console/deliveries/${ids[0]}`, { cookie: await signedIn() })
  t.match(page.text, `href="/console/search?q=${batch}"`)
})

t.test('finds by id, name, key, URL, description, idempotency key and data', async (t) => {
  const { work, key, name, paused, publish } = await acme()
  const eventId = await publish({ order: `ord-${key}` }, { 'idempotency-key': `ship-${key}` })
  const [, delivery] = (await request('GET', `/api/tenants/${key}/deliveries`)).json.data
  t.strictSame(kindsOf(await search(eventId)), ['event by id'])
  t.strictSame(kindsOf(await search(messageIdOf(eventId))), ['event by id'])
  t.strictSame(kindsOf(await search('msg_nothing')), [])
  const listed = `/api/tenants/${key}/events?search=${messageIdOf(eventId)}`
  t.match((await request('GET', listed)).json.data, { 0: { id: eventId }, length: 1 })
  t.strictSame(kindsOf(await search(delivery.id.toUpperCase())), ['delivery by id'])
  t.strictSame(kindsOf(await search(work.endpoint.id)), ['endpoint by id'])
  t.strictSame(kindsOf(await search(work.tenant.id)), ['tenant by id'])
  t.strictSame(kindsOf(await search(name.toUpperCase())), ['tenant by name'])
  t.ok(kindsOf(await search(key)).includes('tenant by key'))
  t.match((await search(`bi.example.com/${key}`)).json.data, [{ kind: 'endpoint', id: paused }])
  t.ok(kindsOf(await search('bi ingest')).includes('endpoint by description'))
  t.strictSame(kindsOf(await search(`ship-${key}`)), ['event by idempotency_key'])
  t.strictSame(kindsOf(await search(`ord-${key}`)), ['event by data'])
  t.strictSame(kindsOf(await search('nothing is called this')), [])
  t.strictSame(kindsOf(await search(`  ${eventId} `)), ['event by id'])
  t.match(await search('  '), {
    status: 422,
    json: { errors: [{ field: 'q', message: 'is empty' }] },
  })
})

t.test(
  'what Svix SDKs call a tenant or an endpoint is found, and shown where people look',
  async (t) => {
    const { work, key } = await acme()
    const { id } = work.endpoint
    const [uid, tenantUid] = [`crm.${key}-1`, `cust.${key}`]
    await pool.query('update postrider.endpoint set uid = $2, svix_id = $3 where id = $1', [
      ...[id, uid, `ep_${key}`],
    ])
    await pool.query('update postrider.tenant set uid = $2, svix_id = $3 where id = $1', [
      ...[work.tenant.id, tenantUid, `app_${key}`],
    ])
    t.strictSame(kindsOf(await search(uid.toUpperCase())), ['endpoint by uid'])
    t.strictSame(kindsOf(await search(`ep_${key}`)), ['endpoint by id'])
    t.strictSame(kindsOf(await search(tenantUid)), ['tenant by uid'])
    t.strictSame(kindsOf(await search(`app_${key}`)), ['tenant by id'])
    t.strictSame(kindsOf(await search(`ep_${key}0`)), [])

    const path = `/api/tenants/${key}`
    t.match((await request('GET', path)).json, { uid: tenantUid })
    t.match((await request('GET', `${path}/endpoints/${id}`)).json, { uid })
    t.equal((await request('PATCH', `${path}/endpoints/${id}`, { body: { uid: 'x' } })).status, 422)
    const cookie = await signedIn()
    const shown = async (page: string) => (await get(page, { cookie })).text
    const endpoint = await shown(`/console/endpoints/${id}`)
    for (const words of [uid, `ep_${key}`]) t.match(endpoint, words)
    const tenant = await shown(`/console/tenants/${key}`)
    for (const words of [tenantUid, `app_${key}`]) t.match(tenant, words)
    t.match(await shown(`/console/endpoints?search=${uid}`), id)
    t.match(await shown(`/console/suggestions/endpoints.json?text=${uid}`), id)
  },
)

const DUE = { due_attempt: 1 }

t.test(
  'finds the events of an ordering key, and says which newer one was sent instead',
  async (t) => {
    const work = await createWork(pool, {
      collapse_ms: 3_600_000,
      url: 'https://shop.example.com/in',
    })
    const key = `article:${work.tenant.key}`
    const [older = '', newer = ''] = await work.publishInOrder(key, key)
    const found = async () => {
      const { json } = await search(key)
      return new Map<string, { matched: string; answer: string }>(
        json.data.map((hit: { id: string }) => [hit.id, hit]),
      )
    }
    t.match((await found()).get(older), { matched: 'ordering_key' })
    await createLineSteps(pool).runJobs(work, 'advance')
    const hits = await found()
    t.strictSame([...hits.keys()].toSorted(), [older, newer].toSorted())
    t.match(
      hits.get(older)?.answer,
      `Not sent to shop.example.com/in (the endpoint gets only the newest event of a key: ${newer} of ${key} replaced it).`,
    )
    t.match(hits.get(newer)?.answer, 'About to be sent to shop.example.com/in.')
    const { text } = await get(`/console/deliveries/${(await work.deliveryOf(older)).id}`, {
      cookie: await signedIn(),
    })
    t.match(text, `href="/console/events/${newer}"`, 'the page of the delivery leads there')
  },
)

t.test('says in one sentence where an event went, and why it was not sent', async (t) => {
  const { work, key, publish } = await acme()
  const order = `ord-${key}`
  const eventId = await publish({ order })
  const { rows } = await pool.query<{ id: string }>(
    'select id from postrider.delivery where event_id = $1 and endpoint_id = $2',
    [eventId, work.endpoint.id],
  )
  await work.finish(await work.claim({ id: rows[0]?.id ?? '', ...DUE }), 200)
  const expected =
    /^(?=.*on hold for BI ingestion \(the endpoint is paused)(?=.*delivered to HubSpot bridge \(HTTP 200 in 10 ms, attempt 1\)).*not sent to erp\.example\.com\/in \(its event types do not include this one\)\.$/i
  const { json } = await search(order)
  t.match(json, { data: [{ kind: 'event', id: eventId, answer: expected }], searchedBackTo: null })
  const one = await search(rows[0]?.id ?? '')
  t.match(one.json.data, [
    { answer: 'Delivered to HubSpot bridge (HTTP 200 in 10 ms, attempt 1).' },
  ])
})

t.test('a tenant that is named in front narrows the search to it', async (t) => {
  const [one, other] = [await acme(), await acme()]
  const order = `same-${process.pid}-${one.key}`
  const ofOne = await one.publish({ order })
  await other.publish({ order })
  const idsOf = async (text: string) =>
    (await search(text)).json.data.map(({ id }: { id: string }) => id)
  t.equal((await idsOf(order)).length, 2)
  t.strictSame(await idsOf(`${one.key} ${order}`), [ofOne])
  t.strictSame(await idsOf(`${one.name} ${order}`), [ofOne])
  t.strictSame((await search(order, { tenant: one.key })).json.data.length, 1)
  t.equal((await search(order, { tenant: 'a\0b' })).status, 404)
  t.equal((await search(order, { tenant: 'x'.repeat(10_000) })).status, 404)
  t.equal((await search(order, { tenant: 'nobody' })).status, 404)
})

if (isLong)
  t.test('looks through the data of a bounded number of events, and says how far', async (t) => {
    const tenant = await createTenant(pool)
    const first = await tenant.publish('a.b', { order: `old-${tenant.key}` })
    await pool.query(
      `insert into postrider.event (tenant_id, type, data, occurred_at)
     select $1, 'a.b', '{"n": 1}', now() from generate_series(1, 40000)`,
      [tenant.id],
    )
    const { json } = await search(`${tenant.key} old-${tenant.key}`)
    t.strictSame(json.data, [])
    t.match(json.searchedBackTo, /Z$/)
    t.strictSame(kindsOf(await search(first)), ['event by id'], 'an id is found whenever it was')
  })

t.test(
  'what belongs to the service is found by admins only, and a tenant’s key searches nothing',
  async (t) => {
    const operator = await operatorTenant(pool)
    const event = await operator.publish('of.the_service', { mark: 'of-the-service' })
    const { key } = await apiKeys.issue({ name: 'looks', scopes: ['read'] })
    for (const text of [event, 'postrider:operator', 'of-the-service']) {
      t.strictSame((await search(text, { key })).json.data, [], text)
      t.ok((await search(text)).json.data.length > 0, text)
    }
    t.equal((await search('a', { key, tenant: 'postrider:operator' })).status, 404)
    const { id } = await createTenant(pool)
    const own = await apiKeys.issue({ name: 'own', scopes: ['read'], tenantId: id as TenantId })
    t.match(await search('a', { key: own.key }), {
      status: 403,
      json: { code: 'key_of_one_tenant' },
    })
  },
)

t.test(
  'the page leads straight to what was named, and shows the rest with its answer',
  async (t) => {
    const { key, publish } = await acme()
    const eventId = await publish(
      { order: `page-${key}` },
      { 'idempotency-key': `page-key-${key}` },
    )
    const cookie = await signedIn()
    const see = (query: string) => get(`/console/search?q=${encodeURIComponent(query)}`, { cookie })
    for (const text of [eventId, `page-key-${key}`]) {
      const { status, headers } = await see(text)
      t.match(
        { status, to: headers.get('location') },
        { status: 303, to: `/console/events/${eventId}` },
      )
    }
    const { text } = await see(`page-${key}`)
    t.match(text, /found by data/)
    t.match(text, /<p class="answer">[^<]*not sent to erp\.example\.com/)
    const quick = await get(`/console/search?quick=yes&q=page-${key}`, { cookie })
    t.notMatch(quick.text, /class="answer"/, 'no data is looked through while somebody types')
    t.match((await see('nothing is called this')).text, 'Nothing found for')
    t.match(await get('/console/search', { cookie }), { status: 200 })
    for (const odd of [`a ${'x'.repeat(497)}😀`, ' ', 'a '.repeat(250)]) {
      t.match(await see(odd), { status: 200 }, JSON.stringify(odd.slice(0, 9)))
    }
  },
)

t.test('support gets a text for the ticket and a link for the customer', async (t) => {
  const { key, name, publish } = await acme()
  const eventId = await publish({ secret: 'of-the-customer' })
  const cookie = await signedIn()
  const page = await get(`/console/events/${eventId}`, { cookie })
  const [, ticket = ''] = /data-copy="(Event order\.shipped[^"]*)"/.exec(page.text) ?? []
  t.match(ticket, `Event order.shipped (${eventId}) of ${key}, published`)
  t.match(ticket, /- not sent to erp\.example\.com\/in: its event types do not include this one/)
  t.notMatch(ticket, 'of-the-customer')
  const path = `/console/tenants/${key}/portal-link`
  const made = await post(path, {}, { cookie })
  t.match(made, { status: 200, text: `Portal link for ${name}` })
  t.match(made.text, /\/portal\/open\?token=[\w-]{43}/)
  const { rows } = await pool.query(
    `select l.access from postrider.portal_link l join postrider.tenant t on t.id = l.tenant_id where t.key = $1`,
    [key],
  )
  t.strictSame(rows, [{ access: 'read' }], 'it only looks, unless more is asked for')
  await request('POST', `/api/tenants/${key}/suspend`)
  t.equal((await post(path, {}, { cookie })).status, 409)
})
