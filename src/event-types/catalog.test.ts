import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createPageClient, createTestPages } from '../testing/wiring/pages.ts'

const { pool } = await createTestDatabase(t)
const HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>'

/** A service with the catalogue, and an ear on what it asks the database. */
function createTestCatalog(env: Record<string, string> = { EVENT_CATALOG: 'true' }) {
  const recorded = recordQueries(pool)
  const { app, logged } = createTestPages(recorded.pool, { env })
  const { get, post } = createPageClient(app)
  return {
    sent: recorded.sent,
    logged,
    post,
    get: (path: string, headers: Record<string, string> = {}) =>
      get(path, { cookie: null, headers }),
  }
}

const { request } = createTestPages(pool)
const describe = (name: string, body: object) =>
  request('PUT', `/api/event-types/${name}`, { body })

t.test('there is no catalogue unless it is switched on', async (t) => {
  for (const env of [{}, { EVENT_CATALOG: 'false' }]) {
    for (const path of ['/catalog', '/catalog/', '/catalog/invoice.paid', '/catalog/assets/a/b']) {
      t.match(await createTestCatalog(env).get(path), { status: 404 }, path)
    }
  }
})

t.test('everybody sees each type, with its schema, an example and earlier schemas', async (t) => {
  await describe('invoice.paid', { description: 'Paid', schema: { type: 'object' } })
  const schema = { type: 'object', properties: { amount: { type: 'integer', examples: [4711] } } }
  await describe('invoice.paid', { schema })
  await describe('order.gone', { description: HOSTILE, deprecated: true })
  await describe('a.b', { schema: { examples: [{ note: HOSTILE }] } })
  const { get, logged } = createTestCatalog()
  t.match(await get('/catalog/'), { status: 301 })
  const list = await get('/catalog')
  t.equal(list.status, 200)
  for (const name of ['invoice.paid', 'order.gone', 'a.b']) {
    t.match(list.text, `href="/catalog/${name}"`)
  }
  t.match(list.text, 'Deprecated')
  const page = await get('/catalog/invoice.paid')
  t.equal(page.status, 200)
  t.match(page.text, /Paid/)
  t.match(page.text, /What a receiver gets.*&quot;type&quot;: &quot;invoice\.paid&quot;/s)
  t.match(page.text, /&quot;integer&quot;/)
  t.match(page.text, /Earlier versions.*Version 1 /s)
  t.match(page.text, /<dt>Version<\/dt><dd>2<\/dd>/)
  for (const path of ['/catalog', '/catalog/order.gone', '/catalog/a.b']) {
    t.notMatch((await get(path)).text, /<script>alert|<img src=x/, path)
  }
  t.strictSame(logged, [])
})

t.test(
  'it is under the policy of all pages, in the look of the portal, and can be kept',
  async (t) => {
    await describe('invoice.paid', {})
    const env = {
      ...{ EVENT_CATALOG: 'true', PORTAL_ACCENT: '#0a5c36' },
      PORTAL_FRAME_ORIGINS: 'https://docs.example.com',
    }
    const { get } = createTestCatalog(env)
    for (const path of ['/catalog', '/catalog/invoice.paid']) {
      const { headers, text } = await get(path)
      const policy = headers.get('content-security-policy')
      t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';/)
      t.match(policy, /frame-ancestors https:\/\/docs\.example\.com$/)
      t.equal(headers.get('x-content-type-options'), 'nosniff')
      t.equal(headers.get('cache-control'), 'public, max-age=60')
      t.equal(headers.get('vary'), 'accept-language, cookie')
      t.equal(headers.get('set-cookie'), null)
      t.notMatch(text, /style=|<style|<form/)
      t.match(text, /href="\/catalog\/assets\/\w+\/theme\.css"/)
      for (const [, asset = ''] of text.matchAll(/(?:src|href)="([^"]*assets[^"]*)"/g)) {
        const file = await get(asset)
        t.equal(file.status, 200, asset)
        t.match(file.headers.get('cache-control'), 'immutable')
      }
    }
    t.match(await get('/catalog', { 'accept-language': 'de' }), { text: /<html lang="de"/ })
  },
)

