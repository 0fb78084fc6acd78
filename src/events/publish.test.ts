import type { Pool } from 'pg'
import t from 'tap'
import { createPool } from '../postgres/pool.ts'
import { holdKeys, holdOrderingKeys, slowDownKeys } from '../testing/data/idempotency.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createPublisher } from './publish.ts'
import { DatabaseUnavailable, PublishRefused } from './publish-refused.ts'
import type { PublishItem } from './publisher.ts'

const { url, pool } = await createTestDatabase(t)
/** As the API has it. */
const publishing = createPool({
  connectionString: url,
  max: 4,
  applicationName: 'publish-test',
})
t.teardown(() => publishing.end())

/** Counts what is sent to the database, and lets a test answer in its place. */
function counted(answer?: (sent: number) => Promise<unknown>) {
  const sent: string[] = []
  const query = async (statement: { values?: unknown[] }, values?: unknown[]) => {
    if (statement.values) sent.push(String(statement.values[0]))
    const answered = statement.values && (await answer?.(sent.length))
    return answered ?? publishing.query(statement as never, values as never)
  }
  return { pool: { query } as unknown as Pool, sent }
}

async function bundle(
  answer?: (sent: number) => Promise<unknown>,
  options: Partial<Parameters<typeof createPublisher>[0]> = {},
) {
  const tenant = await createTenant(pool)
  const { pool: counting, sent } = counted(answer)
  const publisher = createPublisher({ pool: counting, lanes: 1, ...options })
  const item = (body: unknown, overrides: Partial<PublishItem> = {}): PublishItem => ({
    body: typeof body === 'string' ? body : JSON.stringify(body),
    tenant: tenant.key,
    idempotencyKey: null,
    ...overrides,
  })
  const stored = async () => {
    const text = `select id, data::text, idempotency_key from postrider.event where tenant_id = $1 order by id`
    const { rows } = await pool.query<{ id: string; data: string }>(text, [tenant.id])
    return rows
  }
  return { tenant, publisher, item, stored, sent }
}

const PATIENT = { keyWaitMsMax: Number.POSITIVE_INFINITY }

const paid = (data: unknown) => ({ type: 'invoice.paid', data })

t.test('stores the event with a delivery and a job for each endpoint that wants it', async (t) => {
  const { tenant, publisher, item } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a', event_types: ['invoice.*'] })
  await tenant.addEndpoint({ url: 'http://127.0.0.1/b', event_types: ['order.*'] })
  const published = await publisher.publish(item(paid({ id: 1 })))
  t.match(published, { deliveries: 1, duplicate: false })
  const { rows } = await pool.query(
    `select d.state, j.task_identifier as task
     from postrider.delivery d join graphile_worker.jobs j on j.key = 'd:' || d.id
     where d.event_id = $1`,
    [published.id],
  )
  t.strictSame(rows, [{ state: 'pending', task: 'deliver' }])
})

t.test('an event that nobody wants is stored anyway', async (t) => {
  const { publisher, item, stored } = await bundle()
  const { id, deliveries } = await publisher.publish(item(paid(1)))
  t.equal(deliveries, 0)
  t.match(await stored(), [{ id, data: '1' }])
})

t.test(
  'keeps the bytes of the data: large numbers, key order, spacing, repeated names',
  async (t) => {
    const { publisher, item, stored } = await bundle()
    const data = '{"z": 12345678901234567890.10,\n "a":1e2, "z":0.1000}'
    await publisher.publish(item(`{"data":${data},"type":"invoice.paid"}  \n`))
    t.match(await stored(), [{ data }])
  },
)

t.test('what the publisher sets wins over the body', async (t) => {
  const { publisher, item, stored } = await bundle()
  const body = { tenant: 'somebody-else', idempotencyKey: 'theirs', ...paid(1) }
  await publisher.publish(item(body))
  t.match(await stored(), [{ idempotency_key: null }])
})

