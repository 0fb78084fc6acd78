import t from 'tap'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool, { svixApi: true })
const APP = /^app_[0-9A-Za-z]{27}$/

const create = (body: object, query = '') => request('POST', `/api/v1/app${query}`, { body })
const keyOf = async (uid: string) => {
  const found = await pool.query('select key from postrider.tenant where uid = $1', [uid])
  return found.rows[0]?.key
}

t.test('an application is made, found by id and uid, replaced, changed and deleted', async (t) => {
  const made = await create({ name: 'Acme', uid: 'acme', metadata: { plan: 'gold' }, unknown: 1 })
  t.match(made, {
    status: 201,
    json: { id: APP, uid: 'acme', name: 'Acme', metadata: { plan: 'gold' }, throttleRate: null },
  })
  t.equal(await keyOf('acme'), 'acme', 'SQL publishes for it by its uid')
  const { id } = made.json
  for (const named of [id, 'acme', 'acme/']) {
    t.strictSame((await request('GET', `/api/v1/app/${named}`)).json, made.json, named)
  }

  const put = await request('PUT', '/api/v1/app/acme', { body: { name: 'New' } })
  t.match(put, { status: 200, json: { id, name: 'New', metadata: {} } })
  t.notHas(put.json, 'uid')
  t.match(await request('GET', '/api/v1/app/acme'), { json: { id } }, 'it is still its key')

  const patched = await request('PATCH', `/api/v1/app/${id}`, { body: { uid: 'b' } })
  t.match(patched, { status: 200, json: { id, uid: 'b', name: 'New' } })
  t.equal((await request('GET', '/api/v1/app/acme')).status, 404)
  t.ok(Date.parse(patched.json.updatedAt) > Date.parse(made.json.updatedAt))
  const kept = await request('PATCH', '/api/v1/app/b', { body: { metadata: { a: 'b' } } })
  t.match(kept, { json: { uid: 'b', metadata: { a: 'b' } } })
  const freed = await request('PATCH', '/api/v1/app/b', { body: { uid: null } })
  t.notHas(freed.json, 'uid')

  const removed = await request('DELETE', `/api/v1/app/${id}`)
  t.match(removed, { status: 204, text: '' })
  t.equal((await request('GET', `/api/v1/app/${id}`)).status, 404)
  t.equal((await request('DELETE', `/api/v1/app/${id}`)).status, 404)
})

t.test('a uid is taken once, and free as soon as its application is deleted', async (t) => {
  const one = await create({ name: 'One', uid: 'one' })
  const again = await create({ name: 'Again', uid: 'one' })
  t.match(again, { status: 409, json: { code: 'conflict', detail: String } })
  const other = await create({ name: 'Other' })
  t.equal(
    (await request('PUT', `/api/v1/app/${other.json.id}`, { body: { name: 'a', uid: 'one' } }))
      .status,
    409,
  )
  t.equal(
    (await request('PATCH', `/api/v1/app/${other.json.id}`, { body: { uid: 'one' } })).status,
    409,
  )
  t.match(await create({ name: 'Again', uid: 'one' }, '?get_if_exists=true'), {
    status: 200,
    json: { id: one.json.id, name: 'One' },
  })
  await request('DELETE', '/api/v1/app/one')
  const next = await create({ name: 'Next', uid: 'one' })
  t.equal(next.status, 201)
  t.equal(await keyOf('one'), next.json.id, 'its key is still that of the one that is deleted')
})

t.test('of several who get or create the same at once, all get the same', async (t) => {
  const made = await Promise.all(
    Array.from({ length: 5 }, () => create({ name: 'a', uid: 'many' }, '?get_if_exists=true')),
  )
  t.strictSame(new Set(made.map(({ json }) => json.id)).size, 1)
  t.strictSame(made.map(({ status }) => status).sort(), [200, 200, 200, 200, 201])
})

