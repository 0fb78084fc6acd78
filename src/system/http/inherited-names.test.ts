import t from 'tap'
import { createTenant } from '../../testing/data/tenant.ts'
import { createTestApi } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'

/**
 * Issue 14, 17: `__proto__` as the name of a header or of metadata was dropped without a word. Every name that an
 * object has without being given it is kept as any other, or refused with its field.
 */
const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)
const tenant = await createTenant(pool)
const ENDPOINTS = `/api/tenants/${tenant.key}/endpoints`
const KEPT = [
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  'prototype',
]
/** Written in every way that JSON has. */
const PROTO = ['__proto__', '\\u005f_proto__', '__pr\\u006fto__']

const object = (name: string, value = '"x"') => `{"${name}":${value},"other":"y"}`
const create = (member: string, name: string) =>
  request('POST', ENDPOINTS, {
    body: `{"url":"https://example.com/","${member}":${object(name)}}`,
  })
const refused = (field: string) => ({
  status: 422,
  json: { code: 'request_invalid', errors: [{ field, message: /JavaScript/ }] },
})
t.test('headers and metadata keep names that objects inherit', async (t) => {
  for (const member of ['headers', 'metadata']) {
    for (const name of KEPT) {
      const { status, json } = await create(member, name)
      t.equal(status, 201, name)
      const shown = await request('GET', `${ENDPOINTS}/${json.id}`)
      t.same(
        new Map(Object.entries(shown.json[member])),
        new Map([
          [name, 'x'],
          ['other', 'y'],
        ]),
      )
      const body = `{"${member}":${object(name, '"z"')}}`
      const changed = await request('PATCH', `${ENDPOINTS}/${json.id}`, { body })
      t.equal(new Map(Object.entries(changed.json[member])).get(name), 'z')
    }
  }
})

t.test('__proto__ is refused with its field wherever settings are taken', async (t) => {
  const { json } = await request('POST', ENDPOINTS, { body: { url: 'https://example.com/' } })
  for (const name of PROTO) {
    for (const member of ['headers', 'metadata']) {
      t.match(await create(member, name), refused(`${member}.__proto__`), name)
      const body = `{"${member}":${object(name)}}`
      t.match(
        await request('PATCH', `${ENDPOINTS}/${json.id}`, { body }),
        refused(`${member}.__proto__`),
      )
    }
    const schema = `{"schema":{"allOf":[{"properties":${object(name, '{}')}}]}}`
    t.match(
      await request('PUT', '/api/event-types/a.b', { body: schema }),
      refused('schema.allOf[0].properties.__proto__'),
    )
    t.match(await request('PUT', `/api/tenants/${tenant.key}`, { body: object(name) }), {
      status: 422,
    })
  }
})

t.test('a member that is not known is refused, whatever it is called', async (t) => {
  for (const name of [...KEPT, ...PROTO]) {
    const field = JSON.parse(`"${name}"`)
    const event = `{"tenant":"${tenant.key}","type":"a.b","data":1,"${name}":1}`
    const unknown = (field: string) => ({ status: 422, json: { errors: [{ field }] } })
    t.match(await request('POST', '/api/events', { body: event }), unknown(field), name)
    t.match(
      await request('POST', '/api/events/batch', { body: `{"events":[${event}]}` }),
      unknown(`events[0].${field}`),
    )
    t.match(
      await request('POST', ENDPOINTS, { body: `{"url":"https://a.test","${name}":1}` }),
      unknown(field),
    )
    t.match(await request('GET', `/api/tenants?${encodeURIComponent(field)}=1`), unknown(field))
    t.match(await request('GET', `${ENDPOINTS}?limit=1&${field}=1`), unknown(field))
  }
})

t.test('data keeps every name, and is found, matched and tried by it', async (t) => {
  for (const name of [...KEPT, ...PROTO]) {
    const data = `{"${name}":{"a":"found it"},"other":1}`
    const body = `{"tenant":"${tenant.key}","type":"a.b","data":${data}}`
    const { status, json } = await request('POST', '/api/events', {
      body,
      headers: { 'idempotency-key': name },
    })
    t.equal(status, 202)
    const shown = await request('GET', `/api/tenants/${tenant.key}/events/${json.id}`)
    t.match(shown.text, `"data":${data}`)
    const again = await request('POST', '/api/events', {
      body,
      headers: { 'idempotency-key': name },
    })
    t.strictSame(again.json, { ...json, duplicate: true })
    const filter = JSON.stringify(`$."${JSON.parse(`"${name}"`)}".a == "found it"`)
    const match = await request('POST', `${ENDPOINTS}/match`, {
      body: `{"type":"a.b","data":${data},"filter":${filter}}`,
    })
    t.match(match.json, { matched: true }, name)
  }
  const { json } = await request('GET', `/api/tenants/${tenant.key}/events?search=found`)
  t.equal(json.data.length, KEPT.length + PROTO.length)
})

t.test('tenants, event types and keys may have such names', async (t) => {
  for (const name of KEPT.filter((name) => /^[a-z]/.test(name))) {
    t.equal((await request('PUT', `/api/tenants/${name}`, { body: {} })).status, 201, name)
    t.match((await request('GET', `/api/tenants/${name}`)).json, { key: name })
  }
  for (const name of [...KEPT, '__proto__']) {
    const schema = { type: 'object', required: ['a'] }
    t.equal((await request('PUT', `/api/event-types/${name}`, { body: { schema } })).status, 201)
    const event = (data: object) => ({ tenant: tenant.key, type: name, data })
    t.match(await request('POST', '/api/events', { body: event({}) }), { status: 422 })
    t.equal((await request('POST', '/api/events', { body: event({ a: 1 }) })).status, 202)
    t.match((await request('GET', `/api/event-types/${name}/example`)).json, { type: name })
    t.equal((await request('POST', '/api/keys', { body: { name, scopes: ['read'] } })).status, 201)
  }
})

t.test('nothing was added to what all objects have', async (t) => {
  t.strictSame(Object.keys(Object.prototype), [])
  t.equal(({} as Record<string, unknown>)['other'], undefined)
})
