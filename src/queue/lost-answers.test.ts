import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startPostgresProxy } from '../testing/servers/postgres-proxy.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const EVENTS = 20

/** Resolves when nothing of the tenant is open and no job is left. */
const atRest = (tenantId: string) =>
  untilHolds(
    pool,
    `select not exists (select from postrider.delivery where tenant_id = $1 and finished_at is null)
       and not exists (
         select from graphile_worker.jobs where attempts < max_attempts or locked_at is not null) as holds`,
    [tenantId],
  )

// Statements of a runner that are committed, and of which it then hears nothing.
const STATEMENTS = [
  // The jobs were locked by a runner that lives and knew nothing of them, for hours: nobody may take them
  // from it, and it did not look.
  'get_job',
  'postrider_claim',
  'postrider_finish',
]
for (const statement of STATEMENTS) {
  t.test(`an answer to ${statement} that is lost loses nothing`, async (t) => {
    await using receiver = await startReceiver()
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
    const proxy = await startPostgresProxy(t, url)
    const runner = await startService(t, 'runner', { DATABASE_URL: proxy.url })

    const lost = proxy.loseAnswerTo(statement)
    await pool.query(
      `select postrider.publish($1, 'a.b', json_build_object('n', n)) from generate_series(1, $2::int) as n`,
      [tenant.key, EVENTS],
    )
    await lost
    await receiver.received(EVENTS, 60_000)
    await atRest(tenant.id)

    const { rows } = await pool.query(
      `select count(*)::int as attempts, count(*) filter (where outcome = 'delivered')::int as delivered,
         count(*) filter (where outcome = 'started')::int as started
       from postrider.attempt where tenant_id = $1`,
      [tenant.id],
    )
    t.match(rows, [{ delivered: EVENTS, started: 0 }])
    t.equal(receiver.requests.length, EVENTS, 'nothing was sent twice')
    t.equal(await runner.stop(), 0)
  })
}

// As after a server that was killed: completing waits for no disk, so the last ones are undone, locks and all.
t.test('a job that is there again, locked by a runner that lives, is done at once', async (t) => {
  await using receiver = await startReceiver()
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const runner = await startService(t, 'runner', { DATABASE_URL: url })
  const { runnerId } = await runner.line('runner.started')
  const producer = await pool.connect()
  await producer.query('begin')
  await producer.query(`select postrider.publish($1, 'a.b', '1')`, [tenant.key])
  await producer.query(
    `update graphile_worker._private_jobs set locked_by = $1, locked_at = now()`,
    [runnerId],
  )
  await producer.query('commit')
  producer.release()
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = left('postrider-runner ' || $1, 63)`,
    [runnerId],
  )
  await receiver.received(1)
  await runner.line('runner.jobs_returned')
  await atRest(tenant.id)
  t.equal(await runner.stop(), 0)
})
