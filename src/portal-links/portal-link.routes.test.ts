import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)

async function newPath(): Promise<string> {
  const { key } = await createTenant(pool)
  return `/api/tenants/${key}/portal-links`
}

const minutesUntil = (time: string) => Math.round((Date.parse(time) - Date.now()) / 60_000)

t.test('a link lasts an hour unless told otherwise, a minute to a day', async (t) => {
  const path = await newPath()
  const { status, json } = await request('POST', path)
  t.equal(status, 201)
  t.match(json.url, /^http:\/\/localhost\/portal\/open\?token=[\w-]{43}$/)
  t.equal(minutesUntil(json.expiresAt), 60)
  for (const minutes of [1, 1_440]) {
    const { json } = await request('POST', path, { body: { minutes } })
    t.equal(minutesUntil(json.expiresAt), minutes)
  }
  for (const minutes of [0, -1, 1.5, 1_441, '60', null]) {
    const { status, json } = await request('POST', path, { body: { minutes } })
    t.equal(status, 422, `${minutes}`)
    t.equal(json.errors[0].field, 'minutes')
  }
})

t.test('the access is read or manage, and nothing more', async (t) => {
  const path = await newPath()
  for (const access of ['read', 'manage']) {
    t.match(await request('POST', path, { body: { access } }), { status: 201 })
  }
  for (const access of ['admin', 'publish', '', null]) {
    t.match(await request('POST', path, { body: { access } }), {
      status: 422,
      json: { errors: [{ field: 'access' }] },
    })
  }
})

t.test('it leads to where people reach the service', async (t) => {
  const path = await newPath()
  const headers = { 'x-forwarded-proto': 'https' }
  const behindProxy = await request('POST', path, { headers })
  t.match(behindProxy.json.url, /^https:\/\/localhost\/portal\/open/)
  const configured = createTestApi(pool, { publicUrl: 'https://hooks.example.com' })
  const { json } = await configured.request('POST', path)
  t.match(json.url, /^https:\/\/hooks\.example\.com\/portal\/open\?token=/)
})

t.test('it takes a key with manage, of this tenant or of none', async (t) => {
  const { key: tenant } = await createTenant(pool)
  const { key: other } = await createTenant(pool)
  const statusOf = async (body: object) => {
    const { json } = await request('POST', '/api/keys', { body: { name: 'a', ...body } })
    const path = `/api/tenants/${tenant}/portal-links`
    const statuses = []
    for (const method of ['POST', 'DELETE']) {
      statuses.push((await request(method, path, { key: json.key })).status)
    }
    return statuses
  }
  const scopes = ['read', 'manage']
  t.strictSame(await statusOf({ scopes }), [201, 204])
  t.strictSame(await statusOf({ scopes, tenant }), [201, 204])
  t.strictSame(
    await statusOf({ scopes: ['manage'] }),
    [403, 204],
    'it would read what its maker may not',
  )
  t.strictSame(await statusOf({ scopes: ['manage'], tenant: other }), [404, 404])
  t.strictSame(await statusOf({ scopes: ['read', 'publish'] }), [403, 403])
})

t.test('the service itself and tenants that are suspended have no portal', async (t) => {
  const reserved = '/api/tenants/postrider:operator/portal-links'
  t.ok([403, 404].includes((await request('POST', reserved)).status))
  const { key } = await createTenant(pool)
  await request('POST', `/api/tenants/${key}/suspend`)
  const refused = await request('POST', `/api/tenants/${key}/portal-links`)
  t.match(refused, { status: 409, json: { code: 'state_conflict', detail: /suspended/ } })
  await request('POST', `/api/tenants/${key}/resume`)
  t.match(await request('POST', `/api/tenants/${key}/portal-links`), { status: 201 })
})

t.test('neither the token nor its link is stored, and links that are over go', async (t) => {
  const path = await newPath()
  const { json } = await request('POST', path)
  const token = new URL(json.url).searchParams.get('token')
  const { rows } = await pool.query('select json_agg(l)::text as all from postrider.portal_link l')
  t.notMatch(rows[0].all, token)
  await pool.query(`update postrider.portal_link set expires_at = now() - interval '1 s'`)
  await request('POST', path)
  t.equal((await pool.query('select from postrider.portal_link')).rowCount, 1)
})

t.test('a link takes what its pages look like, and refuses what could not be shown', async (t) => {
  const path = await newPath()
  const gif = 'R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs='
  const png = (bytes: number) =>
    `data:image/png;base64,${Buffer.concat([Buffer.from('\x89PNG\r\n', 'latin1'), Buffer.alloc(bytes - 6)]).toString('base64')}`
  const good: Record<string, string[]> = {
    name: ['x', 'Acme · Webhooks', 'x'.repeat(60)],
    accent: ['#000000', '#ABCDEF'],
    theme: ['light', 'dark'],
    locale: ['en', 'de'],
    backUrl: ['http://localhost:3000/', 'https://app.example.com/a?b#c'],
    logo: [
      ...[`data:image/gif;base64,${gif}`, png(65_536)],
      ...['https://cdn.example.com/logo.svg?v=2', 'https://cdn.example.com:8443/a.png'],
    ],
  }
  const bad: Record<string, unknown[]> = {
    name: ['', 'x'.repeat(61), 'a\u202eb', null, 1],
    accent: ['red', '#fff', '#12345g', '#000000;}', ''],
    theme: ['system', 'blue', ''],
    locale: ['fr', 'DE', ''],
    backUrl: [
      ...['javascript:alert(1)', 'data:text/html,a', '//evil.test', 'ftp://a.test', 'a', ''],
      ...['https://user:pass@a.test/', `https://a.test/${'x'.repeat(2_048)}`],
    ],
    logo: [
      ...[
        'http://a.test/a.png',
        'data:image/svg+xml;base64,PHN2Zy8+',
        'data:text/html;base64,PGI+',
      ],
      ...['https://user:pass@a.test/a.png', 'https://a.test;x/a.png', "https://a'b.test/a.png"],
      ...['https://a,b.test/', `https://a.test/${'x'.repeat(2_048)}`, 'javascript:alert(1)'],
      ...[png(65_537), `data:image/png;base64,${gif}!`, 'data:image/png,abc', ''],
    ],
  }
  for (const [field, values] of Object.entries(good)) {
    for (const value of values) {
      const { status, text } = await request('POST', path, { body: { [field]: value } })
      t.equal(status, 201, `${field} ${value.slice(0, 40)}: ${text.slice(0, 300)}`)
    }
  }
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      const { status, json } = await request('POST', path, { body: { [field]: value } })
      t.match(
        { status, field: json.errors?.[0].field },
        { status: 422, field },
        `${field} ${value}`,
      )
    }
  }
})
