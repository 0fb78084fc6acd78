import t, { type Test } from 'tap'
import { createTestDatabase, startDebianPostgres, type TestDatabase } from '../testing/database.ts'
import { createTenant, type TestTenant } from '../testing/tenant.ts'

t.test('on Postgres 18', async (t) => conformance(t, await createTestDatabase(t)))
t.test('on Postgres 15', async (t) => {
  const database = await startDebianPostgres(t, 15)
  if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  return conformance(t, database)
})

function conformance(t: Test, { pool }: TestDatabase) {
  const publishMany = (tenant: TestTenant, count: number) =>
    pool.query(
      `select count(*) from postrider.publish_many((
         select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n)) from generate_series(1, $2::int) n))`,
      [tenant.key, count],
    )
  const priorities = async (tenant: TestTenant) =>
    (
      await pool.query(
        `select j.priority, count(*)::int from postrider.delivery d
         join graphile_worker._private_jobs j on j.key = 'd:' || d.id
         where d.tenant_id = $1 group by 1 order by 1`,
        [tenant.id],
      )
    ).rows
  async function tenantWithEndpoint() {
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
    return tenant
  }
  const sample = async () =>
    (await pool.query('select postrider.sample_backlog() as over')).rows[0].over

  t.test(
    'the first thousand due deliveries of a tenant stand in line, the rest behind everybody',
    async (t) => {
      const tenant = await tenantWithEndpoint()
      await publishMany(tenant, 1_001)
      t.same(await priorities(tenant), [
        { priority: 0, count: 1000 },
        { priority: 10, count: 1 },
      ])
    },
  )

  t.test('what a tenant has due already counts, and others are not touched', async (t) => {
    const [busy, quiet] = [await tenantWithEndpoint(), await tenantWithEndpoint()]
    await publishMany(busy, 1_001)
    t.ok((await sample()) >= 1)
    await Promise.all([publishMany(busy, 1), publishMany(quiet, 1)])
    t.match(await priorities(busy), [{ count: 1000 }, { priority: 10, count: 2 }])
    t.same(await priorities(quiet), [{ priority: 0, count: 1 }])
  })

  t.test('a tenant whose backlog is gone stands in line again', async (t) => {
    const tenant = await tenantWithEndpoint()
    await publishMany(tenant, 1_001)
    await sample()
    await pool.query(
      `update postrider.delivery set state = 'cancelled', finished_at = now() where tenant_id = $1`,
      [tenant.id],
    )
    await sample()
    const { rows } = await pool.query('select from postrider.tenant_backlog where tenant_id = $1', [
      tenant.id,
    ])
    t.same(rows, [])
  })

  t.test(
    'whoever has waited for a minute waits behind nobody, fifty-nine seconds are not enough',
    async (t) => {
      const tenant = await tenantWithEndpoint()
      await publishMany(tenant, 1_002)
      await pool.query(
        `update graphile_worker._private_jobs j set run_at = now() - age
       from (select id, case when row_number() over (order by id) = 1 then interval '61 s' else interval '59 s' end as age
             from graphile_worker._private_jobs where priority = 10 and key in
               (select 'd:' || id from postrider.delivery where tenant_id = $1)) as chosen
       where j.id = chosen.id`,
        [tenant.id],
      )
      await sample()
      t.same(await priorities(tenant), [
        { priority: 0, count: 1001 },
        { priority: 10, count: 1 },
      ])
    },
  )
  t.end()
}
