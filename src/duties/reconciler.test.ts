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
