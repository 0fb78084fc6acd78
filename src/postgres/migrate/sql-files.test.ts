import { pathToFileURL } from 'node:url'
import t from 'tap'
import { readSqlFiles } from './sql-files.ts'

const { migrations } = await readSqlFiles()

for (const { name, sql } of migrations) {
  t.test(`${name} says what it locks, and whether the release before keeps running`, async (t) => {
    const [head = ''] = /^(?:--.*\n)+/.exec(sql) ?? []
    t.match(head, /^-- Locks: +\S/m)
    t.match(head, /^-- breaking: (yes|no)$/m)
  })
}

t.test('migrations that lock large tables say for how long', async (t) => {
  const large = /alter table postrider\.(event|delivery|attempt)\b/
  for (const { name, sql } of migrations.filter((migration) => large.test(migration.sql))) {
    t.match(sql, /^-- Locks: +access exclusive [\s\S]*(instant|moment|rewrit)/im, name)
  }
})

t.test('functions are applied in the order of their list', async (t) => {
  const functions = {
    ORDER: '# why\nb/two.sql\na/one.sql\n',
    a: { 'one.sql': '1' },
    b: { 'two.sql': '2' },
  }
  const folder = pathToFileURL(`${t.testdir({ migrations: {}, functions })}/`)
  const files = await readSqlFiles(folder)
  t.same(files.functions, [
    { name: 'b/two.sql', sql: '2' },
    { name: 'a/one.sql', sql: '1' },
  ])
})

t.test('a file that the list lacks is refused, and a name without its file', async (t) => {
  const folderOf = (ORDER: string) =>
    pathToFileURL(`${t.testdir({ migrations: {}, functions: { ORDER, a: { 'one.sql': '1' } } })}/`)
  await t.rejects(readSqlFiles(folderOf('')), { message: 'functions/ORDER lacks a/one.sql' })
  await t.rejects(readSqlFiles(folderOf('a/one.sql\ntwo.sql\n')), { code: 'ENOENT' })
})
