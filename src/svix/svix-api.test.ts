import { EventEmitter, once } from 'node:events'
import { Hono } from 'hono'
import t from 'tap'
import { FairSemaphore } from '../limits/fair-semaphore.ts'
import { ADMIN_KEY, createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type RepeatedAnswers, repeatAnswer } from './repeated-answers.ts'
import type { SvixEnv } from './svix-caller.ts'
import { answerSvixError } from './svix-error.ts'
import { uuidOf } from './svix-id.ts'

const { pool } = await createTestDatabase(t)
const headers = { authorization: `Bearer ${ADMIN_KEY}` }

t.test('nothing of it is there unless it is switched on', async (t) => {
  const { app } = createTestApi(pool)
  const answer = await app.request('/api/v1/health/ping')
  t.equal(answer.status, 404)
  t.match(await answer.json(), { code: 'route_not_found' })
})

t.test('refusals are JSON as SDKs read it', async (t) => {
  const { app } = createTestApi(pool, { svixApi: true })
  t.equal((await app.request('/api/v1/health/ping/')).status, 204)
  t.equal((await app.request('/api/v1/health')).status, 200)
  const unknown = await app.request('/api/v1/app/nope', { headers })
  t.equal(unknown.status, 404)
  t.strictSame(await unknown.json(), { code: 'not_found', detail: 'Entity not found' })
  const stranger = await app.request('/api/v1/app/nope')
  t.equal(stranger.status, 401)
  t.match(stranger.headers.get('www-authenticate'), /^Bearer/)
  t.match(await stranger.json(), { code: 'authentication_failed', detail: String })
})

const { app, request } = createTestApi(pool, { svixApi: true })
const post = (path: string, body: object, key: string, own: object = {}) =>
  request('POST', path, { body, headers: { 'idempotency-key': key }, ...own })

t.test(
  'a POST with the key of one that was answered gets the same answer, whatever its body',
  async (t) => {
    const first = await post('/api/v1/app', { name: 'a', uid: 'first' }, 'key')
    const again = await post('/api/v1/app', { name: 'b' }, 'key')
    t.strictSame([again.status, again.json], [201, first.json])
    t.strictSame((await post('/api/v1/app/', { name: 'b' }, 'key')).json, first.json, 'a slash')
    const elsewhere = await post('/api/v1/app?get_if_exists=true', { name: 'b', uid: 'x' }, 'key')
    t.not(elsewhere.json.id, first.json.id, 'another URL')
    const { key } = (
      await request('POST', '/api/keys', { body: { name: 'a', scopes: ['manage'] } })
    ).json
    const other = await post('/api/v1/app', { name: 'b' }, 'key', { key })
    t.not(other.json.id, first.json.id, 'another caller')
  },
)

t.test('a refusal is not kept: the next one with its key is answered for itself', async (t) => {
  t.equal((await post('/api/v1/app', { name: '' }, 'refused')).status, 422)
  t.equal((await post('/api/v1/app', { name: 'a' }, 'refused')).status, 201)
})

t.test('of many with one key at once, one is done, and all get its answer', async (t) => {
  const all = await Promise.all(
    Array.from({ length: 8 }, () => post('/api/v1/app', { name: 'once' }, 'at-once')),
  )
  for (const { status, json } of all) t.strictSame([status, json], [201, all[0]?.json])
  const made = await pool.query(`select from postrider.tenant where name = 'once'`)
  t.equal(made.rowCount, 1)
})

const { repeatedAnswers } = createTestApi(pool).services

t.test('a repeat that comes while the first one is at work gets its answer', async (t) => {
  const asked = new EventEmitter()
  const take: RepeatedAnswers['take'] = async (hash) => {
    const first = await repeatedAnswers.take(hash)
    if ('kept' in first) asked.emit('in vain')
    return first
  }
  const small = new Hono<SvixEnv>()
  small.use(repeatAnswer({ ...repeatedAnswers, take }))
  small.onError(answerSvixError)
  const sent = { method: 'POST', headers: { 'idempotency-key': 'at-work' } }
  let done = 0
  let repeat: ReturnType<typeof small.request> | undefined
  small.post('/work', async (c) => {
    done++
    const isAsked = once(asked, 'in vain')
    repeat = small.request('/work', sent)
    await isAsked
    return c.json({ done }, 201)
  })
  t.strictSame(await (await small.request('/work', sent)).json(), { done: 1 })
  const again = await repeat
  t.equal(again?.status, 201)
  t.strictSame(await again?.json(), { done: 1 })
})

