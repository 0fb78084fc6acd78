import { readFile } from 'node:fs/promises'
import pg from 'pg'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { createPool } from '../database/pool.ts'
import { createTestDatabase } from '../testing/database.ts'
import { RELEASE_STATEMENTS, resilient } from './resilient-pool.ts'

const database = await createTestDatabase(t)

function start(t: { teardown(fn: () => Promise<void>): void }, onRetry = (_: unknown) => {}) {
  const pool = createPool({ connectionString: database.url, max: 2, applicationName: 'resilient' })
  t.teardown(() => pool.end())
  return resilient(pool, onRetry)
}

const kill = (client: { processID?: number | null }) =>
  database.pool.query('select pg_terminate_backend($1)', [client.processID])

t.test(
  'a statement that releases a job is done on another connection when its own is lost',
  async (t) => {
    const retries: unknown[] = []
    const pool = start(t, (error) => retries.push(error))
    const client = await pool.connect()
    await kill(client as unknown as { processID: number })
    const { rows } = await client.query({
      name: 'complete_jobs/graphile_worker',
      text: 'select 1 as one',
    })
    t.same(rows, [{ one: 1 }])
    client.release(true)
  },
)

t.test('a statement that takes jobs is never repeated', async (t) => {
  const pool = start(t)
  const client = await pool.connect()
  await kill(client as unknown as { processID: number })
  await t.rejects(client.query({ name: 'get_job/graphile_worker', text: 'select 1' }))
  client.release(true)
})

t.test('an error that is no outage is passed on at once', async (t) => {
  const client = await start(t, () => t.fail('tried again')).connect()
  await t.rejects(
    client.query({ name: 'complete_jobs/graphile_worker', text: 'select nonsense' }),
    {
      code: '42703',
    },
  )
  client.release()
})

t.test('connecting is tried again until the server is back', async (t) => {
  const refusing = new pg.Pool({ host: '127.0.0.1', port: 1 })
  const retried = Promise.withResolvers<void>()
  const connecting = resilient(refusing, () => retried.resolve()).connect()
  await retried.promise
  Object.assign(refusing.options, {
    connectionString: database.url,
    port: undefined,
    host: undefined,
  })
  const client = await connecting
  t.same((await client.query('select 1 as one')).rows, [{ one: 1 }])
  client.release()
  await refusing.end()
})

t.test(
  'the statements of the installed graphile-worker have the names that are relied on',
  async (t) => {
    t.equal(packageJson.dependencies['graphile-worker'], '0.18.0')
    const sources = await Promise.all(
      ['completeJobs', 'failJobs', 'returnJobs'].map((name) =>
        readFile(
          new URL(`../../node_modules/graphile-worker/dist/sql/${name}.js`, import.meta.url),
          'utf8',
        ),
      ),
    )
    const names = new Set(
      [...sources.join().matchAll(/`([a-z_]+)\/\$\{workerSchema\}`/g)].map(
        (match) => match[1] ?? '',
      ),
    )
    t.same(names, new Set(RELEASE_STATEMENTS))
  },
)
