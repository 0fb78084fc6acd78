import { drizzle } from 'drizzle-orm/node-postgres'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import type { PoolClient } from 'pg'
import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type OutboxEvent, type PrismaTransaction, publish, type Transaction } from './outbox.ts'

const { pool } = await createTestDatabase(t)
const kysely = new Kysely<Record<never, never>>({ dialect: new PostgresDialect({ pool }) })
const camelCase = kysely.withPlugin(new CamelCasePlugin())

/** Runs the work in a transaction of a library, and rolls back when it rejects. */
type InTransaction = (work: (tx: Transaction) => Promise<string>) => Promise<string>

/**
 * Prisma itself is 300 MB of packages and generates its client. This has the method that is called, sends the
 * same statement with the same values, and answers in the same shape.
 */
const prismaLike = (client: PoolClient): PrismaTransaction => ({
  $queryRawUnsafe: async (text: string, ...values: unknown[]) =>
    (await client.query(text, values)).rows,
})

async function withClient(work: (client: PoolClient) => Promise<string>): Promise<string> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const id = await work(client)
    await client.query('commit')
    return id
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

const LIBRARIES: [string, InTransaction][] = [
  ['pg', withClient],
  ['Kysely', (work) => kysely.transaction().execute(work)],
  ['Kysely with a plugin', (work) => camelCase.transaction().execute(work)],
  ['Drizzle', (work) => drizzle({ client: pool }).transaction(work)],
  ['a stand-in for Prisma', (work) => withClient((client) => work(prismaLike(client)))],
]

async function bundle() {
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: 'http://127.0.0.1/a' })
  const event = (values: Partial<OutboxEvent> = {}): OutboxEvent => ({
    tenant: tenant.key,
    type: 'invoice.paid',
    data: { id: 1 },
    ...values,
  })
  const stored = async () => {
    const text = `
      select e.id, e.type, e.data::text, e.idempotency_key, e.occurred_at, e.deliver_at,
        (select count(*)::int from postrider.delivery d where d.event_id = e.id) as deliveries
      from postrider.event e where e.tenant_id = $1`
    return (await pool.query(text, [tenant.id])).rows
  }
  return { tenant, event, stored }
}

for (const [library, inTransaction] of LIBRARIES) {
  t.test(
    `${library}: the event is stored with its delivery when the transaction commits`,
    async (t) => {
      const { event, stored } = await bundle()
      const data = { text: 'ä "quoted" \\ $1', list: [1, null], nested: { at: new Date(0) } }
      const id = await inTransaction((tx) => publish(tx, event({ data })))
      t.match(await stored(), [{ id, type: 'invoice.paid', idempotency_key: null, deliveries: 1 }])
      t.equal((await stored())[0].data, JSON.stringify(data), 'made JSON once')
    },
  )

  t.test(`${library}: nothing was ever there when it rolls back`, async (t) => {
    const { event, stored } = await bundle()
    const work = inTransaction(async (tx) => {
      await publish(tx, event())
      throw new Error('the card was declined')
    })
    await t.rejects(work, { message: 'the card was declined' })
    t.strictSame(await stored(), [])
  })

  t.test(`${library}: takes an idempotency key and times`, async (t) => {
    const { event, stored } = await bundle()
    const deliverAt = new Date(Date.now() + 60_000)
    const occurredAt = '2026-01-31T12:00:00+02:00'
    const given = event({ idempotencyKey: 'invoice-1', deliverAt, occurredAt })
    const id = await inTransaction((tx) => publish(tx, given))
    t.equal(await inTransaction((tx) => publish(tx, given)), id, 'a repeat is the same event')
    const [only, ...others] = await stored()
    t.strictSame(others, [])
    t.match(only, { id, idempotency_key: 'invoice-1', deliver_at: deliverAt })
    t.strictSame(only.occurred_at, new Date(occurredAt))
  })

  t.test(`${library}: takes an ordering key`, async (t) => {
    const { event } = await bundle()
    const given = [{ orderingKey: 'invoice:42' }, { orderingKey: 'invoice:42' }, {}]
    const ids = []
    for (const values of given) ids.push(await inTransaction((tx) => publish(tx, event(values))))
    const { rows } = await pool.query(
      `select ordering_key as key, rank() over (partition by ordering_key order by position)::int as place
       from postrider.event where id = any ($1) order by array_position($1::uuid[], id)`,
      [ids],
    )
    t.strictSame(rows, [
      { key: 'invoice:42', place: 1 },
      { key: 'invoice:42', place: 2 },
      { key: null, place: 1 },
    ])
  })

  t.test(
    `${library}: takes channels, and names of any characters are refused in SQL`,
    async (t) => {
      const { event } = await bundle()
      const id = await inTransaction((tx) => publish(tx, event({ channels: ['a', 'b-1'] })))
      const { rows } = await pool.query('select channels from postrider.event where id = $1', [id])
      t.strictSame(rows[0].channels, ['a', 'b-1'])
      for (const channels of [[], ['a "b" \\ {c}, ä']]) {
        const refused = inTransaction((tx) => publish(tx, event({ channels })))
        const error = await refused.catch((thrown) => thrown.cause ?? thrown)
        t.match(error, { code: '22023', column: 'channels' })
      }
    },
  )

  t.test(`${library}: any JSON but null; what is refused rejects`, async (t) => {
    const { event, stored } = await bundle()
    for (const data of ['text', 0, false, [], {}]) {
      await inTransaction((tx) => publish(tx, event({ data })))
    }
    t.strictSame((await stored()).map(({ data }) => data).sort(), [
      '"text"',
      '0',
      '[]',
      'false',
      '{}',
    ])
    for (const values of [{ data: null }, { tenant: 'nobody' }, { type: 'a b' }]) {
      const refused = inTransaction((tx) => publish(tx, event(values)))
      const error = await refused.then(
        () => null,
        (thrown) => thrown.cause ?? thrown,
      )
      t.match(error, { code: '22023', column: Object.keys(values)[0] })
    }
    await t.rejects(
      inTransaction((tx) => publish(tx, event({ data: undefined }))),
      TypeError,
    )
    t.equal((await stored()).length, 5)
  })
}

t.test('what is no transaction is refused by name', async (t) => {
  await t.rejects(publish({} as Transaction, { tenant: 'a', type: 'a', data: 1 }), {
    message: 'the transaction is none of pg, Kysely, Drizzle or Prisma',
  })
})
