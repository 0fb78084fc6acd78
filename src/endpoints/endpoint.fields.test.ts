import { Command } from 'commander'
import t from 'tap'
import { bodyOfForm, formValuesOf } from '../console/form-values.ts'
import type { Fields } from '../fields.ts'
import { optionsOf, valuesOf, withFields } from '../terminal/option-fields.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { endpointFields } from './endpoint.fields.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)
const tenant = await createTenant(pool)
const ENDPOINTS = `/api/tenants/${tenant.key}/endpoints`
const URL_OF_TEST = 'https://example.com/webhooks'

t.test('a purpose is kept, shown, changed and taken away', async (t) => {
  const none = await request('POST', ENDPOINTS, { body: { url: URL_OF_TEST } })
  t.equal(none.json.purpose, null, 'not said')
  const path = `${ENDPOINTS}/${none.json.id}`
  for (const purpose of ['Ledger', 'é'.repeat(200), '', null]) {
    t.match(await request('PATCH', path, { body: { purpose } }), {
      status: 200,
      json: { purpose },
    })
    t.match(await request('GET', path), { json: { purpose } })
    const { rows } = await pool.query('select purpose from postrider.endpoint where id = $1', [
      none.json.id,
    ])
    t.strictSame(rows, [{ purpose }])
  }
  const tooLong = await request('PATCH', path, { body: { purpose: 'é'.repeat(201) } })
  t.match(tooLong, { status: 422, json: { errors: [{ field: 'purpose' }] } })
})

t.test('the time for which only the newest is waited for has its bounds', async (t) => {
  const { json } = await request('POST', ENDPOINTS, { body: { url: URL_OF_TEST } })
  t.equal(json.collapse, null, 'every event is sent')
  const change = (collapse: unknown) =>
    request('PATCH', `${ENDPOINTS}/${json.id}`, { body: { collapse } })
  for (const collapse of [{ waitMs: 0 }, { waitMs: 86_400_000 }, null]) {
    t.match(await change(collapse), { status: 200, json: { collapse } })
  }
  for (const waitMs of [-1, 0.5, 86_400_001, '5', null]) {
    const field = 'collapse.waitMs'
    t.match(await change({ waitMs }), { status: 422, json: { errors: [{ field }] } })
  }
  for (const collapse of [{}, { waitMs: 1, maxMs: 2 }, 5, [], true]) {
    t.equal((await change(collapse)).status, 422, JSON.stringify(collapse))
  }
})

/** As the API takes it, and as the command line does; a field that is not here is given its example, as it is. */
const SAMPLES: Record<string, [value: unknown, text: string]> = {
  eventTypes: [['invoice.paid', 'order.*'], 'invoice.paid, order.*'],
  channels: [['project-1', 'a.b'], 'project-1,a.b'],
  headers: [{ 'X-Team': 'ledger: a' }, 'X-Team: ledger: a'],
  secretHeaders: [['X-Team', 'X-Key'], 'X-Team,X-Key'],
  ratePerSecond: [0.5, '0.5'],
  maxInFlight: [3, '3'],
  timeoutSeconds: [20, '20'],
  retrySchedule: [[5, 10], '5,10'],
  ordering: ['key', 'key'],
  onFailure: ['skip', 'skip'],
  collapse: [{ waitMs: 5000 }, '5000'],
  batch: [{ maxWaitMs: 500 }, 'maxWaitMs=500'],
  shape: ['fields', 'fields'],
  shapeFields: [['$.id', '$.customer.name'], '$.id,$.customer.name'],
  signatureHeaders: [{ 'X-Sig': '{hmac_hex} over {body}' }, 'X-Sig: {hmac_hex} over {body}'],
  webhookSignature: ['omit', 'omit'],
  metadata: [{ team: 'a=b' }, 'team=a=b'],
}
const GIVEN = Object.entries(endpointFields as Fields).flatMap(([name, { input, example }]) =>
  input ? [[name, SAMPLES[name] ?? [example, String(example)]] as const] : [],
)
/** What an empty field of the form means, where that is not null. */
const EMPTY = {
  ...{ url: '', description: '', eventTypes: ['*'], headers: {}, secretHeaders: [] },
  ...{ ordering: 'none', onFailure: 'block', shape: 'standard' },
  ...{ signatureHeaders: {}, webhookSignature: 'send' },
}

