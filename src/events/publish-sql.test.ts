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
    'channels are 1 to 5 names, stored as given, and part of what an idempotency key stands for',
    async (t) => {
      const { tenant, publishMany } = await bundle()
      const long = 'x'.repeat(128)
      const given: [channels: unknown, stored: string[] | null | undefined][] = [
        [null, null],
        [['a'], ['a']],
        [
          ['b', 'a', 'b', 'A.z_9-', long],
          ['b', 'a', 'b', 'A.z_9-', long],
        ],
        ...[
          [],
          ['a', 'b', 'c', 'd', 'e', 'f'],
          [`${long}x`],
          [''],
          ['a b'],
          ['ä'],
          [1],
          [null],
          [['a']],
          'a',
          {},
          1,
          true,
        ].map((wrong): [unknown, undefined] => [wrong, undefined]),
      ]
      const rows = await publishMany(...given.map(([channels]) => ({ channels })))
      for (const [place, [channels, stored]] of given.entries()) {
        const { event_id: id, error } = rows[place]
        t.equal(error, stored === undefined ? 'channels_invalid' : null, JSON.stringify(channels))
        if (stored === undefined) continue
        const { rows: events } = await pool.query(
          'select channels from postrider.event where id = $1',
          [id],
        )
        t.strictSame(events[0].channels, stored)
      }
      const keyed = (channels?: string[]) =>
        publishMany({ idempotencyKey: 'k', ...(channels && { channels }) })
      const [first] = await keyed(['a', 'b'])
      t.match(await keyed(['a', 'b']), [{ event_id: first.event_id, duplicate: true }])
      t.match(await keyed(['a']), [{ error: 'idempotency_key_reused' }])
      t.match(await keyed(), [{ error: 'idempotency_key_reused' }])
      await t.rejects(
        pool.query(`select postrider.publish($1, 'a.b', '1', channels => '{a b}')`, [tenant.key]),
        { code: '22023', column: 'channels', message: /^channels_invalid: / },
      )
    },
  )

  t.test('a member with an unknown name is refused, and its neighbours are stored', async (t) => {
    const { publishMany, stored } = await bundle()
    const at = '2100-01-01T00:00:00Z'
    const unknown = [
      { idempotency_key: 'k' },
      { deliver_at: at },
      { idempotencykey: 'k' },
      { '': 1 },
    ]
    const every = {
      ...{ idempotencyKey: 'k', deliverAt: null, occurredAt: at, orderingKey: 'a', channels: null },
      ...{ traceparent: 'none', tracestate: 'none' },
    }
    t.match(await publishMany({}, ...unknown, { data: { deliver_at: at } }, every), [
      { error: null },
      ...unknown.map(() => ({ event_id: null, error: 'member_unknown' })),
      { error: null },
      { error: null },
    ])
    t.match(await stored(), { events: 3 })
    const { rows } = await pool.query(`select * from postrider.publish_problem('member_unknown')`)
    for (const name of ['tenant', 'type', 'data', ...Object.keys(every)])
      t.match(rows[0].hint, name)
  })

  t.test('data that is a string is stored byte by byte, as other data is', async (t) => {
    const { tenant } = await bundle()
    for (const data of [
      String.raw`"a\/b"`,
      String.raw`"\u003cb\u003e \u00fc \ud83d\ude00 \u0041"`,
      String.raw`"\\ \" \n"`,
      '"<ü>"',
      String.raw`{"a\/b": "\u003c", "n": 1.0}`,
      '1.00',
    ]) {
      const item = `{"tenant": "${tenant.key}", "type": "a.b", "data": ${data} }`
      const { rows } = await pool.query(
        `with published as (
           select event_id as id from postrider.publish_many($1)
           union all select postrider.publish($2, 'a.b', $3)
         ) select id from published`,
        [`[${item}, ${item.replace(data, `"first", "d\\u0061ta": ${data}`)}]`, tenant.key, data],
      )
      const ids = rows.map(({ id }) => id)
      const events = await pool.query(
        'select data::text as text from postrider.event where id = any ($1)',
        [ids],
      )
      t.strictSame(
        events.rows.map(({ text }) => text),
        [data, data, data],
      )
    }
  })

  t.test(
    'what the Svix-compatible API publishes is stored with what it gives back, and its keys stand for any body',
    async (t) => {
      const { publishMany } = await bundle()
      const item = {
        asSvix: true,
        svix: { tags: ['a'] },
        idempotencyKey: 'k',
        eraseAt: '2100-01-01T00:00:00Z',
      }
      const [first] = await publishMany(item)
      t.match(await publishMany({ ...item, data: 2, type: 'c' }), [
        { event_id: first.event_id, duplicate: true, error: null },
      ])
      const { rows } = await pool.query(
        'select as_svix, svix, erase_at from postrider.event e left join postrider.event_erasure r on r.event_id = e.id where e.id = $1',
        [first.event_id],
      )
      t.strictSame(rows, [
        { as_svix: true, svix: { tags: ['a'] }, erase_at: new Date('2100-01-01T00:00:00Z') },
      ])
    },
  )

  t.test('an event whose time has come is erased, and another is not', async (t) => {
    const { tenant, publishMany } = await bundle()
    const eraseAt = (ms: number) => new Date(Date.now() + ms).toISOString()
    const [due, later, kept] = await publishMany(
      { eraseAt: eraseAt(-1_000) },
      { eraseAt: eraseAt(60_000) },
      {},
    )
    await pool.query('select * from postrider.erase_due()')
    const { rows } = await pool.query(
      `select e.id, e.data is null as erased, d.state, r.event_id is not null as waits from postrider.event e
       join postrider.delivery d on d.event_id = e.id left join postrider.event_erasure r on r.event_id = e.id
       where e.tenant_id = $1 order by e.id`,
      [tenant.id],
    )
    t.strictSame(
      new Map(rows.map(({ id, ...row }) => [id, row])),
      new Map([
        [due.event_id, { erased: true, state: 'cancelled', waits: false }],
        [later.event_id, { erased: false, state: 'pending', waits: true }],
        [kept.event_id, { erased: false, state: 'pending', waits: false }],
      ]),
    )
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
