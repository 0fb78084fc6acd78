import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { createTestDatabase } from '../../src/testing/wiring/database.ts'
import { runRepeats } from './repeats.ts'

const { url } = await createTestDatabase(t)
const pool = new pg.Pool({ connectionString: url })
pool.on('error', () => undefined) // its connections are cut at the end, when the database is dropped
t.teardown(() => pool.end())
await pool.query(readFileSync(join(import.meta.dirname, '../../sql/inbox.sql'), 'utf8'))

t.test('500 repeats and killed receivers leave one effect of each event', async (t) => {
  const report = await runRepeats({ pool, url, events: 100, copies: 6, kills: 2, hasInbox: true })
  t.match(report, {
    killedInTransaction: 2,
    killedBeforeResponse: 2,
    effects: 100,
    doubled: 0,
    missing: 0,
  })
  t.ok(report.repeats >= 500)
})

t.test(
  'without the inbox the same doubles effects, which is how it would be noticed',
  async (t) => {
    const report = await runRepeats({ pool, url, events: 10, copies: 3, kills: 1, hasInbox: false })
    t.match(report, { killedInTransaction: 1, killedBeforeResponse: 1, doubled: 10, missing: 0 })
  },
)
