import t from 'tap'
import type { EndpointId } from '../ids.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createEndpointLimits } from './endpoint-limits.ts'

const { pool } = await createTestDatabase(t)

t.test('limits are kept until a reservation of a newer rate says that they are old', async (t) => {
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: 'http://127.0.0.1/', rate_per_second: 2 })
  const id = endpoint.id as EndpointId
  const limits = createEndpointLimits(pool, () => 0)
  t.match(await limits.of(id), { ratePerSecond: 2, rateVersion: 0 })
  await pool.query('update postrider.endpoint set rate_per_second = 1 where id = $1', [id])
  t.match(await limits.of(id), { ratePerSecond: 2, rateVersion: 0 })
  t.match(await limits.of(id, 0), { ratePerSecond: 2, rateVersion: 0 })
  t.match(await limits.of(id, 1), { ratePerSecond: 1, rateVersion: 1 })
  t.match(await limits.of(id), { ratePerSecond: 1, rateVersion: 1 }, 'and are kept again')
})
