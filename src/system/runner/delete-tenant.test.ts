import t from 'tap'
import { createTenant } from '../../testing/data/tenant.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { startService } from '../../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

t.test(
  'a deletion that is cut off again and again is finished by any runner that is there',
  async (t) => {
    const tenant = await createTenant(pool)
    await pool.query(
      `select count(*) from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n))
       from generate_series(1, 6000) as n))`,
      [tenant.key],
    )
    await pool.query('select postrider.delete_tenant($1)', [tenant.key])
    // As if it had begun before any statement that is still running.
    await pool.query(
      `update postrider.tenant set deletion_started_at = now() - interval '11 seconds' where id = $1`,
      [tenant.id],
    )

    /** Resolves once more rows are gone, or all. */
    const progressed = async (from: number): Promise<number> => {
      await untilHolds(
        pool,
        'select count(*) filter (where deletion_rows <= $2) = 0 as holds from postrider.tenant where id = $1',
        [tenant.id, from],
      )
      const { rows } = await pool.query<{ gone: number }>(
        'select deletion_rows::int as gone from postrider.tenant where id = $1',
        [tenant.id],
      )
      return rows[0]?.gone ?? Number.POSITIVE_INFINITY
    }
    const env = { DATABASE_URL: url, LOG_LEVEL: 'info' }
    let gone = 0
    for (let killed = 0; killed < 2; killed++) {
      const victim = await startService(t, 'runner', env)
      gone = await progressed(gone)
      await victim.stop('SIGKILL')
    }
    await startService(t, 'runner', env)
    while (Number.isFinite(gone)) gone = await progressed(gone)
    const { rows } = await pool.query(
      `select detail from postrider.audit_log where action = 'tenant_deleted' and tenant_id = $1`,
      [tenant.id],
    )
    t.match(rows, [{ detail: { key: tenant.key, rows: 6000 } }])
  },
)
