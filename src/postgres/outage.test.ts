import pg from 'pg'
import t from 'tap'
import { missing } from '../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../testing/servers/pgbouncer.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { isConflict, isOutage, isPassing, retryThroughOutage } from './outage.ts'

const database = await createTestDatabase(t)

t.test('recognises a connection that was ended, refused or not to be had', async (t) => {
  const client = new pg.Client({ connectionString: database.url })
  client.on('error', () => undefined)
  await client.connect()
  const ended = client.query('select pg_terminate_backend(pg_backend_pid())')
  t.ok(isOutage(await ended.catch((error: unknown) => error)))
  t.ok(isOutage(await client.query('select 1').catch((error: unknown) => error)))

  const refused = new pg.Client({ host: '127.0.0.1', port: 1 })
  t.ok(isOutage(await refused.connect().catch((error: unknown) => error)))

  const pool = new pg.Pool({ connectionString: database.url, max: 1 })
  const only = await pool.connect()
  pool.options.connectionTimeoutMillis = 50 // from now on, as a busy machine may need longer for the first
  t.ok(isOutage(await pool.connect().catch((error: unknown) => error)))
  only.release()
  await pool.end()
})

t.test(
  'recognises what a pooler says of a server that it does not reach',
  { skip: missing(PGBOUNCER) ?? false },
  async (t) => {
    const nowhere = 'postgres://nobody@127.0.0.1:1/nowhere'
    const pooled = await startPgBouncer(t, nowhere, ['client_login_timeout = 1'])
    const client = new pg.Client({ connectionString: pooled ?? '' })
    client.on('error', () => undefined)
    const refused = await client.connect().catch((error: unknown) => error)
    t.match(refused, { code: '08P01', severity: 'FATAL' })
    t.ok(isOutage(refused))
    t.ok(isPassing(refused))
  },
)

t.test('a message of ours that breaks the protocol is no outage', async (t) => {
  const violation = await database.pool
    .query('select $1::int', ['1', '2'])
    .catch((error: unknown) => error)
  t.match(violation, { code: '08P01', severity: 'ERROR' })
  t.notOk(isPassing(violation))
})

t.test('a wrong statement is no outage, and a lost race is a conflict', async (t) => {
  const wrong = await database.pool.query('select nonsense').catch((error: unknown) => error)
  t.notOk(isOutage(wrong))
  t.notOk(isConflict(wrong))
  const raced = await database.pool
    .query(`do $$ begin raise exception 'raced' using errcode = '40001'; end $$`)
    .catch((error: unknown) => error)
  t.ok(isConflict(raced))
  t.notOk(isOutage(undefined))
})

t.test('a server in trouble is no outage, but the trouble passes', async (t) => {
  for (const [code, expected] of [
    ['57014', true], // query_canceled: statement_timeout, or an operator
    ['53100', true], // disk_full
    ['53200', true], // out_of_memory
    ['58030', true], // io_error
    ['40001', true],
    ['57P01', true],
    ['ECONNREFUSED', true],
    ['42703', false], // undefined_column
    ['22P05', false], // untranslatable_character
    ['55000', false], // the runner was found dead
    ['5', false],
    [undefined, false],
  ] as const) {
    t.equal(isPassing(Object.assign(new Error('trouble'), { code })), expected, `${code}`)
  }
  const cancelled = await database.pool
    .query('select pg_cancel_backend(pg_backend_pid())')
    .catch((error: unknown) => error)
  t.ok(isPassing(cancelled))
  t.notOk(isOutage(cancelled))
})

t.test('tries again through an outage until it succeeds', async (t) => {
  const failures: unknown[] = []
  const outcomes = ['ECONNREFUSED', '57P03', '40P01', '57014', '53100', '58030', null]
  const result = await retryThroughOutage(
    async () => {
      const code = outcomes.shift()
      if (code) throw Object.assign(new Error('away'), { code })
      return 'done'
    },
    { forMs: 60_000, onRetry: (error) => failures.push(error) },
  )
  t.equal(result, 'done')
  t.equal(failures.length, 6)
})

t.test('gives up at once on another error, and on an outage once its time is over', async (t) => {
  let calls = 0
  const failing = (code: string) => async () => {
    calls += 1
    throw Object.assign(new Error('no'), { code })
  }
  await t.rejects(retryThroughOutage(failing('22P02'), { forMs: 60_000 }), { code: '22P02' })
  t.equal(calls, 1)
  await t.rejects(retryThroughOutage(failing('ECONNREFUSED'), { forMs: -1 }), {
    code: 'ECONNREFUSED',
  })
  t.equal(calls, 2)
})
