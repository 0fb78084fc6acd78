import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createPublisher } from './publish.ts'

const { pool } = await createTestDatabase(t)

const ONE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const OTHER = '00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00'

async function traceOf(eventId: string | null) {
  const { rows } = await pool.query(
    'select traceparent, tracestate from postrider.event where id = $1',
    [eventId],
  )
  return rows[0]
}

/** Publishes items in one call and tells the trace of each, null where it was refused. */
async function publishMany(items: object[]) {
  const { rows } = await pool.query<{ event_id: string | null }>(
    'select event_id from postrider.publish_many($1) order by ordinal',
    [JSON.stringify(items)],
  )
  return await Promise.all(rows.map(({ event_id }) => event_id && traceOf(event_id)))
}

t.test('publish() keeps the trace that its transaction says it belongs to', async (t) => {
  const tenant = await createTenant(pool)
  const producer = await pool.connect()
  const publish = async () => {
    const { rows } = await producer.query(`select postrider.publish($1, 'a.b', '1') as id`, [
      tenant.key,
    ])
    return rows[0].id
  }
  await producer.query('begin')
  await producer.query(`select set_config('postrider.traceparent', $1, true)`, [ONE])
  await producer.query(`select set_config('postrider.tracestate', 'vendor=1', true)`)
  const traced = await publish()
  await producer.query('commit')
  const untraced = await publish()
  producer.release()
  t.strictSame(await traceOf(traced), { traceparent: ONE, tracestate: 'vendor=1' })
  t.strictSame(await traceOf(untraced), { traceparent: null, tracestate: null })
})

t.test('each item of publish_many has its own trace', async (t) => {
  const item = { tenant: (await createTenant(pool)).key, type: 'a.b', data: { traceparent: OTHER } }
  t.strictSame(
    await publishMany([
      { ...item, traceparent: ONE, tracestate: 'vendor=1' },
      item,
      { ...item, traceparent: OTHER },
      { ...item, traceparent: 'nonsense', tracestate: 'vendor=1' },
      { ...item, traceparent: ONE, tracestate: 'x'.repeat(513) },
      { ...item, traceparent: ONE, type: 'not a type' },
    ]),
    [
      { traceparent: ONE, tracestate: 'vendor=1' },
      { traceparent: null, tracestate: null },
      { traceparent: OTHER, tracestate: null },
      { traceparent: null, tracestate: null },
      { traceparent: ONE, tracestate: null },
      null,
    ],
  )
})

t.test(
  'a trace costs no event: where an item cannot be parsed, its neighbours are stored',
  async (t) => {
    const item = { tenant: (await createTenant(pool)).key, type: 'a.b', data: 1, traceparent: ONE }
    const [stored, refused] = await publishMany([item, { ...item, data: '\u0000' }])
    t.ok(stored)
    t.equal(refused, null)
  },
)

t.test('events that arrive at the same time keep their own traces', async (t) => {
  const publisher = createPublisher({ pool })
  const { key: tenant } = await createTenant(pool)
  const body = JSON.stringify({ type: 'a.b', data: 1 })
  const traces = [
    { traceparent: ONE, tracestate: 'a="1"' },
    null,
    { traceparent: OTHER, tracestate: null },
  ]
  const published = await Promise.all(
    traces.map((trace) => publisher.publish({ body, tenant, idempotencyKey: null, trace })),
  )
  t.strictSame(
    await Promise.all(published.map(({ id }) => traceOf(id))),
    traces.map((trace) => trace ?? { traceparent: null, tracestate: null }),
  )
})