t.test('groups concurrent events, and a bad one spoils no neighbour', async (t) => {
  const { publisher, item, stored, sent } = await bundle()
  const bad: Record<number, [PublishItem, string, string]> = {
    10: [item(paid(1), { tenant: 'nobody' }), 'tenant_not_found', 'tenant'],
    60: [item({ type: 'not a type', data: 1 }), 'type_invalid', 'type'],
    110: [item({ type: 'invoice.paid' }), 'data_missing', 'data'],
    150: [item('{"type":"invoice.paid","data":"\\u0000"}'), 'data_unsupported', 'data'],
    151: [item('{"type":"invoice.paid","data":"\\ud800"}'), 'data_unsupported', 'data'],
    200: [item('{"type":"invoice.paid","data":1e200000}'), 'data_unsupported', 'data'],
    210: [
      item({ ...paid(1), deliverAt: '2999-01-01T00:00:00Z' }),
      'deliver_at_too_far',
      'deliverAt',
    ],
    220: [item({ ...paid(1), occurredAt: 'yesterday-ish' }), 'occurred_at_invalid', 'occurredAt'],
  }
  const results = await Promise.allSettled(
    Array.from({ length: 250 }, (_, n) => publisher.publish(bad[n]?.[0] ?? item(paid({ n })))),
  )
  for (const [n, result] of results.entries()) {
    const [, code, field] = bad[n] ?? []
    if (code) t.match(result, { reason: { name: 'PublishRefused', code, field } }, `${n}`)
    else if (result.status === 'rejected') t.fail(`${n} was refused`, { reason: result.reason })
  }
  const numbers = (await stored()).map(({ data }) => JSON.parse(data).n)
  t.equal(numbers.length, 250 - Object.keys(bad).length)
  t.equal(new Set(numbers).size, numbers.length)
  t.ok(sent.length <= 10, `${sent.length} statements`)
})

t.test('first events of many tenants share statements, with keys and without', async (t) => {
  const { publisher, item, sent } = await bundle()
  const tenants = await Promise.all(Array.from({ length: 41 }, () => createTenant(pool)))
  const published = await Promise.all(
    tenants.map(({ key }, n) =>
      publisher.publish(item(paid(n), { tenant: key, idempotencyKey: n % 2 ? `key-${n}` : null })),
    ),
  )
  t.equal(new Set(published.map(({ id }) => id)).size, 41)
  t.strictSame(
    sent.map((items) => JSON.parse(items).length),
    [20, 20, 1],
  )
})

t.test('a first event whose key is held leaves those that it came with', async (t) => {
  const { tenant, publisher, item, stored } = await bundle(undefined, PATIENT)
  const other = await createTenant(pool)
  const producer = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const waiting = publisher.publish(item(paid(1), { idempotencyKey: 'held' }))
  await publisher.publish(item(paid(2), { tenant: other.key }))
  t.strictSame(await stored(), [])
  await producer.query('rollback')
  t.match(await waiting, { duplicate: false })
})

t.test('a refusal says what to do, in the words that SQL callers get', async (t) => {
  const { publisher, item } = await bundle()
  const refusal = publisher.publish(item(paid(1), { tenant: 'nobody' }))
  await t.rejects(refusal, { message: /no tenant has this key.*Create it first/ })
})

t.test('answers in the order of the items', async (t) => {
  const { publisher, item, stored } = await bundle()
  const published = await Promise.all([3, 1, 2].map((n) => publisher.publish(item(paid(n)))))
  const byId = new Map((await stored()).map(({ id, data }) => [id, data]))
  t.strictSame(
    published.map(({ id }) => byId.get(id)),
    ['3', '1', '2'],
  )
})

t.test('concurrent repeats of a key create one event', async (t) => {
  const { tenant, item, stored } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  // Two publishers, as two API processes would be.
  const publishers = [createPublisher({ pool: publishing }), createPublisher({ pool: publishing })]
  const repeat = item(paid({ id: 1 }), { idempotencyKey: 'order-1' })
  const published = await Promise.all(
    Array.from({ length: 60 }, (_, n) => publishers[n % 2]?.publish(repeat)),
  )
  t.equal(new Set(published.map((result) => result?.id)).size, 1)
  t.equal(published.filter((result) => result?.duplicate === false).length, 1)
  t.ok(published.every((result) => result?.deliveries === 1))
  t.equal((await stored()).length, 1)
})

t.test('a key that was used for another event is refused', async (t) => {
  const { publisher, item, stored } = await bundle()
  await publisher.publish(item(paid(1), { idempotencyKey: 'k' }))
  await t.rejects(publisher.publish(item(paid(2), { idempotencyKey: 'k' })), {
    code: 'idempotency_key_reused',
    field: 'idempotencyKey',
  })
  t.equal((await stored()).length, 1)
})

