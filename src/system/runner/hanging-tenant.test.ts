import t, { type Test } from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant, type TestTenant } from '../../testing/data/tenant.ts'
import { type AnswerWith, startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const CONCURRENCY = 20
/** Of these, what one tenant may have. */
const OF_ONE_TENANT = 18
const ENDPOINTS = 30

async function tenantWithEndpoints(t: Test, count: number, answer: AnswerWith, type = '*') {
  const receiver = await startReceiver({ answer })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  for (let n = 0; n < count; n += 1) {
    const columns = { url: receiver.url, timeout_seconds: 60, event_types: [type] }
    await tenant.addEndpoint(columns, secretBox.encrypt)
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

/** Deliveries of so many events that are due, and whose rows are locked, so that to put them off takes until the end. */
async function dueAndNeverPutOff(t: Test, { key, id }: TestTenant, count: number) {
  await pool.query(
    `select postrider.publish($1, 'order.paid', '1', deliver_at => now() + interval '1 hour')
     from generate_series(1, $2)`,
    [key, count],
  )
  const client = await pool.connect()
  t.teardown(() => client.query('rollback').then(() => client.release()))
  await client.query('begin')
  const { rows } = await client.query<{ key: string }>(
    `select 'd:' || d.id as key from postrider.delivery d
     where d.tenant_id = $1 and d.attempt_count = 0 for update`,
    [id],
  )
  const keys = rows.map((row) => row.key)
  await pool.query('update graphile_worker._private_jobs set run_at = now() where key = any ($1)', [
    keys,
  ])
  return keys
}

// Issue 15, 5: what was put off went through the few lanes that were left, and a neighbour waited for seconds behind it.
t.test('what is put off of it is in nobody’s way either', async (t) => {
  const hang: AnswerWith = () => new Promise(() => undefined)
  const hanging = await tenantWithEndpoints(t, OF_ONE_TENANT, hang, 'invoice.paid')
  const neighbour = await tenantWithEndpoints(t, 1, () => 200)
  await hanging.tenant.publish()
  const runner = await startService(t, 'runner', {
    DATABASE_URL: url,
    RUNNER_CONCURRENCY: String(CONCURRENCY),
  })
  await hanging.receiver.received(OF_ONE_TENANT)
  const { url: to } = hanging.receiver
  await hanging.tenant.addEndpoint({ url: to, event_types: ['order.paid'] }, secretBox.encrypt)
  const keys = await dueAndNeverPutOff(t, hanging.tenant, 5)
  await untilHolds(
    pool,
    `select count(*) = 5 as holds from graphile_worker._private_jobs
     where key = any ($1) and locked_by is not null`,
    [keys],
  )
  await neighbour.tenant.publish()
  await neighbour.receiver.received(1)
  await runner.stop('SIGKILL')
})
