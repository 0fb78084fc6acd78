import type { Pool } from 'pg'
import t from 'tap'
import { createWork } from '../testing/data/work.ts'
import { captureLog } from '../testing/log-lines.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startReconciler } from './reconciler.ts'

t.test('heals when it starts, says what it did, and stops when asked', async (t) => {
  const { pool } = await createTestDatabase(t)
  const work = await createWork(pool)
  const [lost, done] = [await work.publish(), await work.publish()]
  await work.loseJob(lost.id)
  await work.age(lost.id, 6)
  await work.finish(await work.claim(done), 200)
  await pool.query(
    `update graphile_worker._private_jobs set updated_at = now() - interval '6 minutes' where key = 'd:' || $1::text`,
    [done.id],
  )
  await pool.query(
    `insert into postrider.idempotency (tenant_id, key, event_id, request_hash, expires_at)
     values ($1, 'k', $1, '', now() - interval '1 second')`,
    [work.tenant.id],
  )

  const { log, line } = captureLog()
  const reconciler = startReconciler({ pool, log })
  t.match(await line('work.reconciled'), { pending: 1 })
  t.match(await line('jobs.removed'), { pointless: 1 })
  t.match(await line('rows.cleaned_up'), { idempotency: 1 })
  await reconciler.stop()
  await reconciler.stop()
  t.ok((await work.deliveryOf(lost.eventId)).job)
  const { rows } = await pool.query(
    `select who, action from postrider.audit_log where action !~ '^create_' order by id`,
  )
  t.strictSame(rows, [
    { who: 'reconciler', action: 'reconcile' },
    { who: 'reconciler', action: 'janitor' },
  ])
})

t.test('says nothing when there is nothing to do', async (t) => {
  const { pool } = await createTestDatabase(t)
  await (await createWork(pool)).publish()
  const { log, lines } = captureLog()
  await startReconciler({ pool, log }).stop()
  t.strictSame(lines, [])
})

t.test('a failure of one duty is logged and keeps no other from being done', async (t) => {
  const { pool } = await createTestDatabase(t)
  await pool.query('drop function postrider.reconcile')
  const { log, lines } = captureLog()
  await startReconciler({ pool, log }).stop()
  t.match(lines, [{ level: 'warn', msg: 'reconciler.failed', duty: 'work.reconciled' }])
})

/** Two events whose data is to be erased by now, and a key that has expired. */
async function dueErasures(pool: Pool) {
  const work = await createWork(pool)
  const events = [(await work.publish()).eventId, (await work.publish()).eventId]
  await pool.query(
    `insert into postrider.event_erasure (event_id, tenant_id, erase_at)
     select id, $1, now() - interval '1 second' from unnest($2::uuid[]) as id`,
    [work.tenant.id, events],
  )
  await pool.query(
    `insert into postrider.idempotency (tenant_id, key, event_id, request_hash, expires_at)
     values ($1, 'k', $1, '', now() - interval '1 second')`,
    [work.tenant.id],
  )
  /** In the order in which they were published: whether the data is gone, and whether it is to be tried again later. */
  const erasures = async () => {
    const { rows } = await pool.query(
      `select e.data is null as is_erased, coalesce(r.erase_at > now(), false) as is_later
       from postrider.event e left join postrider.event_erasure r on r.event_id = e.id
       where e.id = any ($1) order by array_position($1::uuid[], e.id)`,
      [events],
    )
    return rows
  }
  return { events, erasures }
}

t.test('data is erased in its time, next to the other duties', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { erasures } = await dueErasures(pool)
  const { log, line } = captureLog()
  await startReconciler({ pool, log }).stop()
  t.match(await line('rows.cleaned_up'), { idempotency: 1 })
  t.match(await line('events.erased'), { event: 2 })
  const erased = { is_erased: true, is_later: false }
  t.strictSame(await erasures(), [erased, erased])
})

t.test('an event that cannot be erased stops neither the others nor the clean-up', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { events, erasures } = await dueErasures(pool)
  await pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'a page is damaged'; end $$;
    create trigger refuse before update on postrider.event
    for each row when (old.id = '${events[0]}') execute function refuse()`)
  const { log, line } = captureLog()
  await startReconciler({ pool, log }).stop()
  t.match(await line('rows.cleaned_up'), { idempotency: 1 })
  t.match(await line('events.erased'), { event: 1, failed: 1 })
  t.strictSame(await erasures(), [
    { is_erased: false, is_later: true },
    { is_erased: true, is_later: false },
  ])
})

t.test('when nothing can be erased at all, the clean-up is done', async (t) => {
  const { pool } = await createTestDatabase(t)
  await dueErasures(pool)
  await pool.query('drop function postrider.erase_due')
  const { log, lines, line } = captureLog()
  await startReconciler({ pool, log }).stop()
  t.match(await line('rows.cleaned_up'), { idempotency: 1 })
  t.match(lines.at(-1), { msg: 'reconciler.failed', duty: 'events.erased' })
})
