/** What endpoints are sent in each shape: to a real receiver, by a real runner. */
import { createRequire } from 'node:module'
import { IncomingWebhook, type IncomingWebhookSendArguments } from '@slack/webhook'
import { type CloudEvent, HTTP } from 'cloudevents'
import type { RESTPostAPIWebhookWithTokenJSONBody } from 'discord-api-types/v10'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import type { FollowedAttempt } from '../client/client.ts'
import { forward } from '../commands/forward.ts'
import { readConfig } from '../config/config.ts'
import { messageIdOf } from '../ksuid.ts'
import { generateSecret } from '../sending/signature.ts'
import { createThinLinks } from '../sending/thin-link.ts'
import { startRunnerProcess } from '../service/start-runner.ts'
import { ENCRYPTION } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { captureLog } from '../testing/log-lines.ts'
import { type ReceivedRequest, startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'

/** The build that Node can load; its modules are for bundlers. */
const cards: typeof import('adaptivecards') = createRequire(import.meta.url)(
  'adaptivecards/dist/adaptivecards.js',
)

const OTHER_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const PUBLIC_URL = 'https://hooks.example.com'
/** Bytes that a parser would change. */
const DATA =
  '{"id": 1.50, "customer":{"name":"Ann & <Bob>", "vat":null}, "items":[{"sku":"a"},{"sku":"b"}], "big":12345678901234567890}'

const { pool, url: databaseUrl } = await createTestDatabase(t)
const { request, app } = createTestApi(pool, {}, { PUBLIC_URL })
const receiver = await startReceiver()
t.teardown(() => receiver.close())
const runner = await startRunnerProcess(
  readConfig(
    {
      ...{ DATABASE_URL: databaseUrl, EGRESS_ALLOW: '127.0.0.0/8', PUBLIC_URL },
      ...ENCRYPTION,
    },
    'runner',
  ),
  captureLog().log,
)
t.teardown(runner.stop)

/** The request that an endpoint with these settings gets of an event. */
async function deliver(
  settings: Record<string, unknown>,
  data = DATA,
  { storedTemplate, ...more }: { storedTemplate?: string; asSvix?: boolean } = {},
) {
  const tenant = await createTenant(pool)
  const path = `/${tenant.key}`
  const made = await request('POST', `/api/tenants/${tenant.key}/endpoints`, {
    body: { url: receiver.url + path, ...settings },
  })
  if (made.status !== 201) throw new Error(made.text)
  if (storedTemplate !== undefined) {
    await pool.query('update postrider.endpoint set shape_template = $2 where id = $1', [
      ...[made.json.id, storedTemplate],
    ])
  }
  const { rows } = await pool.query<{ id: string; timestamp: string }>(
    'select event_id as id from postrider.publish_many($1)',
    [
      `[{"tenant":"${tenant.key}","type":"invoice.paid","data":${data},${JSON.stringify({ ...more, traceparent: null }).slice(1)}]`,
    ],
  )
  const id = rows[0]?.id ?? ''
  const before = () => receiver.requests.find((one) => one.path === path)
  for (let count = 1; !before(); count++) await receiver.received(count)
  const arrived = before() as ReceivedRequest
  const at = await pool.query<{ timestamp: string }>(
    `select postrider.body(type, occurred_at, data)::json ->> 'timestamp' as timestamp from postrider.event where id = $1`,
    [id],
  )
  const verified = new Webhook(made.json.secret).verify(
    arrived.body,
    arrived.headers as Record<string, string>,
  )
  return { tenant, id, endpoint: made.json, arrived, verified, timestamp: at.rows[0]?.timestamp }
}

t.test('standard is what it always was', async (t) => {
  const { arrived, timestamp } = await deliver({})
  t.equal(arrived.body, `{"type":"invoice.paid","timestamp":"${timestamp}","data":${DATA}}`)
  t.equal(arrived.headers['content-type'], 'application/json')
})

t.test('raw is the data to the byte', async (t) => {
  t.equal((await deliver({ shape: 'raw' })).arrived.body, DATA)
  t.equal((await deliver({ shape: 'raw' }, '"text"')).arrived.body, '"text"')
})

t.test(
  'svix is the data to the byte, with both families of headers and an id of theirs',
  async (t) => {
    const { arrived, id, endpoint } = await deliver({ shape: 'svix' })
    t.equal(arrived.body, DATA)
    assertSvix(t, arrived, id)
    const svixOnly = Object.entries(arrived.headers).filter(
      ([name]) => !name.startsWith('webhook-'),
    )
    const renamed = svixOnly.map(([name, value]) => [name.replace(/^svix-/, 'webhook-'), value])
    t.ok(new Webhook(endpoint.secret).verify(arrived.body, Object.fromEntries(renamed)))
    await untilHolds(
      pool,
      `select outcome = 'delivered' as holds from postrider.attempt where endpoint_id = $1`,
      [endpoint.id],
    )
    const { rows } = await pool.query(
      `select url, request_headers ->> 'svix-id' as id from postrider.attempt where endpoint_id = $1`,
      [endpoint.id],
    )
    t.strictSame(rows, [{ url: endpoint.url, id: messageIdOf(id) }])
  },
)

t.test(
  'an event of the Svix-compatible API is sent so to the default shape, and to no other',
  async (t) => {
    const inShape = async (settings: Record<string, unknown>) =>
      await deliver(settings, DATA, { asSvix: true })
    const standard = await inShape({})
    t.equal(standard.arrived.body, DATA)
    assertSvix(t, standard.arrived, standard.id)
    const { arrived, id } = await inShape({ shape: 'thin' })
    t.match(JSON.parse(arrived.body), { id, type: 'invoice.paid' })
    t.equal(arrived.headers['webhook-id'], id)
    t.equal(arrived.headers['svix-id'], undefined)
  },
)

t.test(
  'a signature by hand, and headers of other schemes, are over the id that was sent',
  async (t) => {
    const { arrived, id } = await deliver({
      shape: 'svix',
      signatureHeaders: { 'X-Id': '{id}' },
    })
    t.equal(arrived.headers['x-id'], messageIdOf(id))
  },
)

function assertSvix(t: Test, { headers }: ReceivedRequest, eventId: string) {
  for (const name of ['id', 'timestamp', 'signature']) {
    t.ok(headers[`webhook-${name}`])
    t.equal(headers[`svix-${name}`], headers[`webhook-${name}`])
  }
  t.equal(headers['svix-id'], messageIdOf(eventId))
  t.equal(headers['content-type'], 'application/json')
}

t.test('thin has a link that the rest is got from, without a key', async (t) => {
  const { arrived, id, timestamp } = await deliver({ shape: 'thin' })
  const { link, ...rest } = JSON.parse(arrived.body)
  t.strictSame(rest, { id, type: 'invoice.paid', timestamp })
  t.ok(link.startsWith(`${PUBLIC_URL}/thin/`))
  const path = link.slice(PUBLIC_URL.length)
  const got = await app.request(path)
  t.equal(got.status, 200)
  t.equal(got.headers.get('cache-control'), 'no-store')
  t.equal(await got.text(), `{"type":"invoice.paid","timestamp":"${timestamp}","data":${DATA}}`)

  const statusOf = async (one: string) => (await app.request(one)).status
  const others = [...'ABCDghij'].map((last) => `${path.slice(0, -1)}${last}`)
  for (const other of others.filter((one) => one !== path)) {
    t.equal(await statusOf(other), 404, 'a signature of nobody, or another spelling of it')
  }
  t.equal(await statusOf('/thin/a'), 404)
  await pool.query('select postrider.erase_event($1)', [id])
  t.equal(await statusOf(path), 404, 'its data was erased')
  const other = await deliver({ shape: 'thin' })
  const otherPath = JSON.parse(other.arrived.body).link.slice(PUBLIC_URL.length)
  t.equal(await statusOf(otherPath), 200)
  await request('DELETE', `/api/tenants/${other.tenant.key}/endpoints/${other.endpoint.id}`)
  t.equal(await statusOf(otherPath), 404, 'the endpoint was deleted')
})

t.test(
  'the link of a thin event ends, and is right with any key that is still listed',
  async (t) => {
    const [old, next] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const linked = {
      tenantId: '0198c1f5-7e4a-7000-8000-000000000001',
      endpointId: '0198c1f5-7e4a-7000-8000-000000000002',
      eventId: '0198c1f5-7e4a-7000-8000-000000000003',
    }
    const links = createThinLinks({ keys: [old], publicUrl: PUBLIC_URL })
    const day = 86_400
    const [first, last] = [20_000 * day, 20_001 * day - 1]
    t.equal(links.linkOf(linked, first), links.linkOf(linked, last), 'the same all day')
    const token = links.linkOf(linked, last).slice(`${PUBLIC_URL}/thin/`.length)
    t.strictSame(links.open(token, 20_008 * day - 1), linked)
    t.equal(links.open(token, 20_008 * day), null)
    const rotated = createThinLinks({ keys: [next, old], publicUrl: PUBLIC_URL })
    t.strictSame(rotated.open(token, last), linked)
    t.equal(createThinLinks({ keys: [next], publicUrl: PUBLIC_URL }).open(token, last), null)
    t.throws(() => createThinLinks({ keys: [old], publicUrl: undefined }).linkOf(linked, last), {
      code: 'public_url_missing',
    })
  },
)

t.test('fields are the chosen members, each with its bytes', async (t) => {
  const { arrived, timestamp } = await deliver({
    shape: 'fields',
    shapeFields: ['$.big', '$.id', '$.customer.name', '$.items[1].sku', '$.missing', '$.id.deeper'],
  })
  t.equal(
    arrived.body,
    `{"type":"invoice.paid","timestamp":"${timestamp}","data":{"big":12345678901234567890,"id":1.50,"customer":{"name":"Ann & <Bob>"},"items":[{"sku":"b"}]}}`,
  )
  const many = await deliver(
    {
      shape: 'fields',
      shapeFields: ['$.e', '$.a', '$.c.x', '$.none', '$.d', '$.c.y[1]', '$.c.y[0].z'],
    },
    '{"a":1,"a":2.0,"b":0,"c":{"x":null,"y":[{"z":1},2]},"d":[ ],"e":1e2}',
  )
  t.ok(
    many.arrived.body.endsWith('"data":{"e":1e2,"a":2.0,"c":{"x":null,"y":[{"z":1},2]},"d":[ ]}}'),
    many.arrived.body,
  )
  const nested = await deliver(
    { shape: 'fields', shapeFields: ['$[2][10]', '$[0].a.b', '$[2][9].x', '$[0].a', '$[2][1].y'] },
    '[{"a":{"b":1,"c":2}},0,[0,{"y":3,"z":0},2,3,4,5,6,7,8,{"x":9,"z":0},10]]',
  )
  t.ok(
    nested.arrived.body.endsWith('"data":[{"a":{"b":1,"c":2}},[{"y":3},{"x":9},10]]}'),
    `elements keep their order, and close up: ${nested.arrived.body}`,
  )
  const none = await deliver({ shape: 'fields', shapeFields: ['$."first name"'] })
  t.strictSame(JSON.parse(none.arrived.body).data, {})
  const quoted = await deliver(
    { shape: 'fields', shapeFields: ['$."first name"'] },
    '{"first name":"Ann","id":1}',
  )
  t.strictSame(JSON.parse(quoted.arrived.body).data, { 'first name': 'Ann' })
})

for (const shape of ['cloudevents', 'cloudevents-binary']) {
  t.test(`${shape} is read back by the package of CloudEvents`, async (t) => {
    const { arrived, id, timestamp, tenant } = await deliver({ shape })
    const event = HTTP.toEvent({ headers: arrived.headers, body: arrived.body }) as CloudEvent
    t.ok(event.validate())
    t.match(event, {
      ...{ specversion: '1.0', id, type: 'invoice.paid', source: `urn:uuid:${tenant.id}` },
      data: JSON.parse(DATA),
    })
    t.equal(event.time, timestamp)
    const isBinary = shape === 'cloudevents-binary'
    if (isBinary) t.equal(arrived.body, DATA)
    else t.ok(arrived.body.endsWith(`,"data":${DATA}}`), 'with the bytes of the producer')
  })
}

/** The message of a template that nobody checked when it was stored. */
async function messageOf(storedTemplate: string, data?: string): Promise<string> {
  const { verified } = await deliver({ shape: 'slack' }, data, { storedTemplate })
  return (verified as { text: string }).text
}

/** What the package of Adaptive Cards finds in the card of a message. */
function mistakesInCard(message: unknown): unknown[] {
  const { attachments } = message as { attachments: { content: object }[] }
  const context = new cards.SerializationContext()
  const card = new cards.AdaptiveCard()
  card.parse(attachments[0]?.content ?? {}, context)
  const found = Array.from({ length: context.eventCount }, (_, at) => context.getEventAt(at))
  return [...found, ...card.validateProperties().validationEvents]
}

t.test('messages are made of the template, and cannot mention anybody', async (t) => {
  const shapeTemplate =
    '*{{type}}* {{ data.customer.name }} {{data.items[1].sku}} {{data.none}}{{data.id}}'
  const slack = await deliver({ shape: 'slack', shapeTemplate })
  const text = '*invoice.paid* Ann &amp; &lt;Bob&gt; b 1.50'
  t.strictSame(slack.verified, { text } satisfies IncomingWebhookSendArguments)
  await new IncomingWebhook(`${receiver.url}/slack`).send({ text }).catch(() => undefined)
  const bySlack = receiver.requests.find(({ path }) => path === '/slack')
  t.equal(slack.arrived.body, bySlack?.body, "as Slack's own client sends it")
  const discord = await deliver({ shape: 'discord', shapeTemplate })
  t.strictSame(discord.verified, {
    content: '*invoice.paid* Ann & <Bob> b 1.50',
    allowed_mentions: { parse: [] },
  } satisfies RESTPostAPIWebhookWithTokenJSONBody)
  const teams = await deliver({ shape: 'teams', shapeTemplate })
  t.match(teams.verified, {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          type: 'AdaptiveCard',
          body: [{ type: 'TextBlock', text: '*invoice.paid* Ann & <Bob> b 1.50' }],
        },
      },
    ],
  })
  t.strictSame(mistakesInCard(teams.verified), [], 'as the package of Adaptive Cards reads it')
  t.not(
    mistakesInCard({ attachments: [{ content: { type: 'AdaptiveCard', body: [{}] } }] }).length,
    0,
  )
  const long = await deliver(
    { shape: 'discord', shapeTemplate: '{{data.a}}'.repeat(5) },
    `{"a":"${'x'.repeat(600)}"}`,
  )
  const { content } = long.verified as { content: string }
  t.equal(content.length, 2000, 'what Discord takes')
  const nested = `{"a":`.repeat(11).concat('1', '}'.repeat(11))
  for (const [stray, told] of [
    ['', ':....'],
    ['{{type}}{{type}}{{type}}{{ ', 'invoice.paidinvoice.paidinvoice.paid....'],
  ]) {
    const template = `${stray}:{{data${'.a'.repeat(11)}}}${'.{{data.b}}'.repeat(4)}`
    t.equal(await messageOf(template, nested), told, 'a path has 10 steps at most')
  }
  const few = await messageOf(`x{{data${'.a'.repeat(11)}}}`, nested)
  t.equal(few, 'x', 'also where the template has few')
  for (const more of ['', '{{data.none}}{{data.none}}{{data.none}}']) {
    const shapeTemplate = `:{{data.items.-1.sku}}{{data.items."-1".sku}}{{data.items.1.sku}}${more}`
    const { verified } = await deliver({ shape: 'slack', shapeTemplate })
    t.strictSame(verified, { text: ':b' }, 'an array is not counted from its end')
  }
  const usual = await deliver({ shape: 'slack' }, '{"a":"{{type}}"}')
  t.strictSame(usual.verified, { text: 'invoice.paid {"a":"{{type}}"}' }, 'values are no templates')
  // Each read the data once more: many took the runner seconds an event.
  const many = await messageOf(
    '{{data.a.b}} {{data.a.c[1]}} {{data.a.c[01]}} {{data.a.d}} {{data.e}} {{data.none.b}} {{data.a}} {{{type}} {{data',
    '{"a":{"b":1.50,"b":2e2,"c":["x","y"],"d":null},"e":"\\u00e9"}',
  )
  t.equal(many, '2e2 y y  é  {"b":1.50,"b":2e2,"c":["x","y"],"d":null}  {{data')
  // A chat refuses what is empty, so such a delivery failed for days.
  t.equal(await messageOf('{{data.none}} {{x}}'), 'invoice.paid')
})

