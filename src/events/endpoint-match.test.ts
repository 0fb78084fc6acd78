import t from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request, apiKeys } = createTestApi(pool, { eventBytesMax: 2_048 })
const UNKNOWN_ID = '00000000-0000-7000-8000-000000000000'

async function bundle() {
  const tenant = await createTenant(pool)
  const path = `/api/tenants/${tenant.key}/endpoints`
  const match = (body: unknown, id = '', options = {}) =>
    request('POST', `${path}${id && `/${id}`}/match`, { body, ...options })
  return { tenant, path, match }
}

t.test('says before anything is saved whether an event would match, and why not', async (t) => {
  const { match } = await bundle()
  const sample = { type: 'order.paid', data: { amount: 100, currency: 'EUR' } }
  const matched = (patterns: string[], filterResult: boolean | null = true) => ({
    matched: true,
    reason: null,
    detail: null,
    patterns,
    filterResult,
  })
  t.strictSame((await match(sample)).json, matched(['*']))
  const eventTypes = ['order.*', 'x', 'order.paid', 'order.paid.*']
  t.strictSame((await match({ ...sample, eventTypes })).json, matched(['order.*', 'order.paid']))
  t.match((await match({ ...sample, eventTypes: ['invoice.*'] })).json, {
    matched: false,
    reason: 'type',
    detail: /event types/,
    patterns: [],
  })
  const filters: [string, boolean | null][] = [
    ['$.amount >= 100', true],
    ['$.amount > 100', false],
    ['$.missing == 1', false],
    ['!($.missing == 1)', true],
    ['$.currency > 1', null],
    ['$.currency > 1 || $.amount == 100', true],
    ['!($.currency > 1)', null],
  ]
  for (const [filter, filterResult] of filters) {
    const { json } = await match({ ...sample, filter })
    const isMatched = filterResult === true
    t.match(json, { matched: isMatched, filterResult, reason: isMatched ? null : 'filter' }, filter)
  }
})

t.test('says whether channels let an endpoint have an event', async (t) => {
  const { tenant, match } = await bundle()
  const { id } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a', channels: ['a', 'b'] })
  const all = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const sample = { type: 'order.paid', data: 1 }
  t.match((await match({ ...sample, channels: ['b', 'c'] }, id)).json, { matched: true })
  const unmatched = { matched: false, reason: 'channel', detail: /channels/ }
  for (const channels of [['c'], null, undefined]) {
    t.match((await match({ ...sample, channels }, id)).json, unmatched)
    t.match((await match({ ...sample, channels }, all.id)).json, { matched: true })
    t.match((await match({ ...sample, channels })).json, { matched: true })
  }
  t.match((await match({ ...sample, channels: [] }, id)).json, { errors: [{ field: 'channels' }] })
})

t.test('compares numbers as they were written', async (t) => {
  const { match } = await bundle()
  const filter = '$ == 12345678901234567891'
  const ask = (data: string) => match(`{"type":"a","filter":"${filter}","data": ${data} }`)
  t.match((await ask('12345678901234567891')).json, { matched: true })
  t.match((await ask('12345678901234567890')).json, { matched: false })
})

t.test('of an endpoint: as it is saved, or with one part replaced', async (t) => {
  const { tenant, match } = await bundle()
  const { id } = await tenant.addEndpoint({
    url: 'http://127.0.0.1/a',
    event_types: ['order.*'],
    filter: '$.amount > 100',
  })
  const sample = { type: 'order.paid', data: { amount: 5 } }
  t.match((await match(sample, id)).json, { reason: 'filter', patterns: ['order.*'] })
  t.match((await match({ ...sample, type: 'a' }, id)).json, { reason: 'type' })
  t.match((await match({ ...sample, filter: '$.amount > 1' }, id)).json, { matched: true })
  t.match((await match({ ...sample, filter: null }, id)).json, { matched: true })
  t.match((await match({ ...sample, filter: null, eventTypes: ['a'] }, id)).json, {
    reason: 'type',
  })
  await pool.query(`update postrider.endpoint set state = 'disabled' where id = $1`, [id])
  t.match((await match({ ...sample, filter: null }, id)).json, { reason: 'disabled' })
  t.match((await match({ ...sample }, id)).json, { reason: 'filter' })
})

t.test('both routes: 401, 403, 404, 413 and 422', async (t) => {
  const { tenant, match } = await bundle()
  const other = await bundle()
  const { id } = await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const publisher = await apiKeys.issue({ name: 'p', scopes: ['publish', 'manage'] })
  const tenantId = other.tenant.id as TenantId
  const foreign = await apiKeys.issue({ name: 'f', scopes: ['read'], tenantId })
  const sample = { type: 'a', data: 1 }
  for (const which of ['', id]) {
    t.equal((await match(sample, which, { key: null })).status, 401)
    t.equal((await match(sample, which, { key: publisher.key })).status, 403)
    t.match(await match(sample, which, { key: foreign.key }), {
      json: { code: 'tenant_not_found' },
    })
    const invalid = { type: 'a b', data: null, eventTypes: [], filter: '$.a', x: 1 }
    const { status, json } = await match(invalid, which)
    t.equal(status, 422)
    t.strictSame(json.errors.map(({ field }: { field: string }) => field).sort(), [
      'data',
      'eventTypes',
      'filter',
      'type',
      'x',
    ])
    t.match(await match(undefined, which), { status: 422 })
    t.match(await match('{', which), { status: 400 })
    t.match(await match({ type: 'a', data: '\0' }, which), {
      status: 422,
      json: { code: 'data_unsupported', errors: [{ field: 'data' }] },
    })
    t.match(await match({ ...sample, filter: '$ == 1e999999' }, which), {
      status: 422,
      json: { errors: [{ field: 'filter' }] },
    })
    t.match(await match({ type: 'a', data: 'x'.repeat(200_000) }, which), { status: 413 })
  }
  for (const unknown of [UNKNOWN_ID, 'x']) {
    t.match(await match(sample, unknown), { status: 404, json: { code: 'endpoint_not_found' } })
  }
  t.match(await other.match(sample, id), { status: 404 })
})
