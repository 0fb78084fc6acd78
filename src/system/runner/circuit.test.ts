import t from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant, operatorTenant } from '../../testing/data/tenant.ts'
import { isLong } from '../../testing/long.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const operator = await startReceiver()
t.teardown(() => operator.close())
await (await operatorTenant(pool)).addEndpoint({ url: operator.url }, secretBox.encrypt)
/** Seven attempts, at once one after the other. */
const RETRY_SCHEDULE = '0.05,0.05,0.05,0.05,0.05,0.05'
const ENVIRONMENT = { DATABASE_URL: url, RETRY_SCHEDULE }

async function bundle(t: { teardown(fn: () => Promise<void>): void }) {
  const receiver = await startReceiver({ answer: () => 500 })
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
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
  /** What the operator's own endpoint was told about this one, but for incidents; waits until it was told so often. */
  const told = async (count: number) => {
    for (let received = 1; ; received++) {
      const requests = await operator.received(received)
      const about = requests
        .map(({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> })
        .filter(({ type, data }) => data['endpointId'] === endpoint.id && !/^incident/.test(type))
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

// The circuit opened, and every probe was one of the twenty again: none of the five arrived (issue 14).
t.test('twenty events that a receiver does not take keep no others from it', async (t) => {
  await startService(t, 'runner', { ...ENVIRONMENT, RETRY_SCHEDULE: '3600' })
  for (const [does, answer, isOfHost] of [
    ['refuses with 400', () => 400, false],
    ['refuses with 422', () => 422, false],
    ['answers with 500', () => 500, true],
    ...(isLong ? ([['hangs on', () => new Promise<never>(() => undefined), true]] as const) : []),
  ] as const) {
    t.test(`that it ${does}`, async (t) => {
      const { receiver, tenant, endpoint, until, probeNow } = await bundle(t)
      receiver.answerWith(({ body }) => (body.includes('"bad"') ? answer() : 200))
      await pool.query('update postrider.endpoint set timeout_seconds = 1 where id = $1', [
        endpoint.id,
      ])
      for (let n = 0; n < 20; n++) await tenant.publish('a.b', { id: 'bad' })
      await until(isOfHost ? 'c.opened_at is not null' : 'c.refusals = 20')
      for (let n = 0; n < 5; n++) await tenant.publish('a.b', { id: n })
      // It may have been the host, so its circuit is open; one probe later all is well.
      if (isOfHost) await probeNow()
      await until('delivered = 5 and c.endpoint_id is null')
      t.equal(receiver.requests.length, 25, 'none was sent twice')
    })
  }
})

if (isLong)
  t.test('with one runner, each attempt at once', async (t) => {
    await startService(t, 'runner', ENVIRONMENT)

    t.test('in whatever order good and bad events come, the good ones arrive', async (t) => {
      const { receiver, tenant, endpoint, until } = await bundle(t)
      receiver.answerWith(({ body }) => (body.includes('"bad"') ? 413 : 200))
      const [bad, good] = [{ id: 'bad' }, { id: 'good' }]
      const few = (data: object, count: number) => Array.from({ length: count }, () => data)
      const order = [
        good,
        ...few(bad, 19),
        good,
        ...few(bad, 20),
        good,
        ...few(bad, 21),
        good,
        bad,
        good,
      ]
      for (const data of order) await tenant.publish('a.b', data)
      await until('delivered = 5 and failed = 61')
      t.equal(receiver.requests.length, 5 + 61 * 7, 'each bad one was tried as its schedule says')
      const { rows } = await pool.query(
        `select e.state, c.opened_at, t.types
       from postrider.endpoint e
       left join postrider.circuit c on c.endpoint_id = e.id
       cross join lateral (
         select array_agg(distinct ev.type) as types from postrider.event ev
         join postrider.tenant t on t.id = ev.tenant_id and t.key = 'postrider:operator'
         where ev.data ->> 'endpointId' = e.id::text
       ) as t
       where e.id = $1`,
        [endpoint.id],
      )
      t.strictSame(
        [rows[0].state, rows[0].opened_at, rows[0].types.includes('endpoint.failing')],
        ['active', null, false],
      )
    })

    t.test('a schedule that is used up is told to the operator', async (t) => {
      const { receiver, tenant, endpoint, until, told } = await bundle(t)
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
  })

if (isLong)
  t.test('ENDPOINT_DISABLE_AFTER_DAYS says how long an endpoint may fail', async (t) => {
    const { tenant, endpoint, until, told } = await bundle(t)
    await tenant.publish()
    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since, failed_at, failed_deliveries)
     values ($1, $2, 9, now() - interval '25 hours', now() - interval '5 hours',
       array[postrider.uuidv7(), postrider.uuidv7(), postrider.uuidv7()])`,
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
