import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { type ReceivedRequest, startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const SETTINGS = { DATABASE_URL: url, RETRY_SCHEDULE: '0.2,0.2,0.2', LOG_LEVEL: 'info' }
/** Longer than any test: a bound that is not to be reached. */
const NEVER_MS = 3_600_000

async function bundle(t: Test, batch: object | null, columns: Record<string, unknown> = {}) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  const bounds = { maxEvents: 100, maxWaitMs: NEVER_MS, maxBytes: 1_000_000 }
  const endpoint = await tenant.addEndpoint(
    {
      url: receiver.url,
      batch_bounds: batch && JSON.stringify({ ...bounds, ...batch }),
      ...columns,
    },
    secretBox.encrypt,
  )
  const publish = async (count: number, more: object = {}) => {
    const events = Array.from({ length: count }, (_, n) => ({
      ...{ tenant: tenant.key, type: 'invoice.paid', data: { n } },
      ...more,
    }))
    const { rows } = await pool.query<{ id: string }>(
      'select event_id as id from postrider.publish_many($1) order by ordinal',
      [JSON.stringify(events)],
    )
    return rows.map(({ id }) => id)
  }
  return { receiver, tenant, endpoint, publish }
}

const itemsOf = ({ body }: ReceivedRequest): { id: string; type: string; data: unknown }[] =>
  JSON.parse(body).events
const idsOf = (request: ReceivedRequest) => itemsOf(request).map(({ id }) => id)
const batchIdOf = ({ headers }: ReceivedRequest) => headers['webhook-id']

const settled = (tenant: { id: string }) =>
  untilHolds(
    pool,
    'select count(*) = 0 as holds from postrider.delivery where tenant_id = $1 and finished_at is null',
    [tenant.id],
  )
const deliveriesOf = async (tenant: { id: string }) =>
  (
    await pool.query(
      `select d.event_id, d.state, d.attempt_count, d.batch_id, a.outcomes, a.batches, a.reasons
       from postrider.delivery d
       cross join lateral (
         select array_agg(a.outcome order by a.number) as outcomes, array_agg(a.batch_id order by a.number) as batches,
           array_agg(a.reason order by a.number) as reasons
         from postrider.attempt a where a.delivery_id = d.id) as a
       where d.tenant_id = $1 order by d.id`,
      [tenant.id],
    )
  ).rows

