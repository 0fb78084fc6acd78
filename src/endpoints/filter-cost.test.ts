import t from 'tap'
import { createPool } from '../postgres/pool.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

/** As the API sets it up. */
const STATEMENT_MS_MAX = 10_000
const DATA_BYTES = 250_000

const { url } = await createTestDatabase(t)
const pool = createPool({
  connectionString: url,
  max: 8,
  applicationName: 'filter-cost-test',
  statementTimeoutMs: STATEMENT_MS_MAX,
  pipeline: true,
})
t.teardown(() => pool.end())
const { request } = createTestApi(pool)

/** As many and as long steps and comparisons as are accepted; none of them ever true. */
const WORST_FILTERS = [
  Array(30).fill('$>1').join('||'),
  Array(30).fill('!($<=1)').join('||'),
  `$[*][*][*][*][*][*]>1||${Array(29).fill('$>1').join('||')}`,
  `$[*][0][0][0][0][0]>1||${Array(29).fill('$=="y"').join('||')}`,
  `$.*.*.*[*][*][*]>1||${Array(29).fill('$.a>1').join('||')}`,
  Array(30).fill('$.a.a.a.a.a.a.a.a>1').join('||'),
  Array(30)
    .fill(`$=="${'y'.repeat(20)}"`)
    .join('||'),
]
const array = (element: string) =>
  `[${Array(Math.floor(DATA_BYTES / (element.length + 1)))
    .fill(element)
    .join(',')}]`
const DATA = {
  numbers: array('1'),
  'empty objects': array('{}'),
  'objects with the key': array('{"a":1}'),
  'objects in arrays': array('[{"a":[1]}]'),
  arrays: array('[1]'),
  texts: array(`"${'x'.repeat(20)}"`),
  'deep arrays': `${'['.repeat(500)}${array('1')}${']'.repeat(500)}`,
}

t.test('250 KB against the worst filters fit the statement timeout', async (t) => {
  const tenant = await createTenant(pool)
  const neighbour = await createTenant(pool)
  for (const filter of WORST_FILTERS) {
    const created = await request('POST', `/api/tenants/${tenant.key}/endpoints`, {
      body: { url: 'https://example.com/', filter },
    })
    t.equal(created.status, 201, filter)
  }
  for (const [name, data] of Object.entries(DATA)) {
    const publishing = request('POST', '/api/events', {
      body: `{"tenant":"${tenant.key}","type":"a","data":${data}}`,
    })
    const [listed, published] = await Promise.all([
      request('GET', `/api/tenants/${neighbour.key}/events`),
      request('POST', '/api/events', {
        body: { tenant: neighbour.key, type: 'a', data: 1 },
        headers: { 'idempotency-key': name },
      }),
    ])
    t.match([listed.status, published.status], [200, 202], `others are answered: ${name}`)
    const { status, json } = await publishing
    t.match({ status, json }, { status: 202, json: { deliveries: 0 } }, name)
  }
})
