/** What a role with nothing but CONNECT cannot do, and what docs/reference/roles.md says that it can. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { guide } from '../../testing/data/dba-guide.ts'
import { createWork } from '../../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../../testing/wiring/database.ts'

const DENIED = '42501'

onBothPostgres(t, conformance)

/** As docs/reference/roles.md names it, and a statement that does it. */
const CAN = [
  ['send notifications', `select pg_notify('jobs:insert', '')`],
  ['hold advisory locks', 'select pg_advisory_lock(1)'],
  ['temporary tables', 'create temporary table t as select 1 as a'],
  ['large objects', 'select lo_create(0)'],
  ['keep a transaction open', 'begin isolation level repeatable read; select txid_current()'],
  ['use the processors', 'select count(*) from generate_series(1, 1000)'],
  ['names of roles, tables and sessions', 'select relname, usename from pg_stat_user_tables, pg_stat_activity'],
  ['text of functions', `select prosrc from pg_proc where proname = 'publish'`],
  ['how many rows', `select n_live_tup from pg_stat_all_tables where schemaname = 'postrider'`],
] as const // biome-ignore format: a table

async function conformance(t: Test, { pool, url }: TestDatabase): Promise<void> {
  await createWork(pool)
  const role = `nobody_of_ours_${process.pid}`
  await pool.query(`create role ${role} login password 'x'`)
  const as = {
    connectionString: Object.assign(new URL(url), { username: role, password: 'x' }).href,
  }
  const stranger = new pg.Client(as)
  await stranger.connect()
  t.teardown(async () => {
    await stranger.end()
    await pool.query(`drop owned by ${role}`)
    await pool.query(`drop role ${role}`)
  })

  await t.test('it reads, changes and calls nothing of ours', async (t) => {
    const { rows: relations } = await pool.query(`
      select oid::regclass::text as name from pg_class
      where relnamespace in ('postrider'::regnamespace, 'graphile_worker'::regnamespace) and relkind in ('r', 'p', 'v')`)
    t.ok(relations.length > 40)
    for (const { name } of relations) {
      for (const statement of [
        `select from ${name}`,
        `delete from ${name}`,
        `do $$ begin lock table ${name}; end $$`,
      ]) {
        await t.rejects(stranger.query(statement), { code: DENIED }, statement)
      }
    }
    for (const call of [
      `postrider.publish('a', 'b', '1')`,
      'postrider.uuidv7()',
      'postrider.pause_all()',
    ]) {
      await t.rejects(stranger.query(`select ${call}`), { code: DENIED }, call)
    }
    const { rows } = await pool.query(
      `select n.oid::regnamespace::text as name from pg_namespace n
       where nspname in ('postrider', 'graphile_worker') and has_schema_privilege($1, oid, 'usage, create')`,
      [role],
    )
    t.strictSame(rows, [])
    const { rows: seen } = await stranger.query(
      `select query from pg_stat_activity where usename <> current_user and query <> '<insufficient privilege>'`,
    )
    t.strictSame(seen, [])
    const statistics = `select from pg_stats where schemaname = 'postrider'`
    t.equal((await stranger.query(statistics)).rowCount, 0)
  })

  await t.test(
    'what it can do is listed, and no more than a server lets everybody do',
    async (t) => {
      const [, listed = ''] = guide.split('### What a role with nothing but CONNECT can do')
      const [section = ''] = listed.split('\n## ')
      const words = section.replace(/\s+/g, ' ')
      for (const [what, statement] of CAN) {
        t.match(words, what)
        await t.resolves(stranger.query(statement), what)
      }
    },
  )
}
