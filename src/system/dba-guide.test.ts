import t, { type Test } from 'tap'
import { guide, guideStatements } from '../testing/data/dba-guide.ts'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  t.test('every SQL statement of the documentation runs', async (t) => {
    t.ok(guideStatements().length > 30, 'they are found')
    const work = await createWork(pool)
    for (const { heading, sql } of guideStatements()) {
      const filled = await work.fillIn(sql)
      await t.resolves(pool.query(filled), `${heading}: ${sql}`)
    }
  })

  t.test('every view is in it, with what it answers', async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'postrider'::regnamespace and relkind = 'v'`,
    )
    t.strictSame(
      rows.map(({ name }) => name).filter((name) => !guide.includes(`| \`${name}\` |`)),
      [],
    )
  })

  t.test('every function that writes the audit log is in it', async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select distinct proname as name from pg_proc
       where pronamespace = 'postrider'::regnamespace and prosecdef and prosrc like '%postrider.audit(%'`,
    )
    // Part of retention, of changes and of rotations, not called by people.
    const internal = ['drop_day', 'audit_settings', 'audit_rotation', 'reseal']
    t.strictSame(
      rows
        .map(({ name }) => name)
        .filter((name) => !internal.includes(name) && !guide.includes(`\`${name}(`)),
      [],
    )
  })

  t.test('every table is in it', async (t) => {
    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_class
       where relnamespace = 'postrider'::regnamespace and relkind in ('r', 'p') and not relispartition`,
    )
    t.strictSame(
      rows.map(({ name }) => name).filter((name) => !new RegExp(`\\b${name}\\b`).test(guide)),
      [],
    )
  })

  t.end()
}