t.test(
  'forty twins of one process are one statement, and thirty-nine are duplicates',
  async (t) => {
    const { tenant, publisher, item, stored, sent } = await bundle(undefined, { keyWaitMsMax: 0 })
    await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
    const repeat = item(paid(1), { idempotencyKey: 'k' })
    const published = await Promise.all(Array.from({ length: 40 }, () => publisher.publish(repeat)))
    t.equal(sent.length, 1)
    const id = (await stored())[0]?.id
    t.strictSame(published, [
      { id, deliveries: 1, duplicate: false },
      ...Array(39).fill({ id, deliveries: 1, duplicate: true }),
    ])
  },
)

t.test('of twins with different bodies the first wins, the others are refused', async (t) => {
  const { publisher, item, stored } = await bundle()
  const twins = [1, 2, 1, 2].map((n) => publisher.publish(item(paid(n), { idempotencyKey: 'k' })))
  const reused = { status: 'rejected', reason: { code: 'idempotency_key_reused' } }
  t.match(await Promise.allSettled(twins), [
    { value: { duplicate: false } },
    reused,
    { value: { duplicate: true } },
    reused,
  ])
  t.match(await stored(), [{ data: '1' }])
})

t.test('a twin that fails leaves its turn to the next one', async (t) => {
  const lost = new Error('Connection terminated unexpectedly')
  const { publisher, item, stored, sent } = await bundle(async (n) => {
    if (n === 1) throw lost
  })
  const twins = [1, 2, 3].map(() => publisher.publish(item(paid(1), { idempotencyKey: 'k' })))
  t.match(await Promise.allSettled(twins), [
    { reason: { code: 'database_unavailable' } },
    { value: { duplicate: false } },
    { value: { duplicate: true } },
  ])
  t.equal(sent.length, 2)
  t.equal((await stored()).length, 1)
})

t.test('twins of two processes never meet a busy key, however slow the disk is', async (t) => {
  const { item, stored } = await bundle()
  await slowDownKeys(t, pool)
  const publishers = [createPublisher({ pool: publishing }), createPublisher({ pool: publishing })]
  const repeat = item(paid(1), { idempotencyKey: 'k' })
  const published = await Promise.all(
    Array.from({ length: 40 }, (_, n) => publishers[n % 2]?.publish(repeat)),
  )
  t.equal(published.filter((one) => one?.duplicate === false).length, 1)
  t.equal((await stored()).length, 1)
})

/** A tenant whose events have eleven deliveries, one more than may go together. */
async function addWide(tenant: { addEndpoint(columns: { url: string }): Promise<unknown> }) {
  for (let n = 0; n < 11; n += 1) await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
}

const eventsIn = (statement: string): { tenant: string }[] => JSON.parse(statement)

// Issue 15: 20 events at once of a tenant with 1,000 endpoints took a neighbour's from 9 to 500 ms.
for (const isKeyed of [false, true]) {
  t.test(
    `events with many deliveries go alone, in turn with those of others: ${isKeyed ? 'with keys' : 'without'}`,
    async (t) => {
      const { tenant, publisher, item, sent } = await bundle()
      await addWide(tenant)
      const [neighbour, unknown] = [await createTenant(pool), await createTenant(pool)]
      const key = (n: number | string) => (isKeyed ? { idempotencyKey: `key-${n}` } : {})
      await publisher.publish(item(paid(1), { tenant: neighbour.key, ...key('a') }))
      let stored = 0
      const wide = Array.from({ length: 20 }, async (_, n) => {
        await publisher.publish(item(paid(n), key(n)))
        stored += 1
      })
      const own = publisher.publish(item(paid(2), { tenant: neighbour.key, ...key('b') }))
      await Promise.all([
        own.then(() => t.ok(stored < 20, `${stored} were before it`)),
        publisher
          .publish(item(paid(3), { tenant: unknown.key }))
          .then(() => t.ok(stored < 20, `${stored} were before that of one that is not known`)),
      ])
      await Promise.all(wide)
      t.strictSame(
        sent.map((statement) => eventsIn(statement).length).sort(),
        [...Array(21).fill(1), 2],
        'only the first of both that were not known went together',
      )
    },
  )
}

