import t from 'tap'
import { createPool } from '../postgres/pool.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { readinessOf } from './readiness.ts'

const { pool, url } = await createTestDatabase(t)

t.test('a runner is ready when all of its parts are', async (t) => {
  t.strictSame(await readinessOf(pool, { isAlive: true, isListening: true }), {
    ready: true,
    checks: { database: 'reachable', schema: 'current', registered: 'yes', listening: 'yes' },
  })
})

t.test('one that NOTIFY does not reach is not', async (t) => {
  t.match(await readinessOf(pool, { isAlive: true, isListening: false }), {
    ready: false,
    checks: { listening: 'no' },
  })
})

t.test('one that is cut off from the others is not', async (t) => {
  t.match(await readinessOf(pool, { isAlive: false, isListening: true }), {
    ready: false,
    checks: { registered: 'cut off' },
  })
})

t.test('a database that does not answer is unreachable, within a bound', async (t) => {
  const proxy = await startPostgresProxy(t, url)
  const silent = createPool({ connectionString: proxy.url, max: 1, applicationName: 'test' })
  await silent.query('select 1')
  proxy.hang()
  t.strictSame(await readinessOf(silent, { isAlive: true, isListening: true }), {
    ready: false,
    checks: { database: 'unreachable', registered: 'yes', listening: 'yes' },
  })
  proxy.mend()
  await silent.end()
})
