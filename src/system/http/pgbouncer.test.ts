/** A real API behind a real PgBouncer in transaction mode, which is not on the way of runners and `migrate`. */
import t from 'tap'
import { readServerSentEvents } from '../../client/server-sent-events.ts'
import { migrate } from '../../postgres/migrate/migrate.ts'
import { createWork } from '../../testing/data/work.ts'
import { missing } from '../../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../../testing/servers/pgbouncer.ts'
import { startRestartablePostgres } from '../../testing/servers/restartable-postgres.ts'
import { untilAnswer } from '../../testing/until.ts'
import { runCommand } from '../../testing/wiring/command.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { callEveryRoute, requestsTo } from '../../testing/wiring/every-route.ts'
import { startService } from '../../testing/wiring/service.ts'

const CONCURRENT = 40
const { pool, url } = await createTestDatabase(t)
const pooled = await startPgBouncer(t, url)

t.test('with PgBouncer', { skip: missing(PGBOUNCER) ?? false }, async (t) => {
  const env = { DATABASE_URL: pooled ?? '', DATABASE_DIRECT_URL: url }
  const api = await startService(t, 'api', env)
  const { request } = requestsTo(api)

  t.test('every route works', async (t) => {
    for (const route of await callEveryRoute(t, api, { pool, runnerUrl: url })) {
      t.equal(route.status, route.expected, `${route.name}: ${route.text.slice(0, 500)}`)
    }
  })

  t.test('tenants stay apart when many requests share few connections', async (t) => {
    const keys = ['bounce-a', 'bounce-b']
    for (const key of keys) {
      await request('PUT', `/api/tenants/${key}`, { body: {} })
      await request('POST', '/api/events', { body: { tenant: key, type: key, data: 1 } })
    }
    const answers = await Promise.all(
      Array.from({ length: CONCURRENT }, async (_, n) => {
        const key = keys[n % 2] ?? ''
        // On a busy machine some of them are told to come again.
        const { status, json } = await untilAnswer(
          () => request('GET', `/api/tenants/${key}/events`),
          (answer) => answer.status !== 429,
        )
        return { status, types: json.data?.map(({ type }: { type: string }) => type), key }
      }),
    )
    for (const { status, types, key } of answers)
      t.match({ status, types }, { status: 200, types: [key] })
  })

  t.test('an idempotency key that is held answers 409 here too', async (t) => {
    await request('PUT', '/api/tenants/bounce-key', { body: {} })
    const producer = await pool.connect()
    await producer.query('begin')
    await producer.query("select postrider.publish('bounce-key', 'a', '1', 'held')")
    const { status } = await request('POST', '/api/events', {
      body: { tenant: 'bounce-key', type: 'a', data: 1 },
      headers: { 'idempotency-key': 'held' },
    })
    await producer.query('rollback')
    producer.release()
    t.equal(status, 409)
  })

  t.test('attempts are streamed as they end', async (t) => {
    const work = await createWork(pool)
    const stream = await fetch(`${api.url}/api/tenants/${work.tenant.key}/stream`, {
      headers: { authorization: 'Bearer test-admin-key' },
    })
    if (!stream.body) throw new Error(`no stream: ${stream.status}`)
    const due = await work.publish()
    await work.finish(await work.claim(due), 200)
    for await (const { data } of readServerSentEvents(stream.body)) {
      if (!data) continue
      t.match(JSON.parse(data), { delivery: { id: due.id, state: 'delivered' } })
      break
    }
  })

  t.test('runner, migrate, doctor and runners go around it', async (t) => {
    const around = { ...env, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere' }
    const runner = await startService(t, 'runner', around)
    t.equal(await runner.stop(), 0)
    for (const args of [['migrate'], ['doctor'], ['runners', 'list']]) {
      t.match(await runCommand(args, { env: around }), { exitCode: 0 }, args.join(' '))
    }
  })

  t.test('stops in order, and has complained of nothing', async (t) => {
    t.equal(await api.stop(), 0)
    t.strictSame(
      api.lines
        .filter(({ level }) => ['warn', 'error', 'fatal'].includes(level))
        .map(({ msg }) => msg),
      ['config.admin_key_short'], // the one of tests
    )
  })
})

t.test(
  'a server that is away behind PgBouncer is an outage like any other',
  { skip: missing(PGBOUNCER) ?? false },
  async (t) => {
    const postgres = await startRestartablePostgres(t)
    await migrate(postgres.url)
    const behind = await startPgBouncer(t, postgres.url)
    const env = { DATABASE_URL: behind ?? '', DATABASE_DIRECT_URL: postgres.url }
    const api = await startService(t, 'api', env)
    const { request } = requestsTo(api)
    const body = { tenant: 'bounce-away', type: 'a', data: 1 }
    await request('PUT', '/api/tenants/bounce-away', { body: {} })
    t.equal((await request('POST', '/api/events', { body })).status, 202)

    await postgres.stop('fast')
    for (let n = 0; n < 5; n++) {
      const refused = await request('POST', '/api/events', { body })
      t.match(refused, { status: 503, json: { code: 'database_unavailable' } })
      t.equal(refused.headers.get('retry-after'), '1')
    }
    t.equal(api.lines.filter(({ msg }) => msg === 'request.failed').length, 1)
    await t.rejects(startService(t, 'api', env), /ended with 75 .*the database is not available/s)

    await postgres.start()
    await untilAnswer(
      () => request('POST', '/api/events', { body }),
      ({ status }) => status === 202,
    )
    t.equal(await api.stop(), 0)
  },
)