t.test('who loses the race to make one is told that it was there', async (t) => {
  const { svixApplications } = createTestApi(pool).services
  const won = svixApplications.create
  const racing = createTestApi(pool, {
    svixApi: true,
    svixApplications: {
      ...svixApplications,
      async create(values) {
        await won({ name: 'Winner', uid: 'raced' })
        return await svixApplications.create(values)
      },
    },
  })
  const body = { name: 'Loser', uid: 'raced' }
  const answer = await racing.request('POST', '/api/v1/app?get_if_exists=true', { body })
  t.match(answer, { status: 200, json: { name: 'Winner', uid: 'raced' } })
})

t.test(
  'a tenant of the other API is an application, and gets its uid when it is asked for',
  async (t) => {
    await request('PUT', '/api/tenants/globex', { body: { name: 'Globex' } })
    const found = await request('GET', '/api/v1/app/globex')
    t.match(found, { status: 200, json: { name: 'Globex' } })
    t.notHas(found.json, 'uid')
    t.match(await create({ name: 'a', uid: 'globex' }), { status: 409, json: { code: 'conflict' } })
    const { json: other } = await create({ name: 'Other' })
    for (const [method, body] of [
      ['PUT', { name: 'a', uid: 'globex' }],
      ['PATCH', { uid: 'globex' }],
    ] as const) {
      t.equal((await request(method, `/api/v1/app/${other.id}`, { body })).status, 409, method)
    }
    const got = await create({ name: 'a', uid: 'globex' }, '?get_if_exists=true')
    t.match(got, { status: 200, json: { uid: 'globex', name: 'Globex' } })
    t.match(await request('GET', '/api/v1/app/globex'), { status: 200, json: { id: got.json.id } })
    await request('PATCH', '/api/v1/app/globex', { body: { name: 'Renamed' } })
    t.match(await request('GET', '/api/tenants/globex'), { json: { name: 'Renamed' } })
  },
)

t.test('what is not there is made by PUT, with a new id', async (t) => {
  const made = await request('PUT', '/api/v1/app/nowhere', {
    body: { name: 'a', uid: 'somewhere' },
  })
  t.match(made, { status: 201, json: { id: APP, uid: 'somewhere' } })
  t.equal((await request('GET', '/api/v1/app/nowhere')).status, 404)
})

t.test('the id that Svix gave goes on naming it, and is the one that is shown', async (t) => {
  const { json } = await create({ name: 'Imported' })
  const given = 'app_1srOrx2ZWZBpBUvZwXKQmoEYga2'
  await pool.query('update postrider.tenant set svix_id = $1 where key = $2', [given, json.id])
  t.match(await request('GET', `/api/v1/app/${given}`), { status: 200, json: { id: given } })
  t.match(await request('GET', `/api/v1/app/${json.id}`), { status: 200, json: { id: given } })
})

t.test('fields that are wrong are named', async (t) => {
  const wrong: [object, (string | number)[]][] = [
    [{}, ['body', 'name']],
    [{ name: '' }, ['body', 'name']],
    [{ name: 'a\u0007' }, ['body', 'name']],
    [{ name: 'a\0' }, ['body', 'name']],
    [{ name: 1 }, ['body', 'name']],
    [{ name: 'a', uid: '' }, ['body', 'uid']],
    [{ name: 'a', uid: 'a b' }, ['body', 'uid']],
    [{ name: 'a', uid: 'a'.repeat(257) }, ['body', 'uid']],
    [{ name: 'a', uid: 'app_a' }, ['body', 'uid']],
    [{ name: 'a', metadata: { a: 1 } }, ['body', 'metadata', 'a']],
    [{ name: 'a', metadata: { a: 'b'.repeat(4089) } }, ['body', 'metadata']],
    [{ name: 'a', throttleRate: 5 }, ['body', 'throttleRate']],
    [{ name: 'a', rateLimit: 5 }, ['body', 'rateLimit']],
  ]
  for (const [body, loc] of wrong) {
    const answer = await create(body)
    const { detail } = answer.json
    t.match(
      { status: answer.status, loc: detail[0]?.loc },
      { status: 422, loc },
      JSON.stringify(body).slice(0, 60),
    )
    t.match(detail, [{ msg: String, type: String }])
  }
  t.equal((await create({ name: 'a', uid: 'a'.repeat(256) })).status, 201)
  t.equal((await create({ name: 'a', metadata: { a: 'b'.repeat(4088) } })).status, 201)
  t.match(await create({ name: 'a', uid: null, metadata: null, rateLimit: null }), {
    status: 201,
    json: { metadata: {} },
  })
  t.equal((await request('PATCH', '/api/v1/app/many', { body: { name: null } })).status, 422)
})

