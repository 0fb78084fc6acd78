import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { readTestServer } from '../../testing/servers/postgres-server.ts'
import { urlOf, withAdmin } from '../../testing/servers/template.ts'
import { assertSchema, migrate } from './migrate.ts'
import { migrationPlan } from './migration-plan.ts'

type Folder = { migrations?: Record<string, string>; functions?: Record<string, string> }

const TABLE = '-- breaking: no\ncreate table postrider.thing (id int);'
const ANSWER = 'create or replace function postrider.answer() returns int language sql return 42;'

let made = 0

/** An empty database, and a client on it. */
async function emptyDatabase(t: Test, clauses = '') {
  const server = await readTestServer()
  made += 1
  const name = `test_${process.pid}_empty_${made}`
  await withAdmin(server.url, (admin) => admin.query(`create database ${name} ${clauses}`))
  const url = urlOf(server.url, name)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(async () => {
    await client.end()
    await withAdmin(server.url, (admin) => admin.query(`drop database ${name} with (force)`))
  })
  return { url, client }
}

/** A folder like sql/. */
function sqlFolder(
  t: Test,
  {
    migrations = { '000001_thing.sql': TABLE },
    functions = { '010_answer.sql': ANSWER },
  }: Folder = {},
): URL {
  const ORDER = `# in this order\n${Object.keys(functions).join('\n')}\n`
  return pathToFileURL(`${t.testdir({ migrations, functions: { ORDER, ...functions } })}/`)
}

async function bundle(t: Test, folder?: Folder) {
  const { url, client } = await emptyDatabase(t)
  const first = sqlFolder(t, folder)
  await migrate(url, { sqlFolder: first })
  return { url, client, first }
}

