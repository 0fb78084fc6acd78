import t, { type Test } from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { rowsRead } from '../testing/rows-read.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

/** Enough that reading all for each of them would be four million rows. */
const ENDPOINTS = 2_000

async function conformance(t: Test, { pool }: TestDatabase) {
  // As after a bulk import, a restore, or an upgrade that leaves the statistics behind.
  t.test(
    'an event for many endpoints costs a probe each, on tables without statistics too',
    async (t) => {
      const tenant = await createTenant(pool)
      await pool.query(
        `insert into postrider.endpoint (tenant_id, url)
       select $1, 'https://example.com/' || n from generate_series(1, $2::int) n`,
        [tenant.id, ENDPOINTS],
      )
      const read = await rowsRead(
        pool,
        /^endpoint/,
        `select * from postrider.publish_many(json_build_array(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', 1)))`,
        [tenant.key],
      )
      t.ok(read >= 2 * ENDPOINTS, `${read} rows`)
      t.ok(read <= 10 * ENDPOINTS, `${read} rows`)
    },
  )
}
