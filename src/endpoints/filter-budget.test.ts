import t from 'tap'
import type { EndpointId, TenantId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestApi, createTestServices } from '../testing/wiring/api.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { findCostlyFilters } from './costly-filters.ts'
import { TooManyEndpoints } from './endpoints.ts'

const { pool } = await createTestDatabase(t)
const { request } = createTestApi(pool)

const SIX_STEPS = '$.a[*][*].b[*].c[*][*][*] == 1'
const FOUR_STEPS = '$.a[*][*].b[*].c[*] == 1'

t.test(
  'the filters of a tenant may take a hundred steps into arrays together, and no more',
  async (t) => {
    const tenant = await createTenant(pool)
    const path = `/api/tenants/${tenant.key}/endpoints`
    const create = (filter: string | null) =>
      request('POST', path, { body: { url: 'http://127.0.0.1:1/', filter } })
    for (let i = 0; i < 16; i++) t.equal((await create(SIX_STEPS)).status, 201)
    const last = await create(FOUR_STEPS)
    t.equal(last.status, 201)

    t.match(await create('$.a[0] == 1'), {
      status: 422,
      json: { errors: [{ field: 'filter', message: /100 steps/ }] },
    })
    t.match(await request('PATCH', `${path}/${last.json.id}`, { body: { filter: SIX_STEPS } }), {
      status: 422,
    })
    t.match(await request('PATCH', `${path}/${last.json.id}`, { body: { filter: FOUR_STEPS } }), {
      status: 200,
    })
    t.equal(
      (await create('$.a == 1')).status,
      201,
      'filters without such steps are as many as one likes',
    )
    t.equal((await create(null)).status, 201)

    const other = await createTenant(pool)
    const theirs = await request('POST', `/api/tenants/${other.key}/endpoints`, {
      body: { url: 'http://127.0.0.1:1/', filter: SIX_STEPS },
    })
    t.equal(theirs.status, 201, 'each tenant for itself')
  },
)

t.test('a tenant has as many endpoints as allowed, also when they come at once', async (t) => {
  const tenant = await createTenant(pool)
  const { endpoints } = createTestServices(pool, { ENDPOINTS_PER_TENANT_MAX: '3' })
  const create = () => endpoints.create(tenant.id as TenantId, { url: 'http://127.0.0.1:1/' })
  const made = await Promise.allSettled(Array.from({ length: 6 }, create))
  const refused = made.filter((one) => one.status === 'rejected')
  t.equal(refused.length, 3)
  t.ok(refused.every(({ reason }) => reason instanceof TooManyEndpoints))
  const [first] = made.filter((one) => one.status === 'fulfilled')
  await endpoints.delete(tenant.id as TenantId, first?.value.endpoint.id as EndpointId)
  await create()
})

t.test('the filters of a tenant together are bounded, equal ones counted once', async (t) => {
  const tenant = await createTenant(pool)
  const dear = (n: number) => `${Array(29).fill('$.a>1').join('||')}||$.n==${n}`
  const add = (filters: string[]) =>
    pool.query(
      `insert into postrider.endpoint (tenant_id, url, filter)
       select $1, 'http://127.0.0.1:1/', f from unnest($2::text[]) f`,
      [tenant.id, filters],
    )
  await add(Array(300).fill(dear(0)))
  const create = (filter: string) =>
    request('POST', `/api/tenants/${tenant.key}/endpoints`, {
      body: { url: 'http://127.0.0.1:1/', filter },
    })
  t.equal((await create(dear(1))).status, 201)
  t.strictSame(await findCostlyFilters(pool), [])
  await add(Array.from({ length: 200 }, (_, n) => dear(n)))
  t.match(await create('$.b == 1'), {
    status: 422,
    json: { errors: [{ field: 'filter', message: /10000 steps and operators/ }] },
  })
  const { id } = await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', filter: '$.** == 1' })
  const named = await findCostlyFilters(pool)
  t.match(named, [new RegExp(`endpoint ${id} .* bounds at character`), new RegExp(tenant.key)])
  t.equal(named.length, 2)
})