t.test('eight at once bring an empty database to the state of this program', async (t) => {
  const { url, client } = await emptyDatabase(t)
  await t.rejects(assertSchema(client), { code: 'schema_missing', message: /postrider migrate/ })
  const plan = await migrationPlan(url)
  const ours = plan.filter(({ file }) => !file.startsWith('graphile-worker/'))
  t.match(plan[0], { file: 'graphile-worker/000001.sql', sql: /create table graphile_worker\./i })
  const results = await Promise.all(Array.from({ length: 8 }, () => migrate(url)))
  t.same(
    results.flatMap(({ applied }) => applied),
    ours.map(({ file }) => file.replace(/^\w+\//, '')),
    'each file is applied once, as planned',
  )
  t.same(
    (await migrationPlan(url)).map(({ file }) => file),
    [],
    'nothing is left to do',
  )
  await assertSchema(client)
  const { rows } = await client.query(`
    select count(*)::int > 3 as "isAhead" from pg_inherits where inhparent = 'postrider.event'::regclass`)
  t.same(rows, [{ isAhead: true }], 'partitions are there')
})

t.test('everything in the schema has a comment', async (t) => {
  const { url, client } = await emptyDatabase(t)
  await migrate(url)
  const { rows } = await client.query(`
    select c.relname || coalesce('.' || a.attname, '') as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0 and not a.attisdropped
    where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition
      and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
    order by 1`)
  t.same(rows, [])
})

t.test('refuses a database with a breaking migration that it does not know', async (t) => {
  const { url, client, first } = await bundle(t)
  await client.query(`insert into postrider.migration values ('000002_newer.sql', 'x', true)`)
  const refused = { code: 'schema_too_new', message: /000002_newer\.sql/ }
  await t.rejects(migrate(url, { sqlFolder: first }), refused)
  await t.rejects(migrationPlan(url, { sqlFolder: first }), refused)
  await t.rejects(assertSchema(client, { sqlFolder: first }), refused)
})

t.test(
  'works with a newer database that is not breaking, and keeps its newer functions',
  async (t) => {
    const { url, client, first } = await bundle(t)
    await client.query(`insert into postrider.migration values ('000002_newer.sql', 'x', false)`)
    await client.query(
      `update postrider.function_source set name = '020_renamed.sql', hash = 'newer'`,
    )
    t.same(await migrate(url, { sqlFolder: first }), { applied: [] })
    await assertSchema(client, { sqlFolder: first })
  },
)

t.test('refuses a newer graphile-worker, and leaves the exit code alone', async (t) => {
  const { url, client, first } = await bundle(t)
  await client.query('insert into graphile_worker.migrations (id, breaking) values (1000000, true)')
  await t.rejects(migrate(url, { sqlFolder: first }), {
    code: 'schema_too_new',
    message: /graphile_worker/,
  })
  t.equal(process.exitCode, undefined)
})

t.test('refuses a migration that was changed after it was applied', async (t) => {
  const { url } = await bundle(t)
  const changed = sqlFolder(t, { migrations: { '000001_thing.sql': `${TABLE} -- changed` } })
  const refused = { code: 'migration_failed', file: '000001_thing.sql', message: /changed after/ }
  await t.rejects(migrate(url, { sqlFolder: changed }), refused)
  const sameWithOtherLineEnds = { '000001_thing.sql': TABLE.replaceAll('\n', '\r\n') }
  await migrate(url, { sqlFolder: sqlFolder(t, { migrations: sameWithOtherLineEnds }) })
})

t.test('applies functions again when their text changes', async (t) => {
  const { url, client, first } = await bundle(t)
  t.same(await migrate(url, { sqlFolder: first }), { applied: [] })
  const changed = sqlFolder(t, { functions: { '010_answer.sql': ANSWER.replace('42', '43') } })
  t.match(await migrationPlan(url, { sqlFolder: changed }), [
    { file: 'functions/010_answer.sql', sql: /43/ },
  ])
  t.same(await migrate(url, { sqlFolder: changed }), { applied: ['010_answer.sql'] })
  t.same((await client.query('select postrider.answer()')).rows, [{ answer: 43 }])
})

t.test('a file that fails changes nothing, and names its line', async (t) => {
  const { url, client } = await bundle(t)
  const broken = `${TABLE.replace('thing', 'other')}\nselect 1;\nselect nonsense;`
  const failing = sqlFolder(t, {
    migrations: {
      '000001_thing.sql': TABLE,
      '000002_fine.sql': TABLE.replace('thing', 'fine'),
      '000003_broken.sql': broken,
    },
  })
  const failure = {
    file: '000003_broken.sql',
    message: /^000003_broken\.sql: line 4: column "nonsense"/,
  }
  await t.rejects(migrate(url, { sqlFolder: failing }), failure)
  const { rows } = await client.query('select name from postrider.migration order by name')
  t.same(rows, [{ name: '000001_thing.sql' }, { name: '000002_fine.sql' }], 'those before it stay')
  t.same((await client.query(`select to_regclass('postrider.other') as other`)).rows, [
    { other: null },
  ])
})

t.test('functions are applied all or none', async (t) => {
  const { url, client } = await bundle(t)
  const functions = { '010_answer.sql': ANSWER.replace('42', '43'), '020_broken.sql': 'nonsense' }
  await t.rejects(migrate(url, { sqlFolder: sqlFolder(t, { functions }) }), {
    file: '020_broken.sql',
    message: /syntax error/,
  })
  t.same((await client.query('select postrider.answer()')).rows, [{ answer: 42 }])
})

t.test('a program that is newer than the database says what to do', async (t) => {
  const { client } = await bundle(t)
  const newer = sqlFolder(t, {
    migrations: { '000001_thing.sql': TABLE, '000002_more.sql': TABLE },
  })
  const outdated = {
    code: 'schema_outdated',
    missing: ['000002_more.sql'],
    message: /postrider migrate/,
  }
  await t.rejects(assertSchema(client, { sqlFolder: newer }), outdated)
})

t.test('a migration must be numbered, and say whether it is breaking', async (t) => {
  const { url } = await emptyDatabase(t)
  const silent = sqlFolder(t, { migrations: { '000001_thing.sql': 'select 1' } })
  await t.rejects(migrate(url, { sqlFolder: silent }), {
    message: /000001_thing\.sql: the header lacks/,
  })
  const unnumbered = sqlFolder(t, { migrations: { 'thing.sql': TABLE } })
  await t.rejects(migrate(url, { sqlFolder: unnumbered }), {
    message: /thing\.sql: a migration is named like/,
  })
})

for (const encoding of ['LATIN1', 'SQL_ASCII']) {
  t.test(`a database in ${encoding} is refused, with what to do`, async (t) => {
    const { url } = await emptyDatabase(t, `encoding '${encoding}' locale 'C' template template0`)
    const refusal = { code: 'server_unsuitable', message: new RegExp(`encoding ${encoding}.*UTF8`) }
    await t.rejects(migrate(url), refusal)
    await t.rejects(migrationPlan(url), refusal)
  })
}
