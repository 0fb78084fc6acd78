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