t.test('one runner', async (t) => {
  const runner = await startService(t, 'runner', SETTINGS)

  t.test(
    'so many events go in one request, signed as one, as soon as they are there',
    async (t) => {
      const { receiver, tenant, endpoint, publish } = await bundle(t, { maxEvents: 3 })
      const ids = await publish(7, { data: { b: 1, a: [1.0] } })
      const requests = await receiver.received(2)
      t.strictSame(requests.flatMap(idsOf).sort(), ids.slice(0, 6).sort())
      for (const request of requests) {
        t.equal(itemsOf(request).length, 3)
        new Webhook(endpoint.secret).verify(request.body, request.headers as Record<string, string>)
        t.match(itemsOf(request)[0], {
          type: 'invoice.paid',
          timestamp: /Z$/,
          data: { b: 1, a: [1] },
        })
      }
      await untilHolds(
        pool,
        `select count(*) = 6 as holds from postrider.delivery where tenant_id = $1 and state = 'delivered'`,
        [tenant.id],
      )
      const [, , , , , , last] = await deliveriesOf(tenant)
      t.match(last, { state: 'pending', attempt_count: 0 }, 'the seventh waits')
      await publish(2)
      const [, , third] = await receiver.received(3)
      t.equal(third && itemsOf(third).length, 3, 'with two more it is full')
      await settled(tenant)
      t.strictSame(
        new Set((await deliveriesOf(tenant)).map(({ batches }) => batches[0])),
        new Set([...requests, third].map((one) => one && batchIdOf(one))),
      )
    },
  )

  t.test('whatever is there goes when the first has waited long enough', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxWaitMs: 300 })
    const ids = await publish(5)
    const [request] = await receiver.received(1)
    t.strictSame(request && idsOf(request), ids)
    await settled(tenant)
    t.equal(receiver.requests.length, 1)
  })

  t.test('a body is as long as it may be, and not longer', async (t) => {
    const data = 'x'.repeat(100)
    const alone = await bundle(t, { maxEvents: 4 })
    await alone.publish(4, { data })
    const [whole] = await alone.receiver.received(1)
    const bytes = Buffer.byteLength(whole?.body ?? '')

    const exact = await bundle(t, { maxBytes: bytes })
    await exact.publish(4, { data })
    const [four] = await exact.receiver.received(1)
    t.equal(four && itemsOf(four).length, 4, 'exactly as long: it is full')

    const less = await bundle(t, { maxBytes: bytes - 1 })
    await less.publish(4, { data })
    const [three] = await less.receiver.received(1)
    t.equal(three && itemsOf(three).length, 3, 'the fourth does not fit')

    const more = await bundle(t, { maxBytes: bytes + 1 })
    await more.publish(4, { data })
    await untilHolds(
      pool,
      'select events = 4 as holds from postrider.batch_room where tenant_id = $1',
      [more.tenant.id],
    )
    t.equal(more.receiver.requests.length, 0, 'one byte is left: it waits')

    const tiny = await bundle(t, { maxBytes: 1 })
    await tiny.publish(2)
    t.strictSame(
      (await tiny.receiver.received(2)).map((one) => itemsOf(one).length),
      [1, 1],
    )
  })

  t.test('a batch that failed comes again whole, with its id', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxEvents: 3 })
    receiver.answerWith((_, n) => (n < 3 ? 503 : 200))
    const ids = await publish(3)
    const requests = await receiver.received(3)
    t.equal(new Set(requests.map(batchIdOf)).size, 1)
    t.equal(new Set(requests.map(({ body }) => body)).size, 1, 'the same bytes')
    t.strictSame(requests[0] && idsOf(requests[0]), ids)
    await settled(tenant)
    for (const delivery of await deliveriesOf(tenant)) {
      t.match(delivery, {
        state: 'delivered',
        attempt_count: 3,
        outcomes: ['rejected', 'rejected', 'delivered'],
        batches: Array(3).fill(requests[0] && batchIdOf(requests[0])),
      })
    }
  })

  t.test('one that is too large is halved, down to one, which fails by the schedule', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxEvents: 5 })
    receiver.answerWith((request) =>
      itemsOf(request).length > 1 || request.body.includes('"n":4') ? 413 : 200,
    )
    const ids = await publish(5)
    await settled(tenant)
    const sizes = receiver.requests.map((one) => itemsOf(one).length)
    t.strictSame(
      sizes
        .filter((size) => size > 1)
        .sort()
        .reverse(),
      [5, 3, 2, 2],
    )
    const deliveries = await deliveriesOf(tenant)
    t.strictSame(
      deliveries.map(({ state }) => state),
      ['delivered', 'delivered', 'delivered', 'delivered', 'failed'],
    )
    const last = receiver.requests.filter(
      (one) => idsOf(one).length === 1 && idsOf(one)[0] === ids[4],
    )
    t.equal(last.length, 4, 'one attempt and three retries, as alone')
    t.equal(new Set(last.map(batchIdOf)).size, 1)
    t.equal(new Set(receiver.requests.map(batchIdOf)).size, 9, 'each half has another id')
    const { rows } = await pool.query(
      'select refusals from postrider.circuit where tenant_id = $1',
      [tenant.id],
    )
    t.ok((rows[0]?.refusals ?? 0) <= 4, 'halving is no refusal')
  })

  t.test('events that the receiver names come again without the others, together', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxEvents: 1000 })
    // An answer that is longer than what the audit log keeps of it.
    const unknown = Array.from({ length: 990 }, () => randomUUID())
    const named = [
      (ids: string[]) => [...unknown, ...ids.slice(-3)],
      (ids: string[]) => ids.slice(-1),
    ]
    receiver.answerWith((request, n) => ({
      status: 200,
      body: JSON.stringify({ failed: named[n - 1]?.(idsOf(request)) ?? null }),
    }))
    const ids = await publish(1000)
    const [first, ...others] = await receiver.received(3)
    t.strictSame(first && idsOf(first), ids)
    t.strictSame(others.map(idsOf), [ids.slice(-3), ids.slice(-1)])
    t.equal(new Set(receiver.requests.map(batchIdOf)).size, 3, 'each under another id')
    await settled(tenant)
    const deliveries = await deliveriesOf(tenant)
    t.match(deliveries[996], { state: 'delivered', outcomes: ['delivered'] })
    t.match(deliveries[997], {
      state: 'delivered',
      outcomes: ['rejected', 'delivered'],
      reasons: ['item_failed', null],
    })
    t.equal(receiver.requests.length, 3)
    const { rows } = await pool.query(
      'select max(length(response_body)) as kept from postrider.attempt where tenant_id = $1',
      [tenant.id],
    )
    t.equal(rows[0].kept, 1024, 'each attempt has its share of the answer')
  })

  for (const [way, failed] of (
    [
      ['next to what is no id', (id: string) => [null, 7, id.toUpperCase()]],
      ['with their errors', (id: string) => [{ id, error: 'no such invoice' }]],
      ['as keys', (id: string) => ({ [id]: 'no such invoice' })],
      ['alone', (id: string) => id],
    ] as const
  ).slice(0, isLong ? undefined : 1)) {
    t.test(`the receiver names events that have failed ${way}`, async (t) => {
      const { receiver, tenant, publish } = await bundle(t, { maxEvents: 2 })
      receiver.answerWith((request, n) => ({
        status: 200,
        body: `\uFEFF${JSON.stringify({ failed: n === 1 ? failed(idsOf(request)[0] ?? '') : [] })}`,
      }))
      const [first = ''] = await publish(2)
      const requests = await receiver.received(2)
      t.strictSame(requests.slice(1).map(idsOf), [[first]])
      await settled(tenant)
      t.equal(receiver.requests.length, 2)
    })
  }

  for (const [way, answer] of (
    [
      [
        'cut off',
        { headers: { 'content-length': '1000', connection: 'close' }, body: '{"failed":["' },
      ],
      ['late', { headers: { 'content-length': '1000' }, body: '{"failed":["' }],
      ['too long', { body: `{"failed":[],"more":"${'x'.repeat(65_536)}"}` }],
      ['not JSON', { body: `{"failed":[],}` }],
      [
        'cut off before the list',
        { headers: { 'content-length': '1000', connection: 'close' }, body: '{"fa' },
      ],
      ['late from the start', { headers: { 'content-length': '1000' }, body: '' }],
      ['a list behind 64 KiB', { body: `{"more":"${'x'.repeat(65_536)}","failed":[]}` }],
      [
        'cut off and compressed',
        {
          headers: { 'content-length': '1000', 'content-encoding': 'gzip', connection: 'close' },
          body: gzipSync('{"failed":[]}').subarray(0, 12),
        },
      ],
      [
        'compressed, a list behind 64 KiB',
        {
          headers: { 'content-encoding': 'gzip' },
          body: gzipSync(`{"more":"${'x'.repeat(65_536)}","failed":[]}`),
        },
      ],
    ] as const
  ).slice(0, isLong ? undefined : 1)) {
    t.test(`a batch whose failed events nobody can read comes again whole: ${way}`, async (t) => {
      const { receiver, tenant, publish } = await bundle(
        t,
        { maxEvents: 2 },
        { timeout_seconds: 1 },
      )
      receiver.answerWith((_request, n) => (n === 1 ? answer : 200))
      const ids = await publish(2)
      const requests = await receiver.received(2)
      t.strictSame(requests.map(idsOf), [ids, ids])
      t.equal(new Set(requests.map(batchIdOf)).size, 1, 'under its id')
      await settled(tenant)
      for (const delivery of await deliveriesOf(tenant)) {
        t.match(delivery, { state: 'delivered', reasons: ['item_failed', null] })
      }
    })
  }

  for (const [way, answer] of [
    ['no body', { body: '' }],
    ['no status but that', 204],
    [
      'a page that is cut off',
      { headers: { 'content-length': '1000', connection: 'close' }, body: '<p>ok' },
    ],
    ['a page of more than 64 KiB', { body: `<p>${'x'.repeat(65_536)}` }],
    [
      'an object that is whole, though not its length',
      { headers: { 'content-length': '1000', connection: 'close' }, body: '{"ok":true}' },
    ],
  ] as const) {
    t.test(`a response that cannot name failed events takes all: ${way}`, async (t) => {
      const { receiver, tenant, publish } = await bundle(t, { maxEvents: 2 })
      receiver.answerWith(() => answer)
      await publish(2)
      await settled(tenant)
      t.match(await deliveriesOf(tenant), [{ state: 'delivered' }, { state: 'delivered' }])
      t.equal(receiver.requests.length, 1)
    })
  }

  t.test('with an order, a batch has one event of a key, and later ones follow', async (t) => {
    const { receiver, tenant, publish } = await bundle(
      t,
      { maxEvents: 100, maxWaitMs: 200 },
      { ordering: 'key' },
    )
    receiver.answerWith((_, n) => (n % 3 === 1 ? 503 : 200))
    const sent = new Map<string, string[]>()
    for (const key of ['a', 'b', 'c']) sent.set(key, await publish(3, { orderingKey: key }))
    await settled(tenant)
    const keyOf = new Map([...sent].flatMap(([key, ids]) => ids.map((id) => [id, key] as const)))
    for (const request of receiver.requests) {
      const keys = idsOf(request).map((id) => keyOf.get(id))
      t.equal(new Set(keys).size, keys.length, 'never two of a key')
    }
    for (const ids of sent.values()) {
      const seen = receiver.requests.flatMap(idsOf).filter((id) => ids.includes(id))
      t.strictSame([...new Set(seen)], ids, 'in order')
      const ends = seen.filter(
        (id, at) => at > 0 && ids.indexOf(id) < ids.indexOf(seen[at - 1] ?? ''),
      )
      t.strictSame(ends, [], 'and never back')
    }
  })

  t.test('a batch takes one slot of the rate', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxEvents: 10 }, { rate_per_second: 4 })
    await publish(40)
    await settled(tenant)
    t.strictSame(
      receiver.requests.map((one) => itemsOf(one).length),
      [10, 10, 10, 10],
    )
    const { rows } = await pool.query(
      'select max(attempt_count) as attempts from postrider.delivery where tenant_id = $1',
      [tenant.id],
    )
    t.equal(rows[0].attempts, 1)
  })

  t.test('an endpoint that is told to send batches does so at once, and back', async (t) => {
    const { receiver, tenant, endpoint, publish } = await bundle(t, null)
    const [single] = await publish(1)
    await receiver.received(1)
    t.equal(receiver.requests[0]?.headers['webhook-id'], single)
    await pool.query(`update postrider.endpoint set batch_bounds = $2 where id = $1`, [
      endpoint.id,
      JSON.stringify({ maxEvents: 2, maxWaitMs: NEVER_MS, maxBytes: 100_000 }),
    ])
    const ids = await publish(2)
    const [, batch] = await receiver.received(2)
    t.strictSame(batch && idsOf(batch), ids)
    await pool.query('update postrider.endpoint set batch_bounds = null where id = $1', [
      endpoint.id,
    ])
    const [last] = await publish(1)
    const [, , again] = await receiver.received(3)
    t.equal(again && batchIdOf(again), last)
    await settled(tenant)
  })

  const inRoom = (endpoint: { id: string }, events: number) =>
    untilHolds(
      pool,
      'select count(*) = 1 as holds from postrider.batch_room where endpoint_id = $1 and events = $2',
      [endpoint.id, events],
    )
  const bind = (endpoint: { id: string }, bounds: object | null) =>
    pool.query('update postrider.endpoint set batch_bounds = $2 where id = $1', [
      endpoint.id,
      bounds && JSON.stringify({ ...{ maxEvents: 100, maxBytes: 1_000_000 }, ...bounds }),
    ])

  t.test('without batches any more, what waited for one comes alone', async (t) => {
    const { receiver, tenant, endpoint, publish } = await bundle(t, {})
    const ids = await publish(3)
    await inRoom(endpoint, 3)
    await bind(endpoint, null)
    t.strictSame((await receiver.received(3)).map(batchIdOf).sort(), ids.toSorted())
    await settled(tenant)
    const { rows } = await pool.query('select from postrider.batch where tenant_id = $1', [
      tenant.id,
    ])
    t.equal(rows.length, 0, 'nothing is left of the batch')
  })

  t.test('other bounds hold for what waits: a shorter wait, fewer events or bytes', async (t) => {
    const shorter = await bundle(t, {})
    const ids = await shorter.publish(2)
    await inRoom(shorter.endpoint, 2)
    await bind(shorter.endpoint, { maxWaitMs: 0 })
    t.strictSame((await shorter.receiver.received(1)).map(idsOf), [ids])
    await settled(shorter.tenant)

    const fewer = await bundle(t, {})
    const five = await fewer.publish(5)
    await inRoom(fewer.endpoint, 5)
    await bind(fewer.endpoint, { maxEvents: 2, maxWaitMs: NEVER_MS })
    const pairs = await fewer.receiver.received(2)
    t.strictSame(
      pairs.map((one) => itemsOf(one).length),
      [2, 2],
    )
    await inRoom(fewer.endpoint, 1)
    t.strictSame(
      pairs.flatMap(idsOf).sort(),
      five.slice(0, 4).sort(),
      'the fifth waits for a sixth',
    )

    const smaller = await bundle(t, {})
    const [first] = await smaller.publish(1)
    await inRoom(smaller.endpoint, 1)
    await bind(smaller.endpoint, { maxBytes: 1, maxWaitMs: NEVER_MS })
    t.strictSame((await smaller.receiver.received(1)).map(idsOf), [[first]])
  })

  t.test('larger bounds leave what waits where it is, and a longer wait holds', async (t) => {
    const { endpoint, receiver, publish } = await bundle(t, { maxEvents: 4, maxWaitMs: 1_800_000 })
    const three = await publish(3)
    await inRoom(endpoint, 3)
    await bind(endpoint, { maxEvents: 5, maxWaitMs: NEVER_MS })
    const [fourth] = await publish(1)
    await untilHolds(
      pool,
      `select count(*) = 1 as holds from postrider.batch_room r
       where r.endpoint_id = $1 and r.events = 4 and r.due = (
         select min(next_attempt_at) from postrider.delivery where endpoint_id = $1) + interval '1 hour'`,
      [endpoint.id],
    )
    const [fifth] = await publish(1)
    t.strictSame((await receiver.received(1)).map(idsOf), [[...three, fourth, fifth]])
  })

  t.test('an event that a later one of its key waits for does not wait for others', async (t) => {
    const { receiver, endpoint, publish } = await bundle(t, {}, { ordering: 'key' })
    const [b1] = await publish(1, { orderingKey: 'b' })
    const [a1] = await publish(1, { orderingKey: 'a' })
    await inRoom(endpoint, 2)
    const [a2] = await publish(1, { orderingKey: 'a' })
    t.strictSame((await receiver.received(1)).map(idsOf), [[b1, a1]])
    await inRoom(endpoint, 1)
    const [a3] = await publish(1, {
      orderingKey: 'a',
      deliverAt: new Date(Date.now() + NEVER_MS).toISOString(),
    })
    t.strictSame((await receiver.received(2)).map(idsOf)[1], [a2], 'also where that is for later')
    t.ok(a3)
  })

  t.test('an event for later comes when it is due, and a test alone and at once', async (t) => {
    const { receiver, tenant, endpoint, publish } = await bundle(t, { maxEvents: 2 })
    const later = new Date(Date.now() + 1500).toISOString()
    const [second] = await publish(1, { deliverAt: later })
    const [first] = await publish(1)
    const { rows } = await pool.query<{ id: string }>(
      `select event_id as id from postrider.publish_test($1, 'invoice.paid', '{}')`,
      [endpoint.id],
    )
    const [test, both] = await receiver.received(2)
    t.strictSame(test && idsOf(test), [rows[0]?.id])
    t.strictSame(both && idsOf(both).sort(), [first, second].sort())
    t.ok((both?.receivedAt.toISOString() ?? '') >= later)
    await settled(tenant)
  })

  t.test('an event that was erased is left out, and the others go', async (t) => {
    const { receiver, tenant, publish } = await bundle(t, { maxEvents: 3 })
    const [first = '', second = ''] = await publish(2)
    await pool.query('update postrider.event set data = null where id = $1', [first])
    const [third = ''] = await publish(1)
    const [request] = await receiver.received(1)
    t.strictSame(request && idsOf(request), [second, third])
    await settled(tenant)
    const deliveries = await deliveriesOf(tenant)
    t.match(deliveries[0], { state: 'failed', reasons: ['erased'] })
    t.match(deliveries[1], { state: 'delivered' })
  })

  t.test('a delivery that a runner has in hand twice leaves no job behind', async (t) => {
    const { receiver, tenant, endpoint, publish } = await bundle(t, {})
    const isHeld = (event: string | undefined, jobs: number) =>
      untilHolds(
        pool,
        `select count(*) = $2 as holds from postrider.delivery d
         join graphile_worker._private_jobs j on j.payload->>'d' = d.id::text
         where d.event_id = $1 and j.locked_at is not null`,
        [event, jobs],
      )
    await publish(1)
    await untilHolds(
      pool,
      'select count(*) = 1 as holds from postrider.batch_room where endpoint_id = $1 and events = 1',
      [endpoint.id],
    )
    const blocker = await pool.connect()
    t.teardown(() => blocker.release())
    await blocker.query('begin')
    await blocker.query('select from postrider.batch_room where endpoint_id = $1 for update', [
      endpoint.id,
    ])
    const [turn] = await publish(1)
    await isHeld(turn, 1)
    const [twice] = await publish(1)
    await isHeld(twice, 1)
    await pool.query(
      `select postrider.retry_now(id, 'test') from postrider.delivery where event_id = $1`,
      [twice],
    )
    await isHeld(twice, 2)
    const answer = Promise.withResolvers<void>()
    receiver.answerWith(async () => {
      await answer.promise
      return { status: 200 }
    })
    await blocker.query('commit')

    const [request] = await receiver.received(1)
    t.strictSame(request && idsOf(request), [twice], 'once, as a person wanted it: alone')
    await isHeld(twice, 1)
    const { rows } = await pool.query(
      `select j.key = 'd:' || d.id as is_kept from postrider.delivery d
       join graphile_worker._private_jobs j on j.payload->>'d' = d.id::text where d.event_id = $1`,
      [twice],
    )
    t.strictSame(rows, [{ is_kept: true }], 'the job that would wake another runner stays')
    answer.resolve()
    await isHeld(twice, 0)
    await isHeld(turn, 0)
    t.notOk(
      runner.lines.find(({ msg }) => msg === 'runner.jobs_returned'),
      'nothing had to be found again',
    )
    t.equal((await deliveriesOf(tenant)).filter(({ state }) => state === 'delivered').length, 1)
  })

  t.test('it stops in order, and nothing is out of place', async (t) => {
    t.equal(await runner.stop(), 0)
    const { rows } = await pool.query('select * from postrider.invariant_violation')
    t.strictSame(rows, [])
  })
})