t.test('a repeat waits for the first one as long as it may, and is then refused', async (t) => {
  const wait = { asks: 2, everyMs: 1 }
  let asked = 0
  const take: RepeatedAnswers['take'] = (hash) => {
    asked++
    return repeatedAnswers.take(hash)
  }
  const small = new Hono<SvixEnv>()
  small.use(repeatAnswer({ ...repeatedAnswers, take }, wait))
  small.post('/slow', async (c) => {
    const { status } = await small.request('/slow', repeat)
    return c.json({ status, asked })
  })
  small.onError(answerSvixError)
  const repeat = { method: 'POST', headers: { 'idempotency-key': 'slow' } }
  t.strictSame(await (await small.request('/slow', repeat)).json(), { status: 409, asked: 4 })
})

t.test('a key that has expired is not that of who had it before', async (t) => {
  const hash = Buffer.alloc(32, 1)
  const take = async () => {
    const first = await repeatedAnswers.take(hash)
    if ('kept' in first) throw new Error('it is taken')
    return first.taken
  }
  const before = await take()
  await pool.query(
    `update postrider.svix_answer set expires_at = now() - interval '1 second' where hash = $1`,
    [hash],
  )
  const now = await take()
  await repeatedAnswers.forget(before)
  await repeatedAnswers.keep(before, { status: 201, body: '"before"' })
  t.strictSame(await repeatedAnswers.take(hash), { kept: { status: null, body: null } })
  await repeatedAnswers.keep(now, { status: 201, body: '"now"' })
  t.match(await repeatedAnswers.take(hash), { kept: { status: 201 } })
})

t.test('what is done is not done again where its answer could not be kept', async (t) => {
  const keep = () => Promise.reject(new Error('the database is away'))
  const broken = createTestApi(pool, {
    svixApi: true,
    repeatedAnswers: { ...repeatedAnswers, keep },
  })
  const taken = async () =>
    (await pool.query('select from postrider.svix_answer where status is null')).rowCount ?? 0
  const before = await taken()
  const answer = await broken.app.request('/api/v1/app', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': 'unkept' },
    body: '{"name":"unkept"}',
  })
  t.equal(answer.status, 500)
  t.equal((await taken()) - before, 1, 'the key is still taken')
})

t.test('what reads a lot is counted for the tenant of its application', async (t) => {
  const workers: Parameters<FairSemaphore['acquire']>[0][] = []
  class Noting extends FairSemaphore {
    override acquire(worker: (typeof workers)[number]) {
      workers.push(worker)
      return super.acquire(worker)
    }
  }
  const bounds = { atOnce: 2, atOncePerKey: 2, waiting: 0, waitingPerKey: 0, waitMs: 1 }
  const bounded = createTestApi(pool, { svixApi: true, heavySemaphore: new Noting(bounds) })
  const { json } = await request('POST', '/api/v1/app', { body: { name: 'a' } })
  const path = `/api/v1/app/${json.id}/msg`
  t.equal((await bounded.request('GET', path)).status, 200)
  t.match(workers, [{ tenant: uuidOf('app', json.id) }])
})

t.test('an answer that is too old is given no more', async (t) => {
  const first = await post('/api/v1/app', { name: 'a' }, 'old')
  await pool.query(`update postrider.svix_answer set expires_at = now() - interval '1 second'`)
  t.not((await post('/api/v1/app', { name: 'a' }, 'old')).json.id, first.json.id)
})

t.test('a body that cannot be read is refused as JSON', async (t) => {
  t.match(await request('POST', '/api/v1/app', { body: '{' }), {
    status: 400,
    json: { code: 'json_invalid' },
  })
  const headers = { 'content-type': 'text/plain' }
  t.equal((await request('POST', '/api/v1/app', { body: 'a', headers })).status, 415)
  t.equal((await request('POST', '/api/v1/app')).status, 422)
  const large = { name: 'a', x: 'a'.repeat(140_000) }
  t.equal((await request('POST', '/api/v1/app', { body: large })).status, 413)
})

