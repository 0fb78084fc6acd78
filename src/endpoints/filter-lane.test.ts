import t, { type Test } from 'tap'
import { startRoutingLater } from '../duties/route-later.ts'
import { createTenant, type TestTenant } from '../testing/data/tenant.ts'
import { untilHolds } from '../testing/until.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

const ENDPOINTS = 120
const MANY = 100_000

async function conformance(t: Test, { pool }: TestDatabase) {
  const filterOf = (n: number) => `${Array(29).fill('$.a.b<0').join('||')}||$.n>=${n}`
  /** As many dear filters as in the issue, each passing when `n` is large enough. */
  const createDear = async (): Promise<TestTenant> => {
    const tenant = await createTenant(pool)
    await pool.query(
      `insert into postrider.endpoint (tenant_id, url, filter)
       select $1, 'http://127.0.0.1:1/', f from unnest($2::text[]) f`,
      [tenant.id, Array.from({ length: ENDPOINTS }, (_, n) => filterOf(n))],
    )
    return tenant
  }
  const dataOf = (n: number, values = 1) => ({ n, a: Array(values).fill({ b: 1 }) })
  const deliveriesOf = async (event: string): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      'select postrider.delivery_count($1) as count',
      [event],
    )
    return rows[0]?.count ?? 0
  }
  const waitingOf = async (event: string): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      'select coalesce(sum(cardinality(endpoint_ids)), 0)::int as count from postrider.unrouted where event_id = $1',
      [event],
    )
    return rows[0]?.count ?? 0
  }
  const routeAll = async (t: Test) => {
    const errors: unknown[] = []
    const lane = startRoutingLater({ pool, onError: (error) => errors.push(error) })
    await untilHolds(pool, 'select not exists (select from postrider.unrouted) as holds')
    await lane.stop()
    t.strictSame(errors, [])
  }

  t.test(
    'filters that are too dear for publish are asked later, and nothing is lost',
    async (t) => {
      const tenant = await createDear()
      const event = await tenant.publish('a', dataOf(99, 500))
      t.ok((await waitingOf(event)) > ENDPOINTS / 2, 'the producer waits for a few at most')
      await routeAll(t)
      t.equal(await deliveriesOf(event), 100)
      const { rows } = await pool.query(
        `select count(*)::int as open from postrider.delivery d where d.event_id = $1
       and d.state = 'pending' and exists (select from postrider.live_job j where j.key = 'd:' || d.id)`,
        [event],
      )
      t.strictSame(rows, [{ open: 100 }], 'each with its job')
    },
  )

  t.test('equal filters are asked once, so that they are cheap together', async (t) => {
    const tenant = await createTenant(pool)
    await pool.query(
      `insert into postrider.endpoint (tenant_id, url, filter)
       select $1, 'http://127.0.0.1:1/', $2 from generate_series(1, $3::int)`,
      [tenant.id, '$.n >= 1', ENDPOINTS],
    )
    const event = await tenant.publish('a', dataOf(1, 1_000))
    t.equal(await waitingOf(event), 0)
    t.equal(await deliveriesOf(event), ENDPOINTS)
  })

  t.test('a filter that nothing bounds is never asked while somebody publishes', async (t) => {
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', filter: 'exists($.** ? (@.b == 1))' })
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', filter: '$.n == 1 || $.t == "a ** ?"' })
    const event = await tenant.publish('a', dataOf(1))
    t.equal(await waitingOf(event), 1, 'what stands in a text does not count')
    t.equal(await deliveriesOf(event), 1)
    await routeAll(t)
    t.equal(await deliveriesOf(event), 2)
  })

  t.test('one dear event in a call leaves the others as they are', async (t) => {
    const dear = await createDear()
    const neighbour = await createTenant(pool)
    await neighbour.addEndpoint({ url: 'http://127.0.0.1:1/', filter: '$.n == 1' })
    const { rows } = await pool.query(
      'select p.deliveries from postrider.publish_many($1) p order by ordinal',
      [
        JSON.stringify([
          { tenant: dear.key, type: 'a', data: dataOf(-1, MANY) },
          { tenant: neighbour.key, type: 'a', data: dataOf(1) },
        ]),
      ],
    )
    t.strictSame(rows, [{ deliveries: 0 }, { deliveries: 1 }])
    await pool.query('delete from postrider.unrouted')
  })

  t.test(
    'what waits says so, and is no breach; what was erased meanwhile goes nowhere',
    async (t) => {
      const tenant = await createDear()
      const event = await tenant.publish('a', dataOf(999, 1_000))
      const { rows } = await pool.query(
        `select distinct reason from postrider.explain_route($1, $2, 1000) where delivery_id is null`,
        [tenant.id, event],
      )
      t.strictSame(rows, [{ reason: 'filter_waiting' }])
      const found = await pool.query(
        `select kind from postrider.violations(now() - interval '1 day')`,
      )
      t.strictSame(found.rows, [])
      const before = await deliveriesOf(event)
      await pool.query('update postrider.event set data = null where id = $1', [event])
      await routeAll(t)
      t.equal(await deliveriesOf(event), before)
    },
  )

  t.test('an endpoint that was disabled meanwhile gets nothing, a paused one later', async (t) => {
    const tenant = await createDear()
    const event = await tenant.publish('a', dataOf(999, 1_000))
    t.equal(await waitingOf(event), ENDPOINTS)
    await pool.query(
      `update postrider.endpoint set state = case when filter = $2 then 'paused' else 'disabled' end
       where tenant_id = $1`,
      [tenant.id, filterOf(1)],
    )
    await routeAll(t)
    const made = await pool.query('select state from postrider.delivery where event_id = $1', [
      event,
    ])
    t.strictSame(made.rows, [{ state: 'held' }])
  })
}
