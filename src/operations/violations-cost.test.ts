import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { functionCalls, rowsRead } from '../testing/rows-read.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

/** Enough that reading a day for each delivery would be a million rows. */
const DELIVERIES = 1_500

async function conformance(t: Test, { pool }: TestDatabase) {
  const work = await createWork(pool)

  /** Events of the last minutes with a delivery and an attempt each, in partitions that nobody has analyzed. */
  async function fill(): Promise<void> {
    await pool.query(
      `with made as materialized (
         select postrider.uuidv7() as id, clock_timestamp() as at from generate_series(1, $1)
       ),
       events as (
         insert into postrider.event (id, tenant_id, type, data, occurred_at, created_at)
         select id, $2, 'a.b', '1', at, at from made
       ),
       attempts as (
         insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, outcome, runner, started_at)
         select id, $2, id, $3, 1, 'schedule', 'delivered', $4, at from made
       )
       insert into postrider.delivery (id, tenant_id, event_id, endpoint_id, state, attempt_count, due_attempt, created_at, finished_at)
       select id, $2, id, $3, 'delivered', 1, 2, at, at from made`,
      [DELIVERIES, work.tenant.id, work.endpoint.id, work.runner],
    )
  }

  // After a crash Postgres has forgotten what it counted, and analyzes a partition no more that is not written to.
  t.test('history is checked by probes, in partitions without statistics too', async (t) => {
    await fill()
    const read = await rowsRead(
      pool,
      /^(event|delivery|attempt)_\d+$/,
      `select from postrider.violations(now() - interval '1 day', 200000)`,
    )
    t.ok(read >= DELIVERIES, `${read} rows`)
    t.ok(read <= DELIVERIES * 10, `${read} rows`)
  })
  // One for each event and each partition took ten times as long as all else, and a hundred times with statistics.
  t.test('bounds of ids are computed once, not for each row and each partition', async (t) => {
    await fill()
    for (const statistics of ['none', 'of all tables']) {
      if (statistics !== 'none') await pool.query('analyze')
      const calls = await functionCalls(
        pool,
        /^id_(at|floor)$/,
        `select from postrider.violations(now() - interval '1 day', 200000)`,
      )
      t.ok(calls > 0, `${calls} calls with statistics: ${statistics}`)
      t.ok(calls < DELIVERIES / 10, `${calls} calls with statistics: ${statistics}`)
    }
  })
}