t.test('lists lead both ways, oldest first', async (t) => {
  const { json: all } = await request('GET', '/api/v1/app?limit=250')
  t.match(all, { done: true, prevIterator: /^-app_/, iterator: APP })
  const ids = all.data.map(({ id }: { id: string }) => id)
  const first = (await request('GET', '/api/v1/app?limit=2')).json
  t.strictSame(first.data, all.data.slice(0, 2))
  t.match(first, { done: false, prevIterator: `-${ids[0]}`, iterator: ids[1] })
  const second = (await request('GET', `/api/v1/app?limit=2&iterator=${first.iterator}`)).json
  t.strictSame(second.data, all.data.slice(2, 4))
  const back = (await request('GET', `/api/v1/app?limit=2&iterator=${second.prevIterator}`)).json
  t.strictSame(back.data, first.data)
  const newest = (await request('GET', '/api/v1/app?limit=1&order=descending')).json
  t.strictSame(newest.data, all.data.slice(-1))
  const behind = (await request('GET', `/api/v1/app?iterator=${all.iterator}`)).json
  t.strictSame(behind, { data: [], iterator: null, done: true })
  for (const query of ['limit=0', 'limit=a', 'iterator=app_no', 'order=up']) {
    t.equal((await request('GET', `/api/v1/app?${query}`)).status, 422, query)
  }
  t.equal((await request('GET', '/api/v1/app?limit=9999')).status, 200)
})

t.test('a key of one tenant sees its own application and no other', async (t) => {
  const own = await create({ name: 'Own', uid: 'own' })
  const other = await create({ name: 'Other', uid: 'other' })
  const body = { name: 'a', scopes: ['read', 'manage'], tenant: 'own' }
  const { key } = (await request('POST', '/api/keys', { body })).json
  t.match(await request('GET', '/api/v1/app/own', { key }), { status: 200, json: own.json })
  for (const named of ['other', other.json.id]) {
    t.match(await request('GET', `/api/v1/app/${named}`, { key }), { status: 404 })
  }
  const refused = [
    ['GET', '/api/v1/app', undefined],
    ['POST', '/api/v1/app', { name: 'a' }],
    ['PUT', '/api/v1/app/own', { name: 'a' }],
    ['PATCH', '/api/v1/app/own', { name: 'a' }],
    ['DELETE', '/api/v1/app/own', undefined],
  ] as const
  for (const [method, path, sent] of refused) {
    const answer = await request(method, path, { key, ...(sent && { body: sent }) })
    t.match(answer, { status: 403, json: { code: String, detail: String } }, `${method} ${path}`)
  }
})

t.test('the tenant of the service itself is no application', async (t) => {
  await pool.query(
    `insert into postrider.tenant (key, name, uid) values ('postrider:test', 'a', 'reserved')`,
  )
  await pool.query(`insert into postrider.tenant (key, name) values ('postrider:unnamed', 'a')`)
  for (const named of ['reserved', 'postrider:unnamed']) {
    t.equal((await request('GET', `/api/v1/app/${named}`)).status, 404, named)
  }
  const { data } = (await request('GET', '/api/v1/app?limit=250')).json
  t.notOk(data.some(({ uid }: { uid?: string }) => uid === 'reserved'))
})
