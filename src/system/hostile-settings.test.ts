/**
 * A database whose settings are all against us: migrated, published to, delivered from and looked after as any
 * other. On the embedded server directly; on one of Debian's package, which has JIT and preloaded extensions,
 * with the API behind PgBouncer in transaction mode.
 */

import pg from 'pg'
import t, { type Test } from 'tap'
import type { ChangedSetting } from '../audit-log/changed-settings.ts'
import { createPool } from '../postgres/pool.ts'
import { setUpSession } from '../postgres/session-settings.ts'
import { createHostileDatabase } from '../testing/data/hostile-settings.ts'
import { isLong } from '../testing/long.ts'
import { missing } from '../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../testing/servers/pgbouncer.ts'
import { ensureDebianServer, readTestServer } from '../testing/servers/postgres-server.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { callEveryRoute, requestsTo } from '../testing/wiring/every-route.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const skip = missing('/usr/lib/postgresql/15/bin/postgres') ?? missing(PGBOUNCER) ?? false

if (isLong || skip)
  t.test('Postgres 18', async (t) => {
    const url = await createHostileDatabase(t, await readTestServer())
    await onHostile(t, { url, env: { DATABASE_URL: url } })
  })

t.test('Postgres 15 with JIT, and PgBouncer before the API', { skip }, async (t) => {
  const server = await ensureDebianServer(15)
  if (!server) throw new Error(`${skip}`)
  const url = await createHostileDatabase(t, server)
  const pooled = String(await startPgBouncer(t, url))
  const compiled = await watchCompilation(t, url)
  const env = { DATABASE_URL: pooled, DATABASE_DIRECT_URL: url }
  await onHostile(t, { url, env })

  await t.test('no statement of ours was compiled', async (t) => {
    const { ours, others } = await compiled()
    t.strictSame(ours, [])
    t.not(others, 0, 'although that of the producer was')
  })
})

interface Hostile {
  /** Directly to the database. */
  url: string
  env: { DATABASE_URL: string; [name: string]: string }
}

async function onHostile(t: Test, { url, env }: Hostile) {
  for (const args of [['migrate', '--roles'], ['migrate', '--plan'], ['migrate']]) {
    const { exitCode, stderr } = await runCommand(args, { env })
    t.match({ exitCode, stderr }, { exitCode: 0, stderr: '' }, args.join(' '))
  }
  const api = await startService(t, 'api', env)

  await t.test('every route works', async (t) => {
    const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
    t.teardown(() => pool.end())
    for (const route of await callEveryRoute(t, api, { pool, runnerUrl: url })) {
      t.equal(route.status, route.expected, `${route.name}: ${route.text.slice(0, 500)}`)
    }
  })

  await t.test('doctor finds nothing wrong, and none of the settings to do harm', async (t) => {
    const { exitCode, stdout } = await runCommand(['doctor', '--json'], { env })
    t.equal(exitCode, 0)
    const { settings } = JSON.parse(stdout) as { settings: ChangedSetting[] }
    const names = settings.map(({ setting }) => setting)
    t.ok(names.includes('jit') && names.includes('row_security'))
    t.strictSame(
      settings.filter(({ matters }) => matters === 'yes'),
      [],
    )
  })

  await t.test('an event of a producer is delivered, at the second attempt', async (t) => {
    await deliver(t, { url, env }, api)
  })
}

async function deliver(t: Test, { url, env }: Hostile, api: Service) {
  const { request } = requestsTo(api)
  const receiver = await startReceiver({ answer: (_request, n) => (n === 1 ? 500 : 200) })
  t.teardown(() => receiver.close())
  await request('PUT', '/api/tenants/hostile', { body: {} })
  await request('POST', '/api/tenants/hostile/endpoints', {
    body: { url: receiver.url, filter: '$.n > 1' },
  })
  const runner = await startService(t, 'runner', { ...env, RETRY_SCHEDULE: '0.1' })
  await publishAsProducer(t, url)
  const [, second] = await receiver.received(2)
  t.equal(
    second?.body,
    '{"type":"a.b","timestamp":"2026-02-03T04:05:06.789Z","data":{"n": 12345678901234567890.10}}',
  )
  t.equal(await runner.stop(), 0)
}

/** With the settings of the database, but for those that would end any transaction. */
async function publishAsProducer(t: Test, url: string) {
  const producer = new pg.Client({ connectionString: url })
  await producer.connect()
  t.teardown(() => producer.end())
  await producer.query(
    // A commit that notifies may wait for another one's: with a lock_timeout of 1 ms that ends it now and then.
    'set statement_timeout = 0; set lock_timeout = 0; set idle_session_timeout = 0; set default_transaction_read_only = off',
  )
  await producer.query(
    `${PRODUCER} select postrider.publish('hostile', 'a.b', '{"n": 12345678901234567890.10}',
      occurred_at => '2026-02-03T04:05:06.789Z')`,
  )
}

/** What a producer sends is compiled as its own session says. */
const PRODUCER = '/* producer */'

/** Counts statements that Postgres has compiled, also those within functions. */
async function watchCompilation(t: Test, url: string) {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  t.teardown(() => admin.end())
  await setUpSession(admin)
  await admin.query('create extension pg_stat_statements schema public')
  return async () => {
    const { rows } = await admin.query<{ query: string }>(`
      select query from public.pg_stat_statements s
      join pg_database d on d.oid = s.dbid and d.datname = current_database()
      where jit_functions > 0`)
    const ours = rows.map(({ query }) => query).filter((query) => !query.startsWith(PRODUCER))
    return { ours, others: rows.length - ours.length }
  }
}
