import t from 'tap'
import { createDatabase } from '../postgres/pool.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createNameCache } from './name-cache.ts'

const { pool } = await createTestDatabase(t)
const UNKNOWN = '00000000-0000-7000-8000-000000000000'

// Issue 8: the live view showed the URL that an endpoint had when the process first saw it.
t.test('a URL that has changed is shown five seconds later, a key is asked for once', async (t) => {
  const tenant = await createTenant(pool)
  const { id } = await tenant.addEndpoint({ url: 'http://127.0.0.1:9/old' })
  let ms = 1
  const names = createNameCache({ database: createDatabase(pool), now: () => ms })
  t.match(await names.endpoint(id), { url: 'http://127.0.0.1:9/old' })
  t.equal(await names.tenantKey(tenant.id), tenant.key)
  await pool.query(`update postrider.endpoint set url = 'http://127.0.0.1:9/new' where id = $1`, [
    id,
  ])
  ms = 5_001
  t.match(await names.endpoint(id), { url: 'http://127.0.0.1:9/old' })
  ms = 5_002
  t.match(await names.endpoint(id), { url: 'http://127.0.0.1:9/new' })
  t.equal(await names.tenantKey(tenant.id), tenant.key)
  t.match(await names.endpoint(UNKNOWN), { url: UNKNOWN }, 'what nobody knows is shown by its id')
})
