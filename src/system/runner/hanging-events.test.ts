import t from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const BAD = 20
const GOOD = 200

// Issue 14, 7: with the first events hanging, no other arrived until they had timed out.
t.test('a receiver that hangs with the oldest events gets all others meanwhile', async (t) => {
  const never = new Promise<number>(() => undefined)
  const receiver = await startReceiver({
    answer: ({ body }) => (body.includes('bad') ? never : 200),
  })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url, timeout_seconds: 60 }, secretBox.encrypt)
  for (let n = 0; n < BAD; n += 1) await tenant.publish('invoice.paid', 'bad')
  for (let n = 0; n < GOOD; n += 1) await tenant.publish('invoice.paid', 'good')
  const runner = await startService(t, 'runner', { DATABASE_URL: url })
  await receiver.received(BAD + GOOD, 55_000)
  const { rows } = await pool.query(
    'select count(*)::int from postrider.attempt where outcome = $1',
    ['unreachable'],
  )
  t.same(rows, [{ count: 0 }], 'before any of them has timed out')
  await runner.stop('SIGKILL')
})

t.test('its circuit stays closed when they time out', async (t) => {
  const never = new Promise<number>(() => undefined)
  const receiver = await startReceiver({
    answer: ({ body }) => (body.includes('bad') ? never : 200),
  })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint(
    { url: receiver.url, timeout_seconds: 8 },
    secretBox.encrypt,
  )
  for (let n = 0; n < BAD; n += 1) {
    await tenant.publish('invoice.paid', 'bad')
    await tenant.publish('invoice.paid', 'good')
    await tenant.publish('invoice.paid', 'good')
  }
  const runner = await startService(t, 'runner', { DATABASE_URL: url })
  await untilHolds(
    pool,
    `select count(*) = $2 as holds from postrider.attempt
     where tenant_id = $1 and outcome = 'unreachable' and reason = 'timeout_answer'`,
    [tenant.id, BAD],
  )
  const { rows } = await pool.query(
    'select failures, opened_at from postrider.circuit where endpoint_id = $1',
    [endpoint.id],
  )
  t.same(rows, [])
  await runner.stop('SIGKILL')
})
