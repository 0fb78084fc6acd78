import t, { type Test } from 'tap'
import { createTenant } from '../../testing/data/tenant.ts'
import { type AnswerWith, startReceiver } from '../../testing/servers/receiver.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { encryptSecret, startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const CONCURRENCY = 20
/** Of these, what one tenant may have. */
const OF_ONE_TENANT = 18
const ENDPOINTS = 30

async function tenantWithEndpoints(t: Test, count: number, answer: AnswerWith) {
  const receiver = await startReceiver({ answer })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  for (let n = 0; n < count; n += 1) {
    await tenant.addEndpoint({ url: receiver.url, timeout_seconds: 60 }, encryptSecret)
  }
  return { receiver, tenant }
}

// Issue 15: 300 hanging endpoints of one tenant had all 250 places, and a neighbour waited for 59 s.
t.test('a tenant whose endpoints all hang leaves places to its neighbour', async (t) => {
  const hanging = await tenantWithEndpoints(t, ENDPOINTS, () => new Promise(() => undefined))
  const neighbour = await tenantWithEndpoints(t, 1, () => 200)
  for (let n = 0; n < 3; n += 1) await hanging.tenant.publish('invoice.paid', { n })
  const runner = await startService(t, 'runner', {
    DATABASE_URL: url,
    RUNNER_CONCURRENCY: String(CONCURRENCY),
  })
  await hanging.receiver.received(OF_ONE_TENANT)
  for (let n = 0; n < 50; n += 1) await neighbour.tenant.publish('invoice.paid', { n })
  await neighbour.receiver.received(50)
  t.equal(hanging.receiver.requests.length, OF_ONE_TENANT)
  await runner.stop('SIGKILL')
})
