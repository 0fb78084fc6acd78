import { readFile } from 'node:fs/promises'
import pg, { type PoolClient } from 'pg'
import t from 'tap'
import packageJson from '../../package.json' with { type: 'json' }
import { createPool } from '../postgres/pool.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { untilAnswer } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createBell } from './bell.ts'
import { createHeldJobs } from './held-jobs.ts'
import {
  pauseAfter,
  RELEASE_STATEMENTS,
  type ResilientOptions,
  resilient,
} from './resilient-pool.ts'
import { startWorkerPool } from './worker-pool.ts'

const database = await createTestDatabase(t)
const HOLDER = 'the-runner'

function start(
  t: { teardown(fn: () => Promise<void>): void },
  options: Partial<ResilientOptions> = {},
  connectionString = database.url,
) {
  const pool = createPool({
    connectionString,
    max: 2,
    applicationName: 'resilient',
    json: 'parsed',
  })
  t.teardown(async () => {
    if (!pool.ended) await pool.end()
  })
  return resilient(pool, {
    holder: HOLDER,
    heldJobs: heldJobs(),
    bell: createBell(captureLog().log),
    onRetry: () => {},
    log: captureLog().log,
    ...options,
  })
}

const heldJobs = () => createHeldJobs(HOLDER, captureLog().log)

/** A job as it is while the given runner has it; null: nobody. */
async function addJob(lockedBy: string | null): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>(
    `select id from graphile_worker.add_job('of-this-test', '{}'::json)`,
  )
  const id = rows[0]?.id ?? ''
  await database.pool.query(
    `update graphile_worker._private_jobs
     set locked_by = $2::text, locked_at = case when $2::text is null then null else now() end, attempts = 1 where id = $1`,
    [id, lockedBy],
  )
  return id
}

const holderOf = async (id: string) =>
  (
    await database.pool.query<{ locked_by: string | null }>(
      'select locked_by from graphile_worker._private_jobs where id = $1',
      [id],
    )
  ).rows[0]?.locked_by

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
      name: 'return_job/graphile_worker',
      text: 'select $1::text as holder, $2::bigint[] as ids',
      values: [HOLDER, ['7']],
    })
    t.same(rows, [{ holder: HOLDER, ids: ['7'] }])
    client.release(true)
  },
)

const FETCH = { name: 'get_job250/graphile_worker', text: `select '7' as id` }
const COMPLETE = { name: 'complete_job/graphile_worker', text: 'select 1' }

t.test('a statement that takes jobs is never repeated', async (t) => {
  const pool = start(t, { onRetry: () => t.fail('tried again') })
  const client = await pool.connect()
  await kill(client as unknown as { processID: number })
  await t.rejects(client.query(FETCH))
  client.release(true)
})

t.test('before a fetch, what a lost answer left locked is given back', async (t) => {
  const [known, unknown, ofAnother] = [
    await addJob(HOLDER),
    await addJob(HOLDER),
    await addJob('another'),
  ]
  const held = heldJobs()
  held.fetched([known])
  const pool = start(t, { heldJobs: held })
  const losing = await pool.connect()
  await kill(losing as unknown as { processID: number })
  await t.rejects(losing.query(FETCH))
  losing.release(true)
  t.equal(await holderOf(unknown), HOLDER)

  const client = await pool.connect()
  await client.query('select 1')
  t.equal(await holderOf(unknown), HOLDER, 'not before other statements')
  await client.query(FETCH)
  t.equal(await holderOf(unknown), null)
  t.equal(await holderOf(known), HOLDER)
  t.equal(await holderOf(ofAnother), 'another')
  client.release()
})

// It was given back while its release was on the way; the same runner took it again, and the first release
// then deleted what had become the job of the next attempt: 29 deliveries lay for ever in a chaos run.
t.test('a job is held until its release is committed', async (t) => {
  const held = heldJobs()
  const pool = start(t, { heldJobs: held })
  const client = await pool.connect()
  await client.query(FETCH)
  t.equal(held.count(), 1)
  const releasing = client.query({ ...COMPLETE, values: ['7'] })
  t.equal(held.count(), 1)
  await releasing
  t.equal(held.count(), 0)
  client.release()
})

// A runner that was found dead and lives finishes its attempt, and so puts the job of the next one into the
// row that was unlocked meanwhile. It must not complete that.
t.test('a job is completed by its holder only', async (t) => {
  const pool = start(t)
  const client = await pool.connect()
  const [own, unlocked, ofAnother] = [
    await addJob(HOLDER),
    await addJob(null),
    await addJob('another'),
  ]
  for (const id of [own, unlocked, ofAnother]) await client.query({ ...COMPLETE, values: [id] })
  t.equal(await holderOf(own), undefined)
  t.equal(await holderOf(unlocked), null)
  t.equal(await holderOf(ofAnother), 'another')
  const [first, second] = [await addJob(HOLDER), await addJob(HOLDER)]
  await client.query({
    ...COMPLETE,
    name: 'complete_jobs/graphile_worker',
    values: [[first, second]],
  })
  t.equal(await holderOf(first), undefined)
  t.equal(await holderOf(second), undefined)
  client.release()
})

