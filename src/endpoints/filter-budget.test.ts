import t from 'tap'
import { createTestApi } from '../testing/api.ts'
import { createTestDatabase } from '../testing/database.ts'
import { createTenant } from '../testing/tenant.ts'

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
