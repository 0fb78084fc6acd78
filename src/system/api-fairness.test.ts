/**
 * What one key may have under way at once, and what a neighbour notices of it. Counted are the statements that are
 * with the database: a lock holds up all that read deliveries, for as long as the test looks.
 */
import pg from 'pg'
import t, { type Test } from 'tap'
import type { TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { addIncident } from '../testing/data/world.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startEverything } from '../testing/wiring/everything.ts'

const { pool, url: databaseUrl } = await createTestDatabase(t)

/** Two tenants, each with its own key, on a service whose requests wait for deliveries until `release`. */
async function bundle(t: Test, env: Record<string, string> = {}) {
  const service = await startEverything(t, databaseUrl, env)
  const { apiKeys } = service.api.services
  const newKey = async (
    tenant: { id: string },
    scopes: ('read' | 'manage' | 'publish')[] = ['read'],
  ) => (await apiKeys.issue({ name: 'a', scopes, tenantId: tenant.id as TenantId })).key
  const [acme, other] = [await createTenant(pool), await createTenant(pool)]
  const blocker = new pg.Client(databaseUrl)
  await blocker.connect()
  t.teardown(() => blocker.end())
  const ask = (path: string, key: string, body?: unknown) =>
    service.call(body === undefined ? 'GET' : 'POST', path, body, key)
  return {
    ...{ ...service, acme, other, newKey, ask },
    hold: () => blocker.query('begin; lock table postrider.delivery in access exclusive mode'),
    release: () => blocker.query('commit'),
    /** Sends so many requests, whose answers are not waited for. */
    flood: (count: number, path: string, key: string, body?: unknown) =>
      Array.from({ length: count }, () => ask(path, key, body)),
    /** Resolves once so many statements of these connections wait. */
    waiting: (count: number, name = 'postrider api') =>
      untilHolds(
        pool,
        `select count(*) = $1 as holds from pg_stat_activity
         where datname = current_database() and application_name = $2 and wait_event_type = 'Lock'`,
        [count, name],
      ),
  }
}

/** Of so many answers, those that came first. */
function firstStatuses(answers: Promise<Response>[], count: number): Promise<number[]> {
  const { promise, resolve, reject } = Promise.withResolvers<number[]>()
  const first: number[] = []
  const note = ({ status }: Response) => {
    if (first.push(status) === count) resolve([...first])
  }
  for (const answer of answers) answer.then(note, reject)
  return promise
}

/** Whether at least so many were served; on a slow machine others have waited for too long, and are told so. */
async function areServed(answers: Promise<Response>[], atLeast: number): Promise<boolean> {
  const statuses = await statusesOf(answers)
  const served = statuses.filter((status) => status === 200).length
  return served >= atLeast && statuses.every((status) => status === 200 || status === 429)
}

const statusesOf = async (answers: Promise<Response>[]) =>
  (await Promise.all(answers)).map(({ status }) => status)

t.test('heavy requests of one key leave room for everybody else', async (t) => {
  const { acme, other, newKey, ask, hold, release, flood, waiting } = await bundle(t)
  const [greedy, neighbour] = [await newKey(acme), await newKey(other)]
  const list = (tenant: { key: string }) => `/api/tenants/${tenant.key}/deliveries?state=failed`
  t.equal((await ask(`/api/tenants/${other.key}`, neighbour)).status, 200)
  await hold()
  const answers = flood(12, list(acme), greedy)
  await waiting(2)
  // Light ones go past, and by then nothing more has begun.
  for (let n = 1; n <= 20; n++) {
    t.equal((await ask(`/api/tenants/${other.key}`, neighbour)).status, 200)
  }
  await waiting(2)
  const own = ask(list(other), neighbour)
  await waiting(3)
  await release()
  t.ok(await areServed([own], 1))
  t.ok(await areServed(answers, 2), 'those that waited came after it')
})

t.test('several keys of one tenant have no more than it, and all together have half', async (t) => {
  const { acme, other, newKey, hold, release, flood, waiting, call } = await bundle(t)
  const path = `/api/tenants/${acme.key}/deliveries`
  const keys = [await newKey(acme), await newKey(acme), await newKey(acme)]
  await hold()
  const answers = keys.flatMap((key) => flood(3, path, key))
  await waiting(3)
  answers.push(...flood(4, `/api/tenants/${other.key}/deliveries`, await newKey(other)))
  await waiting(4)
  t.equal((await call('GET', '/ready')).status, 200)
  t.equal((await call('GET', '/api/tenants')).status, 200)
  await waiting(4)
  await release()
  t.ok(await areServed(answers, 4))
})

t.test('who waits for too long, or with too many, is told when to try again', async (t) => {
  const { acme, newKey, hold, release, flood, waiting } = await bundle(t)
  const key = await newKey(acme)
  await hold()
  const answers = flood(120, `/api/tenants/${acme.key}/deliveries`, key)
  await waiting(2)
  const refused = await Promise.any(answers)
  t.equal(refused.status, 429)
  t.equal(refused.headers.get('retry-after'), '1')
  t.match(await refused.json(), { code: 'too_many_at_once' })
  // All that may not begin are refused in time; two are under way.
  t.strictSame(new Set(await firstStatuses(answers, 118)), new Set([429]))
  await release()
  t.strictSame((await statusesOf(answers)).filter((status) => status === 200).length, 2)
})

t.test('every heavy route has its turn, and only those', async (t) => {
  const { acme, newKey, hold, release, flood, waiting, ask } = await bundle(t)
  const key = await newKey(acme, ['read', 'manage', 'publish'])
  const endpoint = await acme.addEndpoint({ url: 'http://127.0.0.1:1/' })
  const event = await acme.publish()
  const { rows } = await pool.query('select id from postrider.delivery where event_id = $1', [
    event,
  ])
  const incident = await addIncident(pool, acme.id, endpoint.id)
  const base = `/api/tenants/${acme.key}`
  const since = '2026-01-01T00:00:00Z'
  const heavy: [path: string, body?: object][] = [
    [`${base}/deliveries`],
    [`${base}/deliveries/${rows[0]?.id}`],
    [`${base}/events?state=failed`],
    [`${base}/events/${event}`],
    [`${base}/replays`, { since, preview: true }],
    [`${base}/deliveries/bulk`, { action: 'cancel', preview: true }],
    [`${base}/incidents`],
    [`${base}/incidents/${incident}`],
  ]
  for (const [path, body] of heavy) {
    await hold()
    const answers = flood(4, path, key, body)
    await waiting(2)
    t.equal((await ask(base, key)).status, 200)
    await waiting(2)
    await release()
    t.ok(await areServed(answers, 2), path)
  }
})

t.test('the limits are settings', async (t) => {
  const env = { HEAVY_REQUESTS_PER_KEY: '1', HEAVY_REQUESTS_PER_TENANT: '100' }
  const { acme, newKey, hold, release, flood, waiting } = await bundle(t, env)
  const path = `/api/tenants/${acme.key}/deliveries`
  await hold()
  const answers = flood(3, path, await newKey(acme))
  await waiting(1)
  answers.push(...flood(3, path, await newKey(acme)))
  await waiting(2)
  await release()
  t.ok(await areServed(answers, 2))

  const most = await bundle(t, { HEAVY_REQUESTS_PER_KEY: '100' })
  await most.hold()
  const greedy = most.flood(9, `/api/tenants/${most.acme.key}/deliveries`, most.adminKey)
  await most.waiting(3)
  await most.call('GET', '/api/tenants')
  await most.waiting(3)
  await most.release()
  t.ok(await areServed(greedy, 3), 'one place is left for others')
})

t.test('a key of the console and a link to the portal are keys like any other', async (t) => {
  const { url, acme, other, signIn, enter, hold, release, waiting } = await bundle(t)
  const show = (path: string, cookie: string) => fetch(url + path, { headers: { cookie } })
  const name = 'postrider api pages'
  const [first, second] = [await enter(acme.key), await enter(acme.key)]
  const neighbour = await enter(other.key)
  await hold()
  const pages = [first, first, second, second].map((cookie) => show('/portal/deliveries', cookie))
  await waiting(1, name)
  t.equal((await show('/portal/event-types', neighbour)).status, 200)
  await waiting(1, name)
  pages.push(show('/portal/deliveries', neighbour))
  await waiting(2, name)
  t.equal(
    (await show('/portal/event-types', neighbour)).status,
    200,
    'one is left for what is light',
  )
  await release()
  t.ok(await areServed(pages, 2))

  const cookie = await signIn()
  const endpoint = await acme.addEndpoint({ url: 'http://127.0.0.1:1/' })
  const incident = await addIncident(pool, acme.id, endpoint.id)
  for (const path of ['deliveries', 'incidents', `incidents/${incident}`]) {
    await hold()
    const operators = Array.from({ length: 3 }, () => show(`/console/${path}`, cookie))
    await waiting(1, name)
    t.equal((await show('/console/keys', cookie)).status, 200, path)
    await waiting(1, name)
    await release()
    t.ok(await areServed(operators, 1), path)
  }
})

t.test('what is asked by strangers is found out once for all of them', async (t) => {
  const { url, adminKey, acme, call, waiting } = await bundle(t)
  const blocker = new pg.Client(databaseUrl)
  await blocker.connect()
  t.teardown(() => blocker.end())
  await blocker.query('begin; lock table postrider.migration in access exclusive mode')
  const probes = Array.from({ length: 50 }, () => fetch(`${url}/ready`))
  await waiting(1)
  t.equal((await call('GET', `/api/tenants/${acme.key}`, undefined, adminKey)).status, 200)
  await waiting(1)
  await blocker.query('commit')
  t.strictSame(new Set(await statusesOf(probes)), new Set([200]))
})

t.test('no more replays run than may, of a tenant and of a key, also at once', async (t) => {
  const env = { REPLAYS_PER_TENANT: '3', REPLAYS_PER_KEY: '4' }
  const { acme, other, newKey, ask, call } = await bundle(t, env)
  const since = '2026-01-01T00:00:00Z'
  const start = (tenant: { key: string }, key: string) =>
    ask(`/api/tenants/${tenant.key}/replays`, key, { since })
  const keys = [await newKey(acme, ['manage']), await newKey(acme, ['manage'])]
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => start(acme, keys[n % 2] ?? '')),
  )
  const began = answers.filter(({ status }) => status === 201)
  t.equal(began.length, 3)
  const [refused] = answers.filter(({ status }) => status !== 201)
  t.equal(refused?.status, 429)
  t.equal(refused?.headers.get('retry-after'), '30')
  t.match(await refused?.json(), { code: 'too_many_replays', detail: /has 3 replays running/ })
  const preview = { since, preview: true }
  t.equal((await ask(`/api/tenants/${acme.key}/replays`, keys[0] ?? '', preview)).status, 200)

  const [first] = await Promise.all(began.map((answer) => answer.json() as Promise<{ id: string }>))
  await ask(`/api/tenants/${acme.key}/replays/${first?.id}/cancel`, keys[0] ?? '', {})
  t.equal((await start(acme, keys[0] ?? '')).status, 201, 'one that is over makes room')

  const third = await createTenant(pool)
  const ofAdmin = (tenant: { key: string }) =>
    call('POST', `/api/tenants/${tenant.key}/replays`, { since })
  const statuses = []
  for (const tenant of [other, other, third, third, third]) {
    statuses.push((await ofAdmin(tenant)).status)
  }
  t.strictSame(statuses, [201, 201, 201, 201, 429], 'four of one key, whichever the tenant')
  const { rows } = await pool.query(
    `select count(*)::int from postrider.start_replay($1, since => now() - interval '1 hour')`,
    [acme.key],
  )
  t.strictSame(rows, [{ count: 1 }], 'an operator in SQL is not held up')
})

t.test('batches of one key do not take all places', async (t) => {
  const { acme, other, newKey, ask, hold, release, flood } = await bundle(t)
  const [greedy, neighbour] = [await newKey(acme, ['publish']), await newKey(other, ['publish'])]
  const body = { events: [{ type: 'a.b', data: 1 }] }
  await acme.addEndpoint({ url: 'http://127.0.0.1:1/' })
  await other.addEndpoint({ url: 'http://127.0.0.1:1/' })
  t.equal((await ask('/api/events/batch', neighbour, body)).status, 202)
  await hold()
  const answers = flood(60, '/api/events/batch', greedy, body)
  // Four are under way and 32 wait; the others are told at once.
  t.strictSame(await firstStatuses(answers, 24), Array(24).fill(429))
  await release()
  t.equal((await ask('/api/events/batch', neighbour, body)).status, 202)
  t.strictSame(
    new Set((await statusesOf(answers)).filter((status) => status !== 429)),
    new Set([202]),
  )
})