const MISTYPED = [
  ...['{{data["id"]}}', "{{data['id']}}", '{{data.}}', '{{data..id}}', '{{data.customer["name"]}}'],
  ...['{{data.customer.}}', '{{data.items[-1]}}', '{{data.items[0}}', '{{data.items[*]}}'],
  ...['{{data.items[]}}', '{{data.items[0]sku}}', '{{data.customer name}}', '{{data[0}}'],
  ...['{{data."customer}}', '{{data."customer"x}}', '{{data."a}}b"}}', '{{Data.id}}', '{{nope}}'],
  ...['{{}}', '{{data.id | upper}}', '{{#if data}}', '{{{type}}}', '{{data.id and {{type}}'],
  ...['{{datum.id}}', `{{data${'.a'.repeat(11)}}}`],
]

t.test('a mistyped path is refused, and never stands for more than it says', async (t) => {
  const tenant = await createTenant(pool)
  const endpoints = `/api/tenants/${tenant.key}/endpoints`
  const create = (shapeTemplate: string) =>
    request('POST', endpoints, { body: { url: receiver.url, shape: 'slack', shapeTemplate } })
  const { json } = await create('{{data.id}}')
  for (const wrong of MISTYPED) {
    const errors = [
      { field: 'shapeTemplate', message: /^has \{\{.*, which stands for nothing: write/ },
    ]
    t.match(await create(`a ${wrong}`), { status: 422, json: { errors } }, wrong)
    const change = { body: { shapeTemplate: wrong } }
    t.match(await request('PATCH', `${endpoints}/${json.id}`, change), { status: 422 }, wrong)
  }
  for (const open of ['{{data.a.b', '{{type}} {{', '}} {{ data']) {
    const errors = [{ field: 'shapeTemplate', message: /^has \{\{ without \}\} behind it/ }]
    t.match(await create(open), { status: 422, json: { errors } }, open)
  }
  for (const right of [
    ...['plain', '}} { }', '{{ type }}{{id}} {{timestamp}}', '{{data}}', '{"a":{"b":{{data.id}}}}'],
    ...['{{data[0][12].a}}', '{{data."first name".b-c.ä_1.$ref.@type}}', '{{data.items.-1}}'],
    `{{data${'.a'.repeat(10)}}}`,
  ]) {
    t.match(await create(right), { status: 201 }, right)
  }
  // As it was stored before, a few in a template and many.
  const harmless = MISTYPED.filter((wrong) => !wrong.includes('}}b') && !wrong.endsWith('}}}'))
  for (const middle of [...harmless, harmless.join('')]) {
    const endpoint = { shape: 'slack', shape_template: `:${middle}:` }
    const { rows } = await pool.query(
      `select postrider.message(jsonb_populate_record(null::postrider.endpoint, $1),
         gen_random_uuid(), 'invoice.paid', 'now', $2) as message`,
      [endpoint, DATA],
    )
    t.equal(rows[0]?.message, '::', middle)
  }
})

t.test(
  'the delivery page shows the request in the shape of the endpoint, to verify by hand',
  async (t) => {
    const { arrived, id, tenant, endpoint } = await deliver({ shape: 'thin' })
    const { rows } = await pool.query<{ id: string }>(
      'select id from postrider.delivery where event_id = $1',
      [id],
    )
    await untilHolds(
      pool,
      `select state = 'delivered' as holds from postrider.delivery where id = $1`,
      [rows[0]?.id],
    )
    const console = await createTestConsole(pool, { env: { PUBLIC_URL } })
    const cookie = await console.signedIn()
    const path = `/console/deliveries/${rows[0]?.id}`
    t.equal((await console.get(`${path}/body.json`, { cookie })).text, arrived.body)
    const { text } = await console.get(path, { cookie })
    t.match(text, /printf .*thin\//)
    t.match(text, 'byte for byte as it was signed')

    // It was said to be as it was signed, with a command that prints another signature.
    await request('PATCH', `/api/tenants/${tenant.key}/endpoints/${endpoint.id}`, {
      body: { shape: 'raw' },
    })
    const later = await console.get(path, { cookie })
    t.match(later.text, 'in the shape that the endpoint has now: it was sent in another one')
    t.notMatch(later.text, 'openssl')
  },
)

t.test(
  'the delivery page verifies over the id that Svix would send, also before it is sent',
  async (t) => {
    const { tenant, id, endpoint } = await deliver({ shape: 'svix' })
    const held = await request('POST', `/api/tenants/${tenant.key}/endpoints/${endpoint.id}/pause`)
    t.equal(held.status, 200)
    const { rows } = await pool.query<{ id: string; event_id: string }>(
      `with published as (select postrider.publish($1, 'a', '1') as id) select id as event_id from published`,
      [tenant.key],
    )
    const console = await createTestConsole(pool)
    const cookie = await console.signedIn()
    for (const event of [id, rows[0]?.event_id ?? '']) {
      const { rows: deliveries } = await pool.query<{ id: string }>(
        'select id from postrider.delivery where event_id = $1',
        [event],
      )
      const { text } = await console.get(`/console/deliveries/${deliveries[0]?.id}`, { cookie })
      t.match(text, `${messageIdOf(event)}.`)
      t.notMatch(text, `'${event}.`)
    }
  },
)

t.test('what is forwarded keeps the id and both families of headers, signed again', async (t) => {
  const { arrived, id, endpoint } = await deliver({ shape: 'svix' })
  const forwardTo = async (secret?: string) => {
    const path = `/forwarded-${secret ? 'signed' : 'as-it-was'}`
    const followed = {
      attempt: { requestHeaders: arrived.headers, batchId: null },
      delivery: { eventId: id },
      request: { body: arrived.body },
    } as unknown as FollowedAttempt
    const signal = new AbortController().signal
    t.match(
      await forward(receiver.url + path, followed, {
        signing: secret === undefined ? null : { secret, signatureHeaders: {} },
        signal,
      }),
      { error: null },
    )
    return receiver.requests.find((one) => one.path === path) as ReceivedRequest
  }
  const plain = await forwardTo()
  t.equal(plain.headers['svix-signature'], arrived.headers['svix-signature'])
  const signed = await forwardTo(OTHER_SECRET)
  assertSvix(t, signed, id)
  const headers = signed.headers as Record<string, string>
  t.ok(new Webhook(OTHER_SECRET).verify(signed.body, headers))
  t.throws(() => new Webhook(endpoint.secret).verify(signed.body, headers))
})

t.test('what does not go together is refused, and names the field', async (t) => {
  const tenant = await createTenant(pool)
  const endpoints = `/api/tenants/${tenant.key}/endpoints`
  const url = receiver.url
  const refused = async (body: object, field: string) =>
    t.match(await request('POST', endpoints, { body: { url, ...body } }), {
      status: 422,
      json: { errors: [{ field }] },
    })
  await refused({ shape: 'fields' }, 'shapeFields')
  await refused({ shape: 'xml' }, 'shape')
  await refused({ shape: 'raw', batch: { maxEvents: 2 } }, 'batch')
  await refused({ signatureHeaders: { 'X-Id': '{id}' }, batch: { maxEvents: 2 } }, 'batch')
  await refused({ webhookSignature: 'omit' }, 'webhookSignature')
  await refused({ signatureHeaders: { 'X-Sig': '{md5}' } }, 'signatureHeaders.X-Sig')
  const open = { 'X-Sig': 'sha256={hmac_hex over {body}' }
  await refused({ signatureHeaders: open, webhookSignature: 'omit' }, 'signatureHeaders.X-Sig')
  const unsigned = { 'X-Id': '{id}' }
  await refused({ signatureHeaders: unsigned, webhookSignature: 'omit' }, 'webhookSignature')
  await refused({ signatureHeaders: { Host: '{id}' } }, 'signatureHeaders.Host')
  const deep = `$${'.a'.repeat(11)}`
  for (const path of ['id', '$', '$..a', '$.a[*]', '$.a ? (@ > 1)', `$.${'a'.repeat(200)}`, deep]) {
    await refused({ shape: 'fields', shapeFields: [path] }, 'shapeFields[0]')
  }
  await refused({ shapeFields: [] }, 'shapeFields')
  await refused({ shapeFields: Array.from({ length: 51 }, (_, n) => `$.a${n}`) }, 'shapeFields')
  await refused({ shapeTemplate: 'x'.repeat(2001) }, 'shapeTemplate')
  const made = await request('POST', endpoints, { body: { url } })
  const withoutUrl = createTestApi(pool)
  const thin = { status: 422, json: { errors: [{ field: 'shape', message: /PUBLIC_URL/ }] } }
  const path = `${endpoints}/${made.json.id}`
  t.match(await withoutUrl.request('POST', endpoints, { body: { url, shape: 'thin' } }), thin)
  t.match(await withoutUrl.request('PATCH', path, { body: { shape: 'thin' } }), thin)
  const change = await request('PATCH', `${endpoints}/${made.json.id}`, {
    body: { shape: 'fields' },
  })
  t.match(change, { status: 422, json: { errors: [{ field: 'shapeFields' }] } })
  t.match(await request('GET', `${endpoints}/${made.json.id}`), { json: { shape: 'standard' } })
})

t.test('an ed25519 secret and headers that it cannot sign do not meet', async (t) => {
  const tenant = await createTenant(pool)
  const endpoints = `/api/tenants/${tenant.key}/endpoints`
  const url = receiver.url
  const signatureHeaders = { 'X-Sig': '[v1={hmac_hex} ] over {body}' }
  const key = generateSecret('ed25519')
  const refusal = (field: string) => ({
    status: 422,
    json: { errors: [{ field, message: /hmac/ }] },
  })
  const create = (body: object) => request('POST', endpoints, { body: { url, ...body } })
  for (const one of [{ secretKind: 'ed25519' }, { secret: key }]) {
    t.match(await create({ ...one, signatureHeaders }), refusal('signatureHeaders'))
    t.match(await create({ ...one, signatureHeaders: { 'X-Id': '{id}' } }), { status: 201 })
  }

  const signing = `${endpoints}/${(await create({ signatureHeaders })).json.id}`
  const rotate = (path: string, body: object) => request('POST', `${path}/secret/rotate`, { body })
  t.match(await rotate(signing, { kind: 'ed25519' }), refusal('kind'))
  t.match(await rotate(signing, { secret: key }), refusal('secret'))
  t.equal((await request('GET', `${signing}/secret`)).json.expiring.length, 0)
  t.match(await rotate(signing, {}), { status: 200 })

  const keyed = `${endpoints}/${(await create({ secretKind: 'ed25519' })).json.id}`
  const change = (body: object) => request('PATCH', keyed, { body })
  t.match(await change({ signatureHeaders }), refusal('signatureHeaders'))
  t.match(await change({ signatureHeaders: {}, purpose: 'a' }), { status: 200 })
  t.match(await request('GET', keyed), { json: { signatureHeaders: {} } })
  t.match(await rotate(keyed, { kind: 'hmac' }), { status: 200 })
  t.match(await change({ signatureHeaders }), { status: 200 })
})
