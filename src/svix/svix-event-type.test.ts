import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool, { svixApi: true })
const PATH = '/api/v1/event-type'

t.test('an event type is made once, archived, and taken back into use', async (t) => {
  const body = {
    name: 'user.signup',
    description: 'a',
    schemas: { 1: { type: 'object' } },
    groupName: 'user',
  }
  const made = await request('POST', PATH, { body })
  t.match(made, {
    status: 201,
    json: { ...body, archived: false, deprecated: false, featureFlag: null },
  })
  t.match(await request('POST', PATH, { body }), {
    status: 409,
    json: { code: 'event_type_exists' },
  })

  t.equal((await request('DELETE', `${PATH}/user.signup`)).status, 204)
  t.match(await request('GET', `${PATH}/user.signup`), { status: 200, json: { archived: true } })
  t.strictSame((await request('GET', PATH)).json, { data: [], iterator: null, done: true })
  t.match(await request('GET', `${PATH}?include_archived=true`), {
    json: { data: [{ schemas: null }] },
  })
  t.match(await request('GET', '/api/event-types/user.signup'), { json: { archivedAt: String } })

  const again = await request('POST', PATH, { body: { name: 'user.signup', description: 'b' } })
  t.match(again, { status: 201, json: { archived: false, description: 'b', schemas: null } })
  t.equal((await request('DELETE', `${PATH}/user.signup?expunge=true`)).status, 204)
  t.equal((await request('GET', `${PATH}/user.signup`)).status, 404)
  for (const query of ['', '?expunge=true']) {
    t.equal((await request('DELETE', `${PATH}/user.signup${query}`)).status, 404, query)
  }
})

t.test('PUT replaces all of it or creates, PATCH changes what is given', async (t) => {
  const schemas = { 1: { type: 'object' }, 2: true }
  const put = (body: object) => request('PUT', `${PATH}/a.b`, { body })
  t.match(await put({ description: 'a', schemas, deprecated: true }), {
    status: 201,
    json: { schemas, deprecated: true },
  })
  t.match(await put({ description: 'b' }), {
    status: 200,
    json: { schemas: null, deprecated: false },
  })
  const patch = (body: object) => request('PATCH', `${PATH}/a.b`, { body })
  t.match(await patch({ schemas }), { status: 200, json: { description: 'b', schemas } })
  t.match(await patch({ archived: true }), { json: { archived: true, schemas } })
  t.match(await patch({ schemas: null, archived: false }), {
    json: { archived: false, schemas: null },
  })
  t.equal((await request('PATCH', `${PATH}/no`, { body: {} })).status, 404)
})

t.test('one of the other API is there with its schema', async (t) => {
  const schema = { type: 'object' }
  await request('PUT', '/api/event-types/theirs', { body: { schema, description: 'x' } })
  t.match(await request('GET', `${PATH}/theirs`), {
    json: { description: 'x', schemas: { 1: schema } },
  })
})

t.test('what Postrider cannot keep or would show to everyone is refused by name', async (t) => {
  const wrong: [object, string][] = [
    [{ description: 'a' }, 'name'],
    [{ name: 'a' }, 'description'],
    [{ name: 'a..b', description: '' }, 'name'],
    [{ name: 'a b', description: '' }, 'name'],
    [{ name: 'a'.repeat(129), description: '' }, 'name'],
    [{ name: 'a', description: 'a'.repeat(1001) }, 'description'],
    [{ name: 'a', description: '', featureFlag: 'beta' }, 'featureFlag'],
    [{ name: 'a', description: '', featureFlags: ['beta'] }, 'featureFlags'],
    [{ name: 'a', description: '', schemas: [] }, 'schemas'],
  ]
  for (const [body, field] of wrong) {
    const { status, json } = await request('POST', PATH, { body })
    t.match(
      { status, detail: json.detail },
      { status: 422, detail: [{ loc: ['body', field] }] },
      field,
    )
  }
})

t.test('lists are sorted by name and lead both ways', async (t) => {
  for (const name of ['l1', 'l2', 'l3', 'l4']) {
    await request('PUT', `${PATH}/${name}`, { body: { description: name } })
  }
  const page = async (query: string) => (await request('GET', `${PATH}?limit=2&${query}`)).json
  const names = ({ data }: { data: { name: string }[] }) => data.map(({ name }) => name)
  const first = await page('iterator=l')
  t.strictSame(names(first), ['l1', 'l2'])
  t.match(first, { iterator: 'l2', prevIterator: '-l1', done: false })
  t.strictSame(names(await page('iterator=l2')), ['l3', 'l4'])
  t.strictSame(names(await page('iterator=-l3')), ['l1', 'l2'])
  t.strictSame(names(await page('iterator=l3&order=descending')), ['l2', 'l1'])

  const dashed = ['-1', '-2', '-3', '-4', '-5', '-6']
  for (const name of dashed) {
    await request('PUT', `${PATH}/${name}`, { body: { description: name } })
  }
  const all = names((await request('GET', PATH)).json)
  const [head, next] = [await page(''), await page(`iterator=${(await page('')).iterator}`)]
  t.strictSame([...names(head), ...names(next)], all.slice(0, 4))
  t.strictSame(all.slice(0, 6), dashed)
  t.strictSame(names(await page(`iterator=${next.prevIterator}`)), names(head))
  t.match((await page('with_content=true')).data, [{ schemas: null }, {}])
})

t.test('keys of one tenant read them, and change none', async (t) => {
  await request('POST', '/api/v1/app', { body: { name: 'a', uid: 'acme' } })
  const body = { name: 'a', scopes: ['read', 'manage'], tenant: 'acme' }
  const { key } = (await request('POST', '/api/keys', { body })).json
  t.equal((await request('GET', PATH, { key })).status, 200)
  const made = await request('POST', PATH, { key, body: { name: 'x', description: '' } })
  t.match(made, { status: 403, json: { code: 'key_of_one_tenant' } })
})