t.test(
  'when the first event of a tenant was refused, those that waited for it go alone',
  async (t) => {
    const { tenant, publisher, item, sent } = await bundle()
    await addWide(tenant)
    const events = [item(paid(undefined)), ...[1, 2, 3].map((n) => item(paid(n)))]
    const results = await Promise.allSettled(events.map(publisher.publish))
    t.strictSame(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
    t.equal(sent.length, 4)
  },
)

for (const [end, duplicate] of [
  ['commit', true],
  ['rollback', false],
] as const) {
  t.test(`events whose keys are held wait, and delay nobody: ${end}`, async (t) => {
    const { tenant, publisher, item, stored } = await bundle(undefined, PATIENT)
    const keys = Array.from({ length: 200 }, (_, n) => `held-${n}`)
    const producer = await holdKeys(t, pool, { tenant: tenant.key, keys })
    const waiting = Promise.all(
      keys.map((idempotencyKey) => publisher.publish(item(paid(1), { idempotencyKey }))),
    )
    const large = paid('x'.repeat(20_000))
    const others = [
      item(paid(2)),
      item(paid(3), { idempotencyKey: 'free' }),
      item(large),
      item(large, { idempotencyKey: 'large' }),
    ]
    await Promise.all(others.map(publisher.publish))
    t.equal((await stored()).length, 4)
    t.ok(publishing.totalCount <= 4)
    await producer.query(end)
    const published = await waiting
    t.strictSame(new Set(published.map((one) => one.duplicate)), new Set([duplicate]))
    t.equal((await stored()).length, 204)
  })
}

t.test('an event whose ordering key a producer holds waits, and delays nobody', async (t) => {
  const { tenant, publisher, item, stored } = await bundle(undefined, PATIENT)
  const ordered = (data: unknown, orderingKey: string) =>
    item({ ...paid(data), orderingKey }, { isOrdered: true })
  await publisher.publish(ordered(0, 'held'))
  const producer = await holdOrderingKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const waiting = Promise.all([2, 3].map((n) => publisher.publish(ordered(n, 'held'))))
  await Promise.all([publisher.publish(item(paid(4))), publisher.publish(ordered(5, 'free'))])
  t.equal((await stored()).length, 3)
  await producer.query('commit')
  t.match(await waiting, [{ duplicate: false }, { duplicate: false }])
  t.equal((await stored()).length, 6)
})

t.test('one that waits is refused once the producer has committed another body', async (t) => {
  const { tenant, publisher, item, stored } = await bundle(undefined, PATIENT)
  const producer = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const waiting = publisher.publish(item(paid(2), { idempotencyKey: 'held' }))
  await publisher.publish(item(paid(3), { idempotencyKey: 'behind it' }))
  await producer.query('commit')
  await t.rejects(waiting, { name: 'PublishRefused', code: 'idempotency_key_reused' })
  t.strictSame((await stored()).map(({ data }) => data).sort(), ['1', '3'])
})

t.test(
  'a key that is held for too long is busy, for all its twins, and free afterwards',
  async (t) => {
    const { tenant, publisher, item, stored } = await bundle(undefined, { keyWaitMsMax: 100 })
    const producer = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
    const held = item(paid(1), { idempotencyKey: 'held' })
    const twins = await Promise.allSettled([1, 2, 3].map(() => publisher.publish(held)))
    const busy = { reason: { name: 'PublishRefused', code: 'idempotency_key_busy' } }
    t.match(twins, [busy, busy, busy])
    await producer.query('rollback')
    t.match(await publisher.publish(held), { duplicate: false })
    t.equal((await stored()).length, 1)
  },
)

t.test('is idle once those that wait for a key are answered', async (t) => {
  const { tenant, publisher, item } = await bundle(undefined, PATIENT)
  const producer = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  let answered = 0
  const waiting = [1, 2].map(async () => {
    await publisher.publish(item(paid(1), { idempotencyKey: 'held' }))
    answered += 1
  })
  await publisher.publish(item(paid(2), { idempotencyKey: 'behind it' }))
  const idle = publisher.idle().then(() => t.equal(answered, 2))
  await producer.query('rollback')
  await Promise.all([...waiting, idle])
})

t.test('a statement that loses against another transaction is tried again', async (t) => {
  const conflict = Object.assign(new Error('conflict'), { code: '40001' })
  const { publisher, item, stored, sent } = await bundle(async (n) => {
    if (n < 3) throw conflict
  })
  await publisher.publish(item(paid(1)))
  t.equal(sent.length, 3)
  t.equal((await stored()).length, 1)
})

t.test('gives up on a conflict that does not end', async (t) => {
  const { publisher, item, sent } = await bundle(async () => {
    throw Object.assign(new Error('conflict'), { code: '40001' })
  })
  await t.rejects(publisher.publish(item(paid(1))), DatabaseUnavailable)
  t.equal(sent.length, 3)
})

t.test('a lost connection is not tried again: the events may be stored', async (t) => {
  const { publisher, item, sent } = await bundle(async () => {
    throw new Error('Connection terminated unexpectedly')
  })
  const results = [1, 2, 3].map((n) => publisher.publish(item(paid(n))))
  for (const result of await Promise.allSettled(results)) {
    t.match(result, { reason: { name: 'DatabaseUnavailable', code: 'database_unavailable' } })
  }
  t.equal(sent.length, 2, 'the first alone, the others together')
})

t.test(
  'while the database hangs, anyone who waits behind the first batch is refused with it',
  async (t) => {
    const { item } = await bundle()
    const proxy = await startPostgresProxy(t, url)
    const through = createPool({
      connectionString: proxy.url,
      max: 2,
      applicationName: 'publish-test',
      silenceMsMax: 300,
    })
    t.teardown(() => through.end())
    let statements = 0
    const query = (...args: Parameters<Pool['query']>) => {
      statements += 1
      return through.query(...args)
    }
    const publisher = createPublisher({ pool: { query } as Pool, lanes: 1, waitMsMax: 100 })
    t.ok(await publisher.publish(item(paid(0))))
    proxy.hang()
    const results = await Promise.allSettled(
      Array.from({ length: 600 }, (_, n) => publisher.publish(item(paid(n)))),
    )
    t.ok(
      results.every(
        (one) => one.status === 'rejected' && one.reason instanceof DatabaseUnavailable,
      ),
    )
    t.equal(statements, 2, 'the five batches behind it were not sent')
    proxy.mend()
    t.ok(await publisher.publish(item(paid(1))), 'and it goes on')
  },
)

t.test('a fault of ours is not repeated for every item', async (t) => {
  const { publisher, item, sent } = await bundle(async () => {
    throw Object.assign(new Error('no such function'), { code: '42883' })
  })
  const results = [1, 2, 3].map((n) => publisher.publish(item(paid(n))))
  t.ok((await Promise.allSettled(results)).every(({ status }) => status === 'rejected'))
  t.equal(sent.length, 2, 'the first alone, the others together')
})

t.test('is idle once everything is answered', async (t) => {
  const { publisher, item, stored } = await bundle()
  const published = [item(paid(1)), item(paid(2), { idempotencyKey: 'k' })].map(publisher.publish)
  await publisher.idle()
  t.equal((await stored()).length, 2)
  await Promise.all(published)
})

t.test('SQL: a rollback leaves no event, delivery or job; a commit leaves all three', async (t) => {
  const { tenant } = await bundle()
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const count = async () => {
    const { rows } = await pool.query(
      `select (select count(*)::int from postrider.event where tenant_id = $1) as events,
         (select count(*)::int from postrider.delivery where tenant_id = $1) as deliveries,
         (select count(*)::int from graphile_worker.jobs j join postrider.delivery d
           on j.key = 'd:' || d.id where d.tenant_id = $1) as jobs,
         (select count(*)::int from postrider.idempotency where tenant_id = $1) as keys`,
      [tenant.id],
    )
    return rows[0]
  }
  const jobsBefore = await countJobs()
  const producer = await pool.connect()
  const publish = () =>
    producer.query(`select postrider.publish($1, 'invoice.paid', '{"id":1}', 'key')`, [tenant.key])
  await producer.query('begin')
  await publish()
  await producer.query('rollback')
  t.strictSame(await count(), { events: 0, deliveries: 0, jobs: 0, keys: 0 })
  t.equal(await countJobs(), jobsBefore)

  await producer.query('begin')
  await publish()
  t.strictSame(await count(), { events: 0, deliveries: 0, jobs: 0, keys: 0 }, 'not visible yet')
  await producer.query('commit')
  producer.release()
  t.strictSame(await count(), { events: 1, deliveries: 1, jobs: 1, keys: 1 })
})

async function countJobs(): Promise<number> {
  const { rows } = await pool.query('select count(*)::int as jobs from graphile_worker.jobs')
  return rows[0].jobs
}

t.test('SQL: a refused event raises with the argument named', async (t) => {
  const { tenant } = await bundle()
  const publishing = pool.query(`select postrider.publish($1, 'no type', '1')`, [tenant.key])
  await t.rejects(publishing, { code: '22023', column: 'type', message: /^type_invalid: / })
  t.notOk((await publishing.catch((error: unknown) => error)) instanceof PublishRefused)
})
