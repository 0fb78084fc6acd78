import t from 'tap'
import { readTestServer } from '../servers/postgres-server.ts'
import { withAdmin } from '../servers/template.ts'
import {
  createTestDatabase,
  startDebianPostgres,
  type TestDatabase,
  type TestLifetime,
} from './database.ts'

/** A test whose end is ours to choose. */
function lifetime(isPassing: boolean) {
  const teardowns: (() => Promise<void>)[] = []
  const test: TestLifetime = {
    teardown: (done) => void teardowns.push(done),
    passing: () => isPassing,
  }
  return { test, end: async () => await Promise.all(teardowns.map((done) => done())) }
}

async function exists(name: string): Promise<boolean> {
  const { url } = await readTestServer()
  return await withAdmin(url, async (admin) => {
    return (await admin.query('select from pg_database where datname = $1', [name])).rowCount === 1
  })
}

t.test(
  'each database is migrated, empty but for the operator, and apart from the others',
  async (t) => {
    const [one, two] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
    await one.pool.query(`create table public.only_here ()`)
    const { rows } = await two.pool.query(`
    select to_regclass('public.only_here') as other, count(*)::int as tenants from postrider.tenant`)
    t.same(rows, [{ other: null, tenants: 1 }])
  },
)

t.test('is dropped after a test that passed, even if the test kept a client', async (t) => {
  const { test, end } = lifetime(true)
  const { name, pool } = await createTestDatabase(test)
  const client = await pool.connect()
  client.on('error', () => undefined)
  await end()
  t.equal(await exists(name), false)
})

t.test('is kept after a test that failed', async (t) => {
  const { test, end } = lifetime(false)
  const printed = t.capture(console, 'error')
  const { name } = await createTestDatabase(test)
  await end()
  t.match(printed.args(), [[new RegExp(`^kept database ${name};`)]])
  t.equal(await exists(name), true)
  const { url } = await readTestServer()
  await withAdmin(url, (admin) => admin.query(`drop database ${name}`))
})

t.test('the oldest Postgres that is supported takes the same schema', async (t) => {
  const [one, two] = [await startDebianPostgres(t, 15), await startDebianPostgres(t, 15)]
  if (!one || !two) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  const { rows } = await one.pool.query('select count(*)::int as tenants from postrider.tenant')
  t.same(rows, [{ tenants: 1 }])
  const [ones, twos] = await Promise.all([serverOf(one), serverOf(two)])
  t.same(ones, twos, 'databases on it share one server')
  return t.match(ones, { version: /^15\./, has_jit: true, preloaded: /pg_stat_statements/ })
})

/** As a session of another program finds it: ours switch JIT off. */
async function serverOf({ url }: TestDatabase) {
  return await withAdmin(url, async (admin) => {
    const { rows } = await admin.query(`
      select pg_postmaster_start_time() as started_at, current_setting('server_version') as version,
        pg_jit_available() as has_jit, current_setting('shared_preload_libraries') as preloaded`)
    return rows[0]
  })
}