t.test(
  'strangers who ask again and again, or for what is not there, cost no more reads',
  async (t) => {
    await describe('invoice.paid', { schema: { type: 'object' } })
    const { get, sent } = createTestCatalog()
    await get('/catalog')
    await get('/catalog/invoice.paid')
    sent.length = 0
    await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        t.equal((await get('/catalog')).status, 200)
        t.equal((await get('/catalog/invoice.paid')).status, 200)
        t.equal((await get(`/catalog/nothing.${at}`)).status, 404)
      }),
    )
    t.strictSame(sent, [])
  },
)

t.test('input that breaks programs gets a page, and only reading is possible', async (t) => {
  const { get, post, logged } = createTestCatalog()
  const names = ['%00', '%F0%9F', '..%2f..', '%2e%2e', 'a%20b', '__proto__', 'constructor']
  for (const name of [...names, 'x'.repeat(4_000), encodeURIComponent(HOSTILE)]) {
    const { status, text } = await get(`/catalog/${name}`)
    t.ok([400, 404].includes(status), `${status} ${name.slice(0, 20)}`)
    t.notMatch(text, /<script>alert/)
  }
  for (const path of ['/catalog', '/catalog/invoice.paid', '/catalog/a/b']) {
    const { status, headers } = await post(path, { name: 'a' }, { cookie: null })
    t.ok([404, 405].includes(status), path)
    t.not(headers.get('cache-control'), 'public, max-age=60')
  }
  t.strictSame(logged, [])
})

t.test('nothing of a tenant is on it', async (t) => {
  const { key } = await createTenant(pool)
  await request('POST', `/api/tenants/${key}/endpoints`, {
    body: { url: 'https://tenant-only.example.com/', eventTypes: ['invoice.paid'] },
  })
  const { get } = createTestCatalog()
  for (const path of ['/catalog', '/catalog/invoice.paid']) {
    t.notMatch((await get(path)).text, new RegExp(`tenant-only|${key}`), path)
  }
})

interface Shown {
  version: number
  schema: { title: string } | null
}

t.test('each schema is a version, however it was set, and the newest 20 stay', async (t) => {
  const versionsOf = async () => {
    const { rows } = await pool.query(
      `select version, schema ->> 'title' as title from postrider.event_type_version where name = 'many.versions' order by version`,
    )
    return rows
  }
  await describe('many.versions', { description: 'no schema yet' })
  t.strictSame(await versionsOf(), [])
  await describe('many.versions', { schema: { title: '1' } })
  await describe('many.versions', { schema: { title: '1' }, description: 'the same again' })
  t.strictSame(await versionsOf(), [{ version: 1, title: '1' }])
  await describe('many.versions', { schema: null })
  t.strictSame((await versionsOf()).at(-1), { version: 2, title: null })
  for (let at = 3; at <= 22; at += 1) {
    await pool.query(`update postrider.event_type set schema = $1 where name = 'many.versions'`, [
      JSON.stringify({ title: String(at) }),
    ])
  }
  const versions = (await versionsOf()).map(({ version }) => version)
  t.strictSame(
    versions,
    Array.from({ length: 20 }, (_, at) => at + 3),
  )
  await pool.query(
    `insert into postrider.event_type (name, schema) values ('in.sql', '{"title": "1"}')`,
  )
  const asked = await request('GET', '/api/event-types/many.versions/versions')
  t.strictSame(Object.keys(asked.json.data[0]), ['version', 'schema', 'createdAt'])
  t.strictSame(
    asked.json.data.map(({ version, schema }: Shown) => [version, schema?.title]),
    versions.reverse().map((version) => [version, String(version)]),
    'the API lists them too, newest first',
  )
  const { rowCount } = await pool.query(
    `select from postrider.event_type_version where name = 'in.sql' and version = 1`,
  )
  t.equal(rowCount, 1)
  await request('DELETE', '/api/event-types/many.versions')
  t.strictSame(await versionsOf(), [])
  const gone = await request('GET', '/api/event-types/many.versions/versions')
  t.match(gone, { status: 404, json: { code: 'event_type_not_found' } })
})
