import t from 'tap'
import { createTestDatabase } from '../testing/database.ts'
import { startReceiver } from '../testing/receiver.ts'
import { encryptSecret, startService } from '../testing/service.ts'
import { createTenant, operatorTenant } from '../testing/tenant.ts'
import { untilHolds } from '../testing/until.ts'

const { pool, url } = await createTestDatabase(t)
const operator = await startReceiver()
t.teardown(() => operator.close())
await (await operatorTenant(pool)).addEndpoint({ url: operator.url }, encryptSecret)
/** Seven attempts, at once one after the other. */
const RETRY_SCHEDULE = '0.05,0.05,0.05,0.05,0.05,0.05'
const ENVIRONMENT = { DATABASE_URL: url, RETRY_SCHEDULE }

async function bundle(t: { teardown(fn: () => Promise<void>): void }) {
  const receiver = await startReceiver({ answer: () => 500 })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, encryptSecret)
  /** Resolves when the condition on the tenant's deliveries and circuit holds. */
  const until = (condition: string) =>
    untilHolds(
      pool,
      `select ${condition} as holds
         from (select count(*) filter (where d.state = 'held') as held,
                 count(*) filter (where d.state = 'delivered') as delivered,
                 count(*) filter (where d.state = 'failed') as failed,
                 count(*) filter (where d.finished_at is null) as open
               from postrider.delivery d where d.tenant_id = $1) as deliveries
         left join postrider.circuit c on c.endpoint_id = $2`,
      [tenant.id, endpoint.id],
    )
  const probeNow = () => pool.query('select postrider.schedule_probe($1, now())', [endpoint.id])
  /** What the operator's own endpoint was told about this one; waits until it was told so often. */
  const told = async (count: number) => {
    for (let received = 1; ; received++) {
      const requests = await operator.received(received)
      const about = requests
        .map(({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> })
        .filter(({ data }) => data['endpointId'] === endpoint.id)
      if (about.length >= count) return about
      received = requests.length
    }
  }
  return { receiver, tenant, endpoint, until, probeNow, told }
}

t.test(
  'a circuit opens, is probed, and lets everything out once the receiver is back',
  async (t) => {
    const { receiver, tenant, endpoint, until, probeNow, told } = await bundle(t)
    const runners = [
      await startService(t, 'runner', ENVIRONMENT),
      await startService(t, 'runner', ENVIRONMENT),
    ]
    for (let n = 0; n < 30; n++) await tenant.publish()
    await until(`c.opened_at is not null and held = open and open > 0`)
    await tenant.publish()
    await tenant.publish()
    const asked = receiver.requests.length

    await probeNow()
    await until(`c.probe_count = 1 and held = open`)
    t.equal(receiver.requests.length, asked + 1, 'one request, and no other while it is open')

    receiver.answerWith(() => 200)
    await probeNow()
    await until(`c.endpoint_id is null and delivered = 32`)
    const ids = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))
    t.equal(ids.size, 32)
    t.match(await told(2), [
      {
        type: 'endpoint.failing',
        data: { endpointId: endpoint.id, failures: /^(2\d|3[0-2])$/, failingSince: /^20/ },
      },
      {
        type: 'endpoint.recovered',
        data: { endpointId: endpoint.id, failures: /^\d+$/, failingSince: /^20/ },
      },
    ])
    t.same(await Promise.all(runners.map((runner) => runner.stop())), [0, 0])
  },
)

t.test('a schedule that is used up is told to the operator', async (t) => {
  const { receiver, tenant, endpoint, until, told } = await bundle(t)
  await startService(t, 'runner', ENVIRONMENT)
  const eventId = await tenant.publish()
  await until('failed = 1')
  t.equal(receiver.requests.length, 7)
  t.match(await told(1), [
    {
      type: 'delivery.exhausted',
      data: {
        endpointId: endpoint.id,
        eventId,
        tenant: tenant.key,
        outcome: 'rejected',
        statusCode: 500,
      },
    },
  ])
})

t.test('ENDPOINT_DISABLE_AFTER_DAYS says how long an endpoint may fail', async (t) => {
  const { tenant, endpoint, until, told } = await bundle(t)
  await tenant.publish()
  await pool.query(
    `insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since)
     values ($1, $2, 1, now() - interval '25 hours')`,
    [endpoint.id, tenant.id],
  )
  await startService(t, 'runner', { ...ENVIRONMENT, ENDPOINT_DISABLE_AFTER_DAYS: '1' })
  await until('held = 1')
  const { rows } = await pool.query('select state from postrider.endpoint where id = $1', [
    endpoint.id,
  ])
  t.same(rows, [{ state: 'disabled' }])
  t.match(await told(1), [{ type: 'endpoint.disabled', data: { reason: /without one success/ } }])
})
