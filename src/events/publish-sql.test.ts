import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const MIB = 1_048_576
const clients = readFileSync(
  new URL('../../docs/how-to/publish-from-sql.md', import.meta.url),
  'utf8',
)

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle() {
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
    const publishMany = async (...events: object[]) =>
      (
        await pool.query('select * from postrider.publish_many($1)', [
          JSON.stringify(
            events.map((event) => ({ tenant: tenant.key, type: 'a.b', data: 1, ...event })),
          ),
        ])
      ).rows
    const stored = async () =>
      (
        await pool.query(
          `select (select count(*)::int from postrider.event where tenant_id = $1) as events,
             (select count(*)::int from postrider.delivery where tenant_id = $1) as deliveries,
             (select count(*)::int from graphile_worker._private_jobs j join postrider.delivery d
              on j.key = 'd:' || d.id where d.tenant_id = $1) as jobs`,
          [tenant.id],
        )
      ).rows[0]
    return { tenant, publishMany, stored }
  }

  t.test('a rollback leaves no event, delivery or job; a commit leaves each', async (t) => {
    const { tenant, stored } = await bundle()
    const producer = await pool.connect()
    for (const [end, count] of [
      ['rollback', 0],
      ['commit', 1],
    ] as const) {
      await producer.query('begin')
      await producer.query(`select postrider.publish($1, 'invoice.paid', '{"id": 1}')`, [
        tenant.key,
      ])
      await producer.query(end)
      t.same(await stored(), { events: count, deliveries: count, jobs: count }, end)
    }
    producer.release()
  })

  t.test(
    'a transaction that published can be prepared as docs/how-to/publish-from-sql.md says',
    async (t) => {
      const { tenant, stored } = await bundle()
      const runner = await pool.connect()
      const producer = await pool.connect()
      await runner.query('select postrider.set_bell()')
      const publish = `select postrider.publish($1, 'a.b', '1')`
      await producer.query('begin')
      await producer.query(publish, [tenant.key])
      const preparing = producer.query(`prepare transaction 'two-phase'`)
      const { code, message } = await preparing.catch((error) => error)
      t.equal(code, '0A000')
      t.ok(clients.includes(`> ${message}\n`), message)
      t.same(await stored(), { events: 0, deliveries: 0, jobs: 0 })

      const setting = /`(set local postrider\.wake = 'off')`/.exec(clients)?.[1]
      await producer.query(`begin; ${setting}`)
      await producer.query(publish, [tenant.key])
      await producer.query(`prepare transaction 'two-phase'`)
      await producer.query(`commit prepared 'two-phase'`)
      t.same(await stored(), { events: 1, deliveries: 1, jobs: 1 })
      producer.release()
      runner.release(true)
    },
  )

  t.test('data of 1 MiB is stored, one byte more is refused and nothing is', async (t) => {
    const { tenant, stored } = await bundle()
    const publish = (bytes: number) =>
      pool.query(`select postrider.publish($1, 'a.b', $2::json)`, [
        tenant.key,
        `"${'x'.repeat(bytes - 2)}"`,
      ])
    await publish(MIB)
    await t.rejects(publish(MIB + 1), { code: '22023', column: 'data', message: /data_too_large/ })
    t.match(await stored(), { events: 1 })
  })

  t.test('a repeat counts as one only with the times that were given before', async (t) => {
    const { publishMany } = await bundle()
    const first = { idempotencyKey: 'k', occurredAt: '2026-01-01T00:00:00Z' }
    const [stored] = await publishMany(first)
    t.match(await publishMany({ ...first, occurredAt: '2026-01-01T01:00:00+01:00' }), [
      { event_id: stored.event_id, duplicate: true, error: null },
    ])
    t.match(await publishMany({ ...first, occurredAt: '2026-01-01T00:00:01Z' }), [
      { event_id: null, error: 'idempotency_key_reused' },
    ])
    t.match(await publishMany({ idempotencyKey: 'k', deliverAt: first.occurredAt }), [
      { error: 'idempotency_key_reused' },
    ])
  })

  t.test('without a time a repeat is a repeat, and the clock says when it occurred', async (t) => {
    const { publishMany } = await bundle()
    const [stored] = await publishMany({ idempotencyKey: 'k' })
    t.match(await publishMany({ idempotencyKey: 'k' }), [
      { event_id: stored.event_id, duplicate: true },
    ])
    const { rows } = await pool.query(
      'select abs(extract(epoch from occurred_at - now())) < 60 as is_now from postrider.event where id = $1',
      [stored.event_id],
    )
    t.same(rows, [{ is_now: true }])
  })

  t.test('a bad item spoils none of its neighbours, whatever is wrong with it', async (t) => {
    const { publishMany, stored } = await bundle()
    const rows = await publishMany(
      {},
      { type: 'no type' },
      { tenant: 'nobody' },
      { data: '\u0000' },
      {},
    )
    t.match(
      rows.map(({ error, deliveries }) => [error, deliveries]),
      [
        [null, 1],
        ['type_invalid', 0],
        ['tenant_not_found', 0],
        ['data_unsupported', 0],
        [null, 1],
      ],
    )
    t.match(await stored(), { events: 2, deliveries: 2, jobs: 2 })
  })
  t.end()
}
