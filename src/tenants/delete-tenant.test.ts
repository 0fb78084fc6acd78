import t, { type Test } from 'tap'
import { findViolations } from '../operations/violations.ts'
import { createWork } from '../testing/data/work.ts'
import { addIncident } from '../testing/data/world.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

/** The first two hold no payloads and outlive the tenant; the last is sampled again every second. */
const KEPT = ['postrider.audit_log', 'postrider.attempt_day', 'postrider.tenant_backlog']
const WAITING = 'waiting for what was under way when it began'
/** Steps of a deletion that does not end. */
const STEPS_MAX = 100

function conformance(t: Test, { pool }: TestDatabase) {
  const deleteTenant = (key: string) =>
    pool.query(`select postrider.delete_tenant($1, 'ann')`, [key])

  /** As if it had begun so long ago that no statement from before is still running. */
  const age = (id: string) =>
    pool.query(
      `update postrider.tenant set deletion_started_at = now() - interval '11 seconds' where id = $1`,
      [id],
    )

  const step = async (id: string, batch = 1000): Promise<string> => {
    const { rows } = await pool.query('select postrider.delete_tenant_step($1, $2) as step', [
      id,
      batch,
    ])
    return rows[0]?.step
  }

  /** Steps until there is nothing to delete; all that they said. */
  async function run(id: string, batch?: number): Promise<string[]> {
    const said: string[] = []
    while (said.length < STEPS_MAX) {
      said.push(await step(id, batch))
      if (said.at(-1) === WAITING && said.at(-2) === WAITING) return said
      if (!/rows deleted$|^waiting/.test(said.at(-1) ?? '')) return said
    }
    throw new Error(`no end after ${STEPS_MAX} steps`)
  }

  /** Until it is over: transactions of other tests on the same server may be open for a while. */
  async function runToEnd(id: string, batch?: number): Promise<string[]> {
    const said = await run(id, batch)
    while (said.at(-1) === WAITING) {
      await pool.query('select pg_sleep(0.05)')
      said.push(await step(id, batch))
    }
    return said
  }

  /** Tables that have rows of the tenant, and how many. */
  async function rowsOf(id: string): Promise<Record<string, number>> {
    const { rows: tables } = await pool.query<{ name: string }>(`
      select c.oid::regclass::text as name
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`)
    const counted: Record<string, number> = {}
    for (const { name } of tables) {
      if (KEPT.includes(name)) continue
      const { rows } = await pool.query(
        `select count(*)::int as n from ${name} where tenant_id = $1`,
        [id],
      )
      counted[name] = rows[0]?.n
    }
    return counted
  }

  const jobsOf = async (key: string) =>
    (await pool.query('select id from graphile_worker.jobs where key = $1', [key])).rows.length

  /** With a row in every table that has a tenant. */
  async function tenantWithEverything() {
    const work = await createWork(pool)
    const { tenant } = work
    const failed = await work.publish()
    await work.finish(await work.claim(failed), 500, 3600)
    for (let n = 0; n < 5; n++) await work.publish()
    await pool.query(`select postrider.publish($1, 'a.b', '1', 'the-key')`, [tenant.key])
    await pool.query(`select postrider.start_replay($1, since => now() - interval '1 hour')`, [
      tenant.key,
    ])
    await pool.query(
      `insert into postrider.api_key (tenant_id, name, hash, scopes)
       values ($1::uuid, 'key', sha256($1::text::bytea), '{read}')`,
      [tenant.id],
    )
    await pool.query(
      `insert into postrider.portal_link (tenant_id, token_hash, access, expires_at)
       values ($1::uuid, sha256($1::text::bytea), 'read', now() + interval '1 hour')`,
      [tenant.id],
    )
    await pool.query(
      `insert into postrider.unrouted (tenant_id, event_id, endpoint_ids)
       select tenant_id, event_id, array[endpoint_id] from postrider.delivery where tenant_id = $1 limit 1`,
      [tenant.id],
    )
    await pool.query(
      `insert into postrider.event_erasure (event_id, tenant_id, erase_at)
       select id, tenant_id, now() + interval '5 days' from postrider.event where tenant_id = $1`,
      [tenant.id],
    )
    await pool.query(`update postrider.endpoint set ordering = 'key' where id = $1`, [
      work.endpoint.id,
    ])
    await work.publishInOrder('a', 'a')
    await addIncident(pool, tenant.id, work.endpoint.id)
    await pool.query(
      `with room as (insert into postrider.batch_room (tenant_id, endpoint_id) values ($1, $2))
       insert into postrider.batch (id, tenant_id, endpoint_id, delivery_ids)
       values (postrider.uuidv7(), $1, $2, array[postrider.uuidv7()])`,
      [tenant.id, work.endpoint.id],
    )
    return work
  }

  t.test('every row goes, a few a step, and nobody else’s', async (t) => {
    const { tenant } = await tenantWithEverything()
    const other = await tenantWithEverything()
    const before = await rowsOf(tenant.id)
    for (const [name, count] of Object.entries(before)) t.ok(count > 0, `${name} is covered`)

    await deleteTenant(tenant.key)
    await age(tenant.id)
    const steps = await runToEnd(tenant.id, 2)
    t.equal(steps.at(-1), 'done')
    t.match(steps[0], '2 rows deleted')
    t.ok(steps.filter((text) => /deleted/.test(text)).length > 8)
    for (const [name, count] of Object.entries(await rowsOf(tenant.id))) t.equal(count, 0, name)
    t.strictSame(await rowsOf(other.tenant.id), before)
    t.equal(
      (await pool.query('select from postrider.tenant where id = $1', [tenant.id])).rowCount,
      0,
    )
    t.equal(await step(tenant.id), 'over')
    t.strictSame(await findViolations(pool), [])
  })

  t.test('at once: no events, no keys, no endpoints, no secrets, no replay', async (t) => {
    const { tenant } = await tenantWithEverything()
    await deleteTenant(tenant.key)
    await t.rejects(tenant.publish(), { code: '22023', message: /^tenant_deleting: / })
    await t.rejects(pool.query('select postrider.resume_tenant($1)', [tenant.key]), {
      code: '55000',
    })
    const { rows } = await pool.query(
      `select
         (select count(*)::int from postrider.api_key where tenant_id = $1 and revoked_at is null) as keys,
         (select count(*)::int from postrider.endpoint where tenant_id = $1 and deleted_at is null) as endpoints,
         (select count(*)::int from postrider.endpoint_secret where tenant_id = $1) as secrets,
         (select count(*)::int from postrider.replay where tenant_id = $1 and finished_at is null) as replays`,
      [tenant.id],
    )
    t.strictSame(rows, [{ keys: 0, endpoints: 0, secrets: 0, replays: 0 }])
    t.equal(await jobsOf(`delete_tenant:${tenant.id}`), 1)
    await deleteTenant(tenant.key)
    const { rows: audited } = await pool.query(
      `select who, detail from postrider.audit_log where action = 'delete_tenant' and tenant_id = $1`,
      [tenant.id],
    )
    t.strictSame(audited, [{ who: 'ann', detail: { key: tenant.key } }], 'again changes nothing')
    await age(tenant.id)
    t.equal((await runToEnd(tenant.id)).at(-1), 'done')
  })

  t.test('what is on the wire is waited for, and its outcome written down', async (t) => {
    const work = await createWork(pool)
    const [first, second] = [await work.publish(), await work.publish()]
    const claimed = await work.claim(first)
    await deleteTenant(work.tenant.key)
    await age(work.tenant.id)
    t.strictSame((await run(work.tenant.id)).at(-1), WAITING)
    t.match(await work.deliveryOf(first.eventId), { state: 'delivering' })
    await t.rejects(work.deliveryOf(second.eventId), /has no delivery/)

    await work.finish(claimed, 200)
    t.match(await work.deliveryOf(first.eventId), { state: 'delivered' })
    t.match(await work.attemptsOf(first.id), [{ outcome: 'delivered' }])
    t.equal((await runToEnd(work.tenant.id)).at(-1), 'done')
    t.strictSame(await findViolations(pool), [])
  })

  t.test('one that a dead runner had on the wire is not waited for', async (t) => {
    const work = await createWork(pool)
    await work.claim(await work.publish())
    await work.die()
    await deleteTenant(work.tenant.key)
    await age(work.tenant.id)
    t.equal((await runToEnd(work.tenant.id)).at(-1), 'done')
    t.strictSame(await findViolations(pool), [])
  })

  t.test('an event of a transaction that was open when it began goes too', async (t) => {
    const { tenant } = await createWork(pool)
    const producer = await pool.connect()
    t.teardown(() => producer.release(true))
    await producer.query('begin')
    await producer.query(`select postrider.publish($1, 'a.b', '1')`, [tenant.key])
    await deleteTenant(tenant.key)
    t.equal((await run(tenant.id)).at(-1), WAITING, 'a statement from before may still be running')
    await age(tenant.id)
    t.equal((await run(tenant.id)).at(-1), WAITING)
    await producer.query('commit')
    const last = (await runToEnd(tenant.id)).filter((text) => text !== WAITING)
    t.match(last, [/rows deleted/, /rows deleted/, 'done'])
    t.strictSame(await rowsOf(tenant.id).then((rows) => Object.values(rows).filter(Boolean)), [])
    t.strictSame(await findViolations(pool), [])
  })

  t.test('each step has left the job for the next; one that vanished is added again', async (t) => {
    const { tenant } = await tenantWithEverything()
    const key = `delete_tenant:${tenant.id}`
    await deleteTenant(tenant.key)
    await step(tenant.id, 1)
    t.equal(await jobsOf(key), 1)
    await pool.query('delete from graphile_worker._private_jobs where key = $1', [key])
    const { rows } = await pool.query(`select healed, count from postrider.reconcile()`)
    t.match(
      rows.find(({ healed }) => healed === 'deletion'),
      { count: 1 },
    )
    t.equal(await jobsOf(key), 1)
    await age(tenant.id)
    await run(tenant.id)
    t.end()
  })

  t.end()
}
