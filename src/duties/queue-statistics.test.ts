import t, { type Test } from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

onBothPostgres(t, conformance)

const SCHEDULED = 3_000
const DUE = 20
const JOBS = `'graphile_worker._private_jobs'::regclass`

async function conformance(t: Test, { pool, url }: TestDatabase) {
  const schedule = (key: string, count: number) =>
    pool.query(
      `select from postrider.publish_many((
         select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', 1,
           'deliverAt', now() + interval '1 day')) from generate_series(1, $2::int)))`,
      [key, count],
    )
  /** As autovacuum leaves it when it comes by while nothing waits: empty, with all its pages. */
  const vacuumEmpty = async () => {
    // The session says at once what it deleted; told after the vacuum it would be taken from what comes next.
    await pool.query('delete from graphile_worker._private_jobs; select pg_stat_force_next_flush()')
    await pool.query('vacuum (truncate off) graphile_worker._private_jobs')
  }
  const believed = async (): Promise<number> => {
    const { rows } = await pool.query<{ rows: number }>(
      `select reltuples::int as rows from pg_class where oid = ${JOBS}`,
    )
    return rows[0]?.rows ?? Number.NaN
  }
  const rowsRead = async (): Promise<number> => {
    const { rows } = await pool.query<{ read: number }>(
      `select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_user_tables where relid = ${JOBS}`,
    )
    return rows[0]?.read ?? Number.NaN
  }

  t.test(
    'a queue that fills is known to the planner, so that a fetch reads what is due',
    async (t) => {
      const receiver = await startReceiver()
      t.teardown(() => receiver.close())
      const tenant = await createTenant(pool)
      await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
      await schedule(tenant.key, SCHEDULED)
      await vacuumEmpty()
      t.equal(await believed(), 0)

      await schedule(tenant.key, SCHEDULED)
      const runner = await startService(t, 'runner', { DATABASE_URL: url })
      await untilHolds(pool, `select reltuples >= $1 as holds from pg_class where oid = ${JOBS}`, [
        SCHEDULED,
      ])
      const before = await rowsRead()
      for (let n = 0; n < DUE; n += 1) {
        await tenant.publish()
        await receiver.received(n + 1)
      }
      await runner.stop() // sessions that end tell the statistics all they know
      const read = (await rowsRead()) - before
      t.ok(read < (DUE * SCHEDULED) / 2, `${read} rows`)
    },
  )

  t.test('a queue that is as it was believed, or small, is left alone', async (t) => {
    const analyzed = async () =>
      (await pool.query('select postrider.analyze_queue() as done')).rows[0].done
    await pool.query('analyze graphile_worker._private_jobs')
    t.equal(await analyzed(), false)
    await vacuumEmpty()
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: 'https://example.com/' }, secretBox.encrypt)
    await schedule(tenant.key, 100)
    t.equal(await analyzed(), false)
  })
}