t.test('a form gives back what it was given, and empty fields take away', async (t) => {
  const given = Object.fromEntries(GIVEN.map(([name, [value]]) => [name, value]))
  const { metadata: _, ...asked } = given
  t.strictSame(bodyOfForm(endpointFields, formValuesOf(endpointFields, given)), asked)
  const nothing = Object.fromEntries(Object.keys(asked).map((name) => [name, null]))
  t.strictSame(bodyOfForm(endpointFields, {}), { ...nothing, ...EMPTY })
  t.match(bodyOfForm(endpointFields, { maxInFlight: 'x', retrySchedule: '5, x' }), {
    maxInFlight: 'x',
    retrySchedule: [5, 'x'],
  })
})

t.test('each field that may be set has an option, and one that takes it away', async (t) => {
  const parsed = (isChange: boolean, args: string[]) => {
    const command = withFields(new Command(), optionsOf(endpointFields, { isChange }))
    return valuesOf(command.parse(args, { from: 'user' }))
  }
  for (const [name, [value, text]] of GIVEN) {
    const { option } = (endpointFields as Fields)[name] ?? {}
    const words = option?.name ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    t.strictSame(parsed(true, [`--${words}`, text]), { [name]: value })
    if (!option?.off) continue
    const [taken] = Object.values(parsed(true, [`--no-${words}`])) as [unknown]
    const emptied = await request('POST', ENDPOINTS, {
      body: { url: URL_OF_TEST, [name]: taken },
    })
    t.equal(emptied.status, 201, `--no-${words}`)
  }
})

t.test('batches are bounded, changed as a whole, and taken away', async (t) => {
  const first = { maxEvents: 10, maxWaitMs: 0, maxBytes: 1 }
  const { json } = await request('POST', ENDPOINTS, { body: { url: URL_OF_TEST, batch: first } })
  t.strictSame(json.batch, first)
  const path = `${ENDPOINTS}/${json.id}`
  for (const [batch, shown] of [
    [{}, { maxEvents: 100, maxWaitMs: 1000, maxBytes: 1_048_576 }],
    [{ maxEvents: 1000, maxWaitMs: 3_600_000, maxBytes: 8_388_608 }, null],
    [{ maxEvents: 1 }, { maxEvents: 1, maxWaitMs: 1000, maxBytes: 1_048_576 }],
  ]) {
    const changed = await request('PATCH', path, { body: { batch } })
    t.strictSame(changed.json.batch, shown ?? batch)
    t.strictSame((await request('GET', path)).json.batch, shown ?? batch)
  }
  for (const [name, value] of [
    ...([0, 1001, 1.5, '5'] as const).map((value) => ['maxEvents', value] as const),
    ...([-1, 3_600_001] as const).map((value) => ['maxWaitMs', value] as const),
    ...([0, 8_388_609] as const).map((value) => ['maxBytes', value] as const),
    ['other', 1] as const,
  ]) {
    const refused = await request('PATCH', path, { body: { batch: { [name]: value } } })
    t.match(refused, { status: 422 }, `${name} ${value}`)
    t.match(refused.json.errors[0].field, /^batch/)
  }
  const none = await request('PATCH', path, { body: { batch: null } })
  t.equal(none.json.batch, null)
  await t.rejects(
    pool.query(`update postrider.endpoint set batch_bounds = '{"maxEvents": 5}' where id = $1`, [
      json.id,
    ]),
    { code: '23514' },
    'the table has no half of them',
  )
})