t.test('of all jobs that graphile-worker takes it is known when they are given back', async (t) => {
  const held = heldJobs()
  const pool = start(t, { heldJobs: held })
  const names = ['succeeds', 'fails', 'waits']
  await database.pool.query(
    `select graphile_worker.add_job(name, '{}'::json, priority => case name when 'waits' then 1 else 0 end)
     from unnest($1::text[]) as name, generate_series(1, 6)`,
    [names],
  )
  const gate = Promise.withResolvers<void>()
  const waiting = Promise.withResolvers<void>()
  let waiters = 0
  const workers = await startWorkerPool({
    onListening: () => undefined,
    pool,
    id: HOLDER,
    taskList: {
      succeeds: async () => undefined,
      fails: () => Promise.reject(new Error('planted')),
      waits: () => {
        waiters += 1
        if (waiters === 3) waiting.resolve()
        return gate.promise
      },
    },
    lanes: 3,
    fetchedMax: 3,
    abortAfterMs: 10_000,
    log: captureLog().log,
    bell: createBell(captureLog().log),
  })
  await waiting.promise
  t.ok(held.count() >= 3, `${held.count()} are held`)
  const stopped = workers.stop().catch(() => undefined)
  gate.resolve()
  await stopped
  await workers.promise.catch(() => undefined)
  t.equal(held.count(), 0)
  const { rows } = await database.pool.query(
    `select task_identifier as task, count(*)::int, count(locked_by)::int as locked from graphile_worker.jobs
     where task_identifier = any ($1) group by 1 order by 1`,
    [names],
  )
  t.match(rows, [
    { task: 'fails', count: 6, locked: 0 },
    { task: 'waits', locked: 0 },
  ])
})

/** Cuts the connection at the first statements that are like this. */
function cutAt(pool: pg.Pool, pattern: RegExp, times: number) {
  const cut: string[] = []
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
    const cutting = async (...args: unknown[]) => {
      const { text } = args[0] as { text?: string }
      if (pattern.test(text ?? '') && cut.length < times) {
        cut.push(text ?? '')
        await kill(client as unknown as { processID: number })
      }
      return await query(...args)
    }
    client.query = cutting as typeof client.query
  })
  return cut
}

// A runner whose database went away right after its start was there, ready and listening, and delivered nothing
// until somebody started it again.
t.test('a connection that is lost while the tasks are read costs a moment', async (t) => {
  const retried: unknown[] = []
  const pool = createPool({ connectionString: database.url, max: 4, applicationName: 'cut' })
  const cut = cutAt(pool, /_private_tasks as tasks/, 3)
  await addJob(null)
  const done = Promise.withResolvers<void>()
  const workers = await startWorkerPool({
    onListening: () => undefined,
    pool: resilient(pool, {
      ...{ holder: 'cut', heldJobs: createHeldJobs('cut', captureLog().log) },
      ...{ bell: createBell(captureLog().log), log: captureLog().log },
      onRetry: (error) => retried.push(error),
    }),
    id: 'cut',
    taskList: { 'of-this-test': async () => done.resolve() },
    ...{ lanes: 1, fetchedMax: 1, abortAfterMs: 10_000 },
    ...{ log: captureLog().log, bell: createBell(captureLog().log) },
  })
  await done.promise
  t.equal(cut.length, 3, 'graphile-worker still reads them by statements that are like this')
  await workers.stop()
  await pool.end()
})

// graphile-worker ended for good when a statement that gives a job back was cancelled, or the disk was full.
for (const code of ['57014', '53100', '58030']) {
  t.test(`a job is given back although the server was in trouble (${code})`, async (t) => {
    const retried: unknown[] = []
    const pool = start(t, { onRetry: (error) => retried.push(error) })
    await database.pool.query(
      `create or replace function public.trouble_for_a_while() returns trigger language plpgsql as $$
       begin
         if nextval('public.trouble') < 3 then raise exception 'trouble' using errcode = '${code}'; end if;
         return old;
       end $$;
       drop sequence if exists public.trouble;
       create sequence public.trouble;
       create or replace trigger trouble before delete on graphile_worker._private_jobs
         for each row execute function public.trouble_for_a_while()`,
    )
    t.teardown(() => database.pool.query('drop trigger trouble on graphile_worker._private_jobs'))
    const id = await addJob(HOLDER)
    const client = await pool.connect()
    await client.query({ name: 'complete_jobs/graphile_worker', text: 'unused', values: [[id]] })
    client.release()
    t.equal(await holderOf(id), undefined, 'completed')
    t.match(retried, [{ code }])
  })
}

