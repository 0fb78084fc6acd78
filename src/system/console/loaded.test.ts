/** What pages and operations load from the database, next to what they show of it. */
import t from 'tap'
import { createPool } from '../../postgres/pool.ts'
import { addAttempts } from '../../testing/data/attempts.ts'
import { createWorld } from '../../testing/data/world.ts'
import { countBytesLoaded } from '../../testing/rows-read.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { acting, createTestConsole, pagePath, reading } from '../../testing/wiring/pages.ts'
import { createTestPortal } from '../../testing/wiring/portal.ts'

const { pool, url } = await createTestDatabase(t)
const readingPool = createPool({
  connectionString: url,
  max: 5,
  applicationName: 'reading',
  pipeline: true,
})
t.teardown(() => readingPool.end())
const loadedBytes = countBytesLoaded(readingPool)

/** Rows of a page in columns that it does not show all of, and what the session and its tenant cost. */
const OVERHEAD_BYTES = 60_000
const ATTEMPTS = 200
const ANSWER_CHARACTERS = 16_000
const DATA_CHARACTERS = 400_000
const SCHEMAS = 20
const SCHEMA_CHARACTERS = 60_000

/** A world in which everything that may be large is. */
async function bundle() {
  const [pages, portal] = [
    await createTestConsole(readingPool),
    await createTestPortal(readingPool),
  ]
  const world = await createWorld(pool)
  const { tenant, ids } = world
  await addAttempts(pool, ids['deliveries'] ?? '', ATTEMPTS, {
    answerCharacters: ANSWER_CHARACTERS,
  })
  await pool.query(`update postrider.event set data = to_json(repeat('x', $2)) where id = $1`, [
    ids['events'],
    DATA_CHARACTERS,
  ])
  await pool.query(
    `insert into postrider.event_type (name, schema)
     select 'large.' || n, json_build_object('description', repeat('x', $2))
     from generate_series(1, $1::int) as n on conflict do nothing`,
    [SCHEMAS, SCHEMA_CHARACTERS],
  )
  const [admin, customer] = [await pages.signedIn(), await portal.entered(tenant.key)]
  return { pages, portal, world, admin, customer }
}

/** How much more than the text that came back was loaded for it. */
async function excessOf(ask: () => Promise<{ status: number; text: string }>) {
  const before = loadedBytes()
  const { status, text } = await ask()
  return { status, text, excess: loadedBytes() - before - text.length }
}

// Issue 14: a retry loaded the attempts of its delivery with all their answers, and showed none of it.
t.test('retrying and cancelling load nothing but the delivery', async (t) => {
  const { pages, portal, world, admin, customer } = await bundle()
  const path = `/deliveries/${world.ids['deliveries']}`
  for (const operation of ['retry', 'cancel']) {
    const inConsole = await excessOf(() =>
      pages.post(`/console${path}/${operation}`, {}, { cookie: admin }),
    )
    t.match(inConsole, { status: 303 })
    t.ok(inConsole.excess < OVERHEAD_BYTES, `${operation} in the console: ${inConsole.excess}`)
  }
  for (const operation of ['retry', 'cancel']) {
    const inPortal = await excessOf(() =>
      portal.post(`/portal${path}/${operation}`, {}, { cookie: customer }),
    )
    t.match(inPortal, { status: 303 })
    t.ok(inPortal.excess < OVERHEAD_BYTES, `${operation} in the portal: ${inPortal.excess}`)
  }
  for (const operation of ['retry', 'cancel']) {
    const inApi = await excessOf(() =>
      pages.request('POST', `/api/tenants/${world.tenant.key}${path}/${operation}`),
    )
    t.ok(inApi.excess < OVERHEAD_BYTES, `${operation} in the API: ${inApi.excess}`)
  }
})

t.test('no page loads much more than it shows', async (t) => {
  const { pages, portal, world, admin, customer } = await bundle()
  for (const [client, cookie] of [
    [pages, admin],
    [portal, customer],
  ] as const) {
    for (const route of reading(client.routes)) {
      for (const headers of [{}, { 'hx-request': 'true' }]) {
        const { status, excess } = await excessOf(() =>
          client.get(pagePath(world, route), { cookie, headers }),
        )
        t.ok(status < 500, route)
        t.ok(excess < OVERHEAD_BYTES, `${route}: ${excess}`)
      }
    }
  }
})

t.test('nothing that acts loads much more than its answer shows', async (t) => {
  const { pages, portal, world, admin, customer } = await bundle()
  for (const [client, cookie] of [
    [pages, admin],
    [portal, customer],
  ] as const) {
    for (const route of acting(client.routes)) {
      const { excess } = await excessOf(() =>
        client.post(pagePath(world, route), { intent: 'try' }, { cookie }),
      )
      t.ok(excess < OVERHEAD_BYTES, `${route}: ${excess}`)
    }
  }
})

t.test('a delivery can be asked for without the answers', async (t) => {
  const { pages, world } = await bundle()
  const path = `/api/tenants/${world.tenant.key}/deliveries/${world.ids['deliveries']}`
  const all = await pages.request('GET', path)
  t.equal(all.json.attempts.length, ATTEMPTS)
  t.match(all.json.attempts[0], { responseHeaders: { 'x-answer': 'a' }, responseBody: /^answer 1/ })

  const { text, excess } = await excessOf(() => pages.request('GET', `${path}?answers=false`))
  t.ok(excess < OVERHEAD_BYTES, String(excess))
  const withoutAnswers = all.json.attempts.map((attempt: object) => ({
    ...attempt,
    responseHeaders: null,
    responseBody: null,
  }))
  t.strictSame(JSON.parse(text).attempts, withoutAnswers)
  t.equal((await pages.request('GET', `${path}?answers=maybe`)).status, 422)
})