if (isLong)
  t.test(
    'when the answer is lost with the runner, the same events come again under the same id',
    async (t) => {
      const { receiver, tenant, publish } = await bundle(t, { maxEvents: 4 })
      receiver.answerWith((_, n) => (n === 1 ? new Promise<number>(() => undefined) : 200))
      const first = await startService(t, 'runner', SETTINGS)
      const ids = await publish(4)
      await receiver.received(1)
      await first.stop('SIGKILL')
      await startService(t, 'runner', SETTINGS)
      await publish(3)
      const [cut, again] = await receiver.received(2)
      t.strictSame(
        [cut, again].map((one) => one && idsOf(one)),
        [ids, ids],
      )
      t.equal(cut && batchIdOf(cut), again && batchIdOf(again))
      await untilHolds(
        pool,
        `select count(*) = 4 as holds from postrider.delivery where tenant_id = $1 and state = 'delivered'`,
        [tenant.id],
      )
      const [delivery] = await deliveriesOf(tenant)
      t.match(delivery, { outcomes: ['abandoned', 'delivered'], reasons: ['runner_lost', null] })
    },
  )

t.test('two runners fill one batch together', async (t) => {
  await Promise.all([startService(t, 'runner', SETTINGS), startService(t, 'runner', SETTINGS)])
  const { receiver, tenant, publish } = await bundle(t, { maxEvents: 60 })
  const published = await Promise.all(Array.from({ length: 60 }, () => publish(1)))
  const [request] = await receiver.received(1)
  t.strictSame(request && idsOf(request).sort(), published.flat().sort())
  await settled(tenant)
  t.equal(receiver.requests.length, 1)
})