// A runner wrote the same warning each second, as long as the disk was full.
t.test('fetches that fail again and again are one line in the log', async (t) => {
  const lines = captureLog()
  await database.pool.query(
    `create function public.disk_full() returns trigger language plpgsql as $$
     begin raise exception 'no space left on device' using errcode = '53100'; end $$;
     create trigger disk_full before update on graphile_worker._private_jobs
       for each statement execute function public.disk_full()`,
  )
  t.teardown(() => database.pool.query('drop function public.disk_full cascade'))
  const workers = await startWorkerPool({
    onListening: () => undefined,
    pool: start(t),
    id: HOLDER,
    taskList: { 'of-this-test': async () => undefined },
    ...{ lanes: 1, fetchedMax: 1, abortAfterMs: 10_000 },
    ...{ log: lines.log, bell: createBell(captureLog().log) },
  })
  const failures = () => lines.lines.filter(({ detail }) => /no space left/.test(String(detail)))
  await untilAnswer(
    async () => failures().length,
    (count) => count >= 3,
  )
  const levels = failures().map(({ level }) => level)
  t.strictSame(levels.slice(0, 3), ['warn', 'debug', 'debug'])
  await workers.stop()
})

t.test('an error that is no outage is passed on at once', async (t) => {
  const client = await start(t, { onRetry: () => t.fail('tried again') }).connect()
  await t.rejects(
    client.query({
      name: 'fail_jobs/graphile_worker',
      text: 'select nonsense, $1::bigint[]',
      values: [['7']],
    }),
    {
      code: '42703',
    },
  )
  client.release()
})

t.test('a job that its finish has removed is completed without a statement', async (t) => {
  const held = heldJobs()
  const client = await start(t, { heldJobs: held }).connect()
  const complete = (ids: string[]) =>
    client.query({ name: 'complete_jobs/graphile_worker', text: 'is never sent', values: [ids] })
  const [gone, there] = [await addJob(HOLDER), await addJob(HOLDER)]
  held.fetched([gone, there])
  held.removed(gone)
  t.equal(held.count(), 1)
  t.equal((await complete([gone])).rowCount, 0)
  t.equal(await holderOf(gone), HOLDER, 'nothing was asked of the database')

  held.removed(gone)
  await complete([gone, there])
  t.equal(await holderOf(there), undefined)
  t.equal(await holderOf(gone), HOLDER)
  await complete([gone])
  t.equal(await holderOf(gone), undefined, 'it is forgotten once it was told')
  t.equal(held.count(), 0)
  client.release()
})

t.test('connecting is tried again until the server is back', async (t) => {
  const refusing = new pg.Pool({ host: '127.0.0.1', port: 1 })
  const retried = Promise.withResolvers<void>()
  const connecting = resilient(refusing, {
    holder: HOLDER,
    heldJobs: heldJobs(),
    bell: createBell(captureLog().log),
    onRetry: () => retried.resolve(),
    log: captureLog().log,
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

t.test('connecting is given up once the pool ends', async (t) => {
  const refusing = new pg.Pool({ host: '127.0.0.1', port: 1 })
  const retried = Promise.withResolvers<void>()
  const connecting = resilient(refusing, {
    holder: HOLDER,
    heldJobs: heldJobs(),
    bell: createBell(captureLog().log),
    onRetry: () => retried.resolve(),
    log: captureLog().log,
  }).connect()
  await retried.promise
  await refusing.end()
  await t.rejects(connecting)
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
    t.same(names, new Set(Object.keys(RELEASE_STATEMENTS)))
    const fetches = await readFile(
      new URL('../../node_modules/graphile-worker/dist/sql/getJobs.js', import.meta.url),
      'utf8',
    )
    t.match(fetches, /`get_job\$\{batchSize === 1 \? "" : batchSize\}\$\{hasFlags \? "F" : ""\}/)
  },
)

t.test(
  'who asks for a client with a callback, as for listening, waits through an outage',
  async (t) => {
    const proxy = await startPostgresProxy(t, database.url)
    const retried = Promise.withResolvers<void>()
    const pool = start(t, { onRetry: () => retried.resolve() }, proxy.url)
    proxy.cut()
    const client = new Promise<PoolClient | undefined>((resolve, reject) =>
      pool.connect((error, client) => (error ? reject(error) : resolve(client))),
    )
    await retried.promise
    proxy.mend()
    const { rows } = (await (await client)?.query('select 1 as one')) ?? { rows: [] }
    t.strictSame(rows, [{ one: 1 }])
    ;(await client)?.release()
  },
)

t.test('however long an outage has been, the next try comes within a second', async (t) => {
  for (const failed of [1, 2, 4, 5, 10, 60, 1_000, 5_000])
    t.ok(pauseAfter(failed) <= 1_000, `${failed}`)
  t.ok(pauseAfter(1) <= 100, 'and sooner when it has just begun')
})

t.test('what is lost while a runner looks for lost jobs is looked for again', async (t) => {
  const looked = createHeldJobs('looks', captureLog().log)
  let looks = 0
  const client = {
    query: async () => {
      looks += 1
      if (looks === 1) looked.fetchFailed()
      return { rows: [{ returned: 0 }] }
    },
  } as unknown as PoolClient
  looked.fetchFailed()
  for (let fetches = 0; fetches < 3; fetches++) await looked.beforeFetch(client)
  t.equal(looks, 2)
})
