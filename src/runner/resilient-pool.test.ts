import { readFile } from 'node:fs/promises'
import pg from 'pg'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { createPool } from '../database/pool.ts'
import { createTestDatabase } from '../testing/database.ts'
import { RELEASE_STATEMENTS, type ResilientOptions, resilient } from './resilient-pool.ts'

const database = await createTestDatabase(t)

function start(
  t: { teardown(fn: () => Promise<void>): void },
  options: Partial<ResilientOptions> = {},
) {
  const pool = createPool({ connectionString: database.url, max: 2, applicationName: 'resilient' })
  t.teardown(() => pool.end())
  return resilient(pool, { ...NOTHING, ...options })
}

const NOTHING: ResilientOptions = {
  onRetry: () => undefined,
  beforeFetch: async () => undefined,
  fetchFailed: () => undefined,
}

const kill = (client: { processID?: number | null }) =>
  database.pool.query('select pg_terminate_backend($1)', [client.processID])

t.test(
  'a statement that releases a job is done on another connection when its own is lost',
  async (t) => {
    const retries: unknown[] = []
    const pool = start(t, { onRetry: (error) => retries.push(error) })
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

const FETCH = { name: 'get_job250/graphile_worker', text: 'select 1 as fetched' }

t.test('a statement that takes jobs is never repeated, and its failure is told', async (t) => {
  const failures: string[] = []
  const pool = start(t, { fetchFailed: () => failures.push('failed') })
  const client = await pool.connect()
  await kill(client as unknown as { processID: number })
  await t.rejects(client.query(FETCH))
  t.same(failures, ['failed'])
  client.release(true)
})

t.test(
  'there is a look before each fetch, on its connection; one that fails prevents it',
  async (t) => {
    const looks: unknown[] = []
    const pool = start(t, {
      beforeFetch: async (client) =>
        void looks.push((await client.query('select 1 as look')).rows[0]),
      fetchFailed: () => t.fail('it did not even begin'),
    })
    const client = await pool.connect()
    t.same((await client.query(FETCH)).rows, [{ fetched: 1 }])
    t.same(looks, [{ look: 1 }])
    await client.query('select 1')
    t.equal(looks.length, 1, 'not before other statements')
    await kill(client as unknown as { processID: number })
    await t.rejects(client.query(FETCH))
    client.release(true)
  },
)

t.test('an error that is no outage is passed on at once', async (t) => {
  const client = await start(t, { onRetry: () => t.fail('tried again') }).connect()
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
  const connecting = resilient(refusing, {
    ...NOTHING,
    onRetry: () => retried.resolve(),
  }).connect()
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
    const fetches = await readFile(
      new URL('../../node_modules/graphile-worker/dist/sql/getJobs.js', import.meta.url),
      'utf8',
    )
    t.match(fetches, /`get_job\$\{batchSize === 1 \? "" : batchSize\}\$\{hasFlags \? "F" : ""\}/)
  },
)
