import t from 'tap'
import { createTestDatabase } from '../testing/database.ts'
import { createDatabase, createPool } from './pool.ts'

const { url, pool } = await createTestDatabase(t)

t.test('json stays the text that was stored', async (t) => {
  const text = '{"big": 12345678901234567890, "b":1,  "b":2, "zero":1.00}'
  const { rows } = await pool.query('select $1::json as one, array[$1::json] as many', [text])
  t.same(rows, [{ one: text, many: [text] }])
})

t.test('jsonb is parsed, and bigint stays exact', async (t) => {
  const { rows } = await pool.query(`select '{"a": [1]}'::jsonb as data, 9007199254740993 as big`)
  t.same(rows, [{ data: { a: [1] }, big: '9007199254740993' }])
})

t.test('json is parsed for graphile-worker', async (t) => {
  const parsing = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'test',
    json: 'parsed',
  })
  t.teardown(() => parsing.end())
  t.same((await parsing.query(`select '{"d": 1}'::json as payload`)).rows, [{ payload: { d: 1 } }])
})

t.test('sessions have the name, the time limit and the settings that were asked for', async (t) => {
  const limited = createPool({
    connectionString: url,
    max: 1,
    applicationName: 'the runner',
    statementTimeoutMs: 1234,
    options: '-c plan_cache_mode=force_custom_plan',
  })
  t.teardown(() => limited.end())
  const { rows } = await limited.query(`
    select current_setting('application_name') as name,
      current_setting('statement_timeout') as timeout,
      current_setting('plan_cache_mode') as mode`)
  t.same(rows, [{ name: 'the runner', timeout: '1234ms', mode: 'force_custom_plan' }])
})

t.test('losing idle and busy connections is reported, and the next query works', async (t) => {
  const errors: Error[] = []
  const both = Promise.withResolvers<void>()
  const onError = (error: Error) => {
    errors.push(error)
    if (errors.length === 2) both.resolve()
  }
  const fragile = createPool({ connectionString: url, max: 2, applicationName: 'fragile', onError })
  t.teardown(() => fragile.end())
  const busy = await fragile.connect()
  await fragile.query('select 1') // the second connection, idle from now on
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fragile'`,
  )
  await both.promise
  busy.release(true)
  t.equal(errors.length, 2, 'each is reported once')
  t.same((await fragile.query('select 1 as one')).rows, [{ one: 1 }])
})

t.test('kysely finds the tables without naming their schema', async (t) => {
  const row = await createDatabase(pool).selectFrom('tenant').select('key').executeTakeFirst()
  t.match(row, { key: 'postrider:operator' })
})