t.test(
  'what Svix has and Postrider has not is refused in words, and never tried again',
  async (t) => {
    const refused = [
      ['POST', '/app/a/integration'],
      ['GET', '/app/a/poller/b'],
      ['PATCH', '/app/a/endpoint/b/transformation'],
      ['POST', '/app/a/endpoint/b/bulk-replay'],
      ['POST', '/app/a/endpoint/b/replay-missing'],
      ['POST', '/app/a/msg/bulk-expunge'],
      ['POST', '/app/a/msg/expunge-all-contents'],
      ['GET', '/app/a/msg/precheck/active'],
      ['POST', '/auth/logout'],
      ['POST', '/auth/app/a/expire-all'],
      ['POST', '/auth/stream-portal-access/a'],
      ['GET', '/background-task'],
      ['GET', '/background-task/qtask_a'],
      ['POST', '/connector'],
      ['POST', '/environment/export'],
      ['POST', '/event-type/import/openapi'],
      ['GET', '/operational-webhook/endpoint/'],
      ['POST', '/stats/usage/app'],
      ['PUT', '/stats/usage/event-types'],
      ['GET', '/stream/a/sink'],
    ] as const
    for (const [method, path] of refused) {
      const answer = await request(method, `/api/v1${path}`)
      t.match(answer, { status: 400, json: { code: 'not_supported', detail: String } }, path)
    }
    const nothing = await request('GET', '/api/v1/nothing')
    t.match(nothing, { status: 404, json: { code: 'not_found' } })
  },
)

t.test('a fault of ours is 5xx with a body, and logged once', async (t) => {
  const list = () => Promise.reject(new Error('select secret'))
  const { svixApplications } = createTestApi(pool).services
  const broken = createTestApi(pool, {
    svixApi: true,
    svixApplications: { ...svixApplications, list },
  })
  const answer = await broken.app.request('/api/v1/app', { headers })
  t.equal(answer.status, 500)
  t.notMatch(await answer.text(), 'secret')
  t.equal(broken.logged.length, 1)
})

t.test(
  'its document has its own routes and nothing of the other API, and the other way round',
  async (t) => {
    const paths = async (path: string) => {
      const document = (await (await app.request(path)).json()) as { paths: object }
      return Object.keys(document.paths)
    }
    const [own, others] = [await paths('/api/v1/openapi.json'), await paths('/openapi.json')]
    t.ok(own.includes('/api/v1/app/{app_id}'))
    t.strictSame(
      own.filter((path) => !path.startsWith('/api/v1/')),
      [],
    )
    t.strictSame(
      others.filter((path) => path.startsWith('/api/v1/')),
      [],
    )
  },
)

t.test('what Postgres stores in no text is refused, and no fault of ours', async (t) => {
  const { app } = createTestApi(pool, { svixApi: true })
  const call = (method: string, path: string, body: unknown) =>
    app.request(path, {
      method,
      headers: { ...headers, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const made = await call('POST', '/api/v1/app', { name: 'a', uid: 'nul' })
  const ofApp = `/api/v1/app/${((await made.json()) as { id: string }).id}`
  const endpoint = { url: 'https://example.com/' }
  const deep = `${'['.repeat(8_000)}${']'.repeat(8_000)}`
  for (const [method, path, body, status] of [
    ['GET', '/api/v1/app/a%00', undefined, 404],
    ['POST', '/api/v1/app/a%00/msg', { eventType: 'a', payload: {} }, 404],
    ['GET', `${ofApp}/endpoint/%00`, undefined, 404],
    ['GET', `${ofApp}/msg?event_types=%00`, undefined, 422],
    ['GET', '/api/v1/event-type?iterator=%00', undefined, 422],
    ['POST', `${ofApp}/endpoint`, { ...endpoint, eventTypes: ['\0'] }, 422],
    ['POST', `${ofApp}/endpoint`, { ...endpoint, metadata: { a: '\0' } }, 422],
    ['POST', `${ofApp}/endpoint`, { ...endpoint, metadata: { a: '\ud800' } }, 422],
    [
      'POST',
      `${ofApp}/msg`,
      { eventType: 'a', payload: {}, transformationsParams: { rawPayload: deep } },
      422,
    ],
  ] as const) {
    const answer = await call(method, path, body)
    t.equal(answer.status, status, `${method} ${path} ${await answer.text()}`)
  }
})

t.test('a path of nothing but slashes is answered at once', async (t) => {
  const { app } = createTestApi(pool, { svixApi: true })
  const answer = await app.request(`/api/v1/${'/'.repeat(16_000)}x`, { headers })
  t.equal(answer.status, 404)
})
