import t from 'tap'
import { createDatabase } from '../postgres/pool.ts'
import { recordQueries } from '../testing/queries.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createEventTypeCheck } from './event-type-check.ts'
import { createSchemaCompiler } from './schema-compiler.ts'

const { pool } = await createTestDatabase(t)
const INTEGER = { type: 'integer' }
let made = 0

/** A process of the API whose clock the test moves. */
function process({ isStrict = false, on = pool } = {}) {
  const recorded = recordQueries(on)
  let time = 0
  const check = createEventTypeCheck({
    database: createDatabase(recorded.pool),
    compiler: createSchemaCompiler(),
    isStrict,
    now: () => time,
  })
  const violations = async (type: string, data: unknown = 'x') =>
    (await check.check([{ tenant: 'a', type, data }])).map(
      ({ field, message }) => `${field}: ${message}`,
    )
  return {
    ...check,
    violations,
    sent: recorded.sent,
    passes: (ms: number) => {
      time += ms
    },
  }
}

async function describeType(schema: unknown): Promise<string> {
  made += 1
  const name = `type.${made}`
  await change(name, schema)
  return name
}

const change = (name: string, schema: unknown) =>
  pool.query(
    `insert into postrider.event_type as e (name, schema) values ($1, $2)
     on conflict (name) do update set schema = excluded.schema, updated_at = clock_timestamp()`,
    [name, schema === null ? null : JSON.stringify(schema)],
  )

t.test('while nothing is described an event costs no query', async (t) => {
  await pool.query('delete from postrider.event_type')
  const api = process()
  for (let n = 0; n < 100; n++)
    t.strictSame(await api.check([{ tenant: 'a', type: 'a', data: n }]), [])
  t.equal(api.sent.length, 1)
  api.passes(1_999)
  await api.check([{ tenant: 'a', type: 'a', data: 1 }])
  t.equal(api.sent.length, 1)
})

t.test('names each event and each violation of a batch', async (t) => {
  const integer = await describeType(INTEGER)
  const free = await describeType(null)
  const api = process()
  const events = [
    { tenant: 'a', type: integer, data: 1 },
    { tenant: 'a', type: integer, data: 'x' },
    { tenant: 'a', type: free, data: 'x' },
    { tenant: 'a', type: 'not.described', data: 'x' },
    { tenant: 'a', type: integer, data: 1.5 },
  ]
  t.match(await api.check(events), [
    { index: 1, code: 'data_invalid', field: 'data', message: 'must be integer' },
    { index: 4, code: 'data_invalid', field: 'data' },
  ])
  t.match(await process({ isStrict: true }).check(events), [
    { index: 1, code: 'data_invalid' },
    { index: 3, code: 'event_type_unknown', field: 'type' },
    { index: 4 },
  ])
  t.equal((await api.check(Array(200).fill(events[1]))).length, 100)
})

t.test('a schema is compiled once, and fields are paths in the data', async (t) => {
  const name = await describeType({ items: INTEGER })
  const api = process()
  t.strictSame(await api.violations(name, [1, 'x']), ['data[1]: must be integer'])
  const queries = api.sent.length
  t.strictSame(await api.violations(name, ['x']), ['data[0]: must be integer'])
  t.equal(api.sent.length, queries)
  const nested = await describeType({ properties: { a: INTEGER } })
  t.strictSame(await process().violations(nested, { a: 'x' }), ['data.a: must be integer'])
})

t.test('another process knows a change within five seconds, also one that was idle', async (t) => {
  const name = await describeType(INTEGER)
  const [busy, idle] = [process(), process()]
  t.strictSame(await busy.violations(name), ['data: must be integer'])
  t.strictSame(await idle.violations(name), ['data: must be integer'])
  await change(name, { type: 'boolean' })
  t.strictSame(await busy.violations(name), ['data: must be integer'], 'not yet')
  for (let second = 0; second < 5; second++) {
    busy.passes(1_000)
    await busy.violations(name)
  }
  t.strictSame(await busy.violations(name), ['data: must be boolean'])
  idle.passes(4_500)
  t.strictSame(await idle.violations(name), ['data: must be boolean'])
  await pool.query('delete from postrider.event_type where name = $1', [name])
  idle.passes(4_500)
  t.strictSame(await idle.violations(name), [])
})

t.test('the process that made the change knows it at once', async (t) => {
  const name = await describeType(INTEGER)
  const api = process()
  t.equal((await api.violations(name)).length, 1)
  await change(name, null)
  api.invalidate()
  t.strictSame(await api.violations(name), [])
  t.equal(await api.validatorOf(name), null)
})

t.test(
  'a schema that was written with SQL and is none is told to anyone who publishes',
  async (t) => {
    const name = await describeType({ type: 'objekt', pattern: '(' })
    t.match(await process().violations(name), [/^data: cannot be checked: the schema/])
  },
)

t.test('events are not held up while the names are read, and an outage is reported', async (t) => {
  const name = await describeType(INTEGER)
  const down = { connect: () => Promise.reject(new Error('Connection terminated')) }
  let isDown = false
  const on = { connect: () => (isDown ? down.connect() : pool.connect()) } as unknown as typeof pool
  const api = process({ on })
  await api.violations(name)
  isDown = true
  api.passes(3_000)
  t.equal((await api.violations(name)).length, 1, 'goes on with what it knows')
  api.passes(2_000)
  await t.rejects(api.violations(name), /terminated/)
  isDown = false
  t.equal((await api.violations(name)).length, 1)
})

t.test('what is not checked quickly is checked in a thread, while others are', async (t) => {
  const endless = await describeType({ type: 'string', pattern: '^(a+)+$' })
  const integer = await describeType(INTEGER)
  const api = process()
  await api.violations(integer, 1)
  const order: string[] = []
  const bad = `${'a'.repeat(40)}!`
  const check = (tenant: string, type: string, data: unknown) =>
    api.check([{ tenant, type, data }]).finally(() => order.push(type))
  const slow = check('a', endless, bad)
  await Promise.all([1, 2].map((data) => check('b', integer, data)))
  t.match(await slow, [{ code: 'data_invalid', message: /takes longer than 100 ms/ }])
  t.strictSame(order, [integer, integer, endless])
  // Known to be slow now: it goes to the thread at once, and is found right there as well.
  t.strictSame(await check('a', endless, 'aaa'), [])
})
