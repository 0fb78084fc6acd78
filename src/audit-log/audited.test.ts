/** Whatever acts on somebody's behalf says so in the audit log: who, what, on what. */
import t from 'tap'
import { createWork } from '../testing/data/work.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)
const WHO = 'ann'

t.test('every function that acts writes who acted, what was done and on what', async (t) => {
  const work = await createWork(pool)
  const { tenant, endpoint } = work
  const [retried, cancelled, lost, dead] = [
    await work.publish(),
    await work.publish(),
    await work.publish(),
    await work.publish(),
  ]
  const call = async (sql: string, ...values: unknown[]) =>
    (await pool.query(`select ${sql} as value`, values)).rows[0]?.value
  const seen = new Set<string>()
  /** The rows that a call has written, which are all of this action and by this person. */
  const audited = async (
    action: string,
    target: { kind: string; id: string | null },
    sql: string,
    ...values: unknown[]
  ) => {
    const started = await call('clock_timestamp()::text')
    const value = await call(sql, ...values)
    const { rows } = await pool.query(
      'select who, action, target_kind, target_id from postrider.audit_log where at >= $1',
      [started],
    )
    const expected = {
      action,
      target_kind: target.kind,
      target_id: target.id ?? value?.id ?? (action === 'resend' ? value : null),
    }
    t.match(rows, [{ who: action === 'reap' ? 'reaper' : WHO, ...expected }], action)
    seen.add(action)
    return value
  }
  const delivery = (id: string) => ({ kind: 'delivery', id })
  const ofEndpoint = { kind: 'endpoint', id: endpoint.id }
  const ofTenant = { kind: 'tenant', id: tenant.id }
  const ofRunner = { kind: 'runner', id: work.runner }
  const service = { kind: 'service', id: null }

  await audited('retry_now', delivery(retried.id), 'postrider.retry_now($1, $2)', retried.id, WHO)
  await audited('cancel', delivery(cancelled.id), 'postrider.cancel($1, $2)', cancelled.id, WHO)
  const claimed = await work.claim(await work.deliveryOf(retried.eventId))
  await work.finish(claimed, 500)
  await audited(
    'erase_answer',
    delivery(retried.id),
    'postrider.erase_answer($1, $2)',
    claimed?.attemptId,
    WHO,
  )
  const other = await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', event_types: ['other'] })
  const resend = 'postrider.resend($1, $2, $3)'
  await audited('resend', { kind: 'delivery', id: null }, resend, retried.eventId, other.id, WHO)
  await work.loseJob(lost.id)
  await audited('reconcile', service, `(postrider.reconcile('0', $1)).healed`, WHO)
  await pool.query(
    `update graphile_worker._private_jobs set key = null, attempts = max_attempts where key = 'd:' || $1::text`,
    [dead.id],
  )
  await audited('janitor', service, '(postrider.janitor(who => $1)).removed', WHO)
  await audited('reseal', service, `postrider.reseal('[]', $1)`, WHO)
  await audited('pause_endpoint', ofEndpoint, 'postrider.pause_endpoint($1, $2)', endpoint.id, WHO)
  await audited(
    'resume_endpoint',
    ofEndpoint,
    'postrider.resume_endpoint($1, $2)',
    endpoint.id,
    WHO,
  )
  await audited(
    'disable_by_hand',
    ofEndpoint,
    'postrider.disable_by_hand($1, $2)',
    endpoint.id,
    WHO,
  )
  await audited(
    'enable_endpoint',
    ofEndpoint,
    'postrider.enable_endpoint($1, who => $2)',
    endpoint.id,
    WHO,
  )
  await pool.query(
    `update postrider.endpoint set unreadable_since = now(), unreadable_detail = 'lost' where id = $1`,
    [endpoint.id],
  )
  await audited(
    'release_secrets',
    ofEndpoint,
    'postrider.release_secrets(array[$1]::uuid[], $2)',
    endpoint.id,
    WHO,
  )
  await pool.query(`update postrider.endpoint set ordering = 'key' where id = $1`, [endpoint.id])
  const [, , last] = await work.publishInOrder('a', 'a', 'a')
  for (const [action, ...more] of [['skip_head'], ['skip_to', last]]) {
    const sql = `postrider.${action}($1, 'a'${more.length > 0 ? ', $3::uuid' : ''}, $2)`
    await audited(String(action), ofEndpoint, sql, endpoint.id, WHO, ...more)
  }
  await audited('pause_all', service, 'postrider.pause_all($1)', WHO)
  await audited('resume_all', service, 'postrider.resume_all($1)', WHO)
  await pool.query(`update postrider.service set identity = '7/1'`)
  await pool.query(`update postrider.runner set stopped_at = now() where id = $1`, [work.runner])
  await audited('adopt_copy', service, `postrider.adopt_copy('send', null, $1)`, WHO)
  await pool.query(`update postrider.runner set stopped_at = null where id = $1`, [work.runner])
  await audited('suspend_tenant', ofTenant, 'postrider.suspend_tenant($1, $2)', tenant.key, WHO)
  await audited('resume_tenant', ofTenant, 'postrider.resume_tenant($1, $2)', tenant.key, WHO)
  const replay = await audited(
    'start_replay',
    { kind: 'replay', id: null },
    `to_jsonb(postrider.start_replay($1, now() - interval '1 hour', who => $2))`,
    tenant.key,
    WHO,
  )
  await audited(
    'start_bulk',
    { kind: 'replay', id: null },
    `to_jsonb(postrider.start_bulk($1, 'retry', who => $2))`,
    tenant.key,
    WHO,
  )
  await audited(
    'cancel_replay',
    { kind: 'replay', id: replay.id },
    'postrider.cancel_replay($1, $2)',
    replay.id,
    WHO,
  )
  await audited('drain_runner', ofRunner, 'postrider.drain_runner($1, $2)', work.runner, WHO)
  await pool.query('update postrider.runner set session_pid = null where id = $1', [work.runner])
  await audited('reap', ofRunner, 'postrider.reap(array[$1])', work.runner)
  await audited(
    'erase_event',
    { kind: 'event', id: retried.eventId },
    'postrider.erase_event($1, $2)',
    retried.eventId,
    WHO,
  )
  await audited(
    'erase_tenant_data',
    ofTenant,
    'postrider.erase_tenant_data($1, $2)',
    tenant.key,
    WHO,
  )
  await audited('delete_tenant', ofTenant, 'postrider.delete_tenant($1, $2)', tenant.key, WHO)

  const { rows } = await pool.query<{ name: string }>(
    `select coalesce(for_it.name, proname) as name
     from pg_proc
     left join (values  -- what writes it down for others
       ('begin_replay', 'start_bulk'), ('begin_replay', 'start_replay'),
       ('set_paused', 'pause_endpoint'), ('set_paused', 'resume_endpoint')) as for_it (writer, name) on writer = proname
     where pronamespace = 'postrider'::regnamespace and prosrc like '%postrider.audit(%'
       and proname not in ('drop_day', 'delete_tenant_step')  -- by themselves, for nobody
       and proname not in ('audit_settings', 'audit_rotation')  -- audited-settings.test.ts
       and proname <> 'audit_incident'  -- incidents.test.ts
       and proname not in ('note_attachment', 'forget_attachment', 'record_backfill', 'cancel_backfill')  -- attached-tables
     order by 1`,
  )
  t.strictSame(
    [...seen].sort(),
    rows.map(({ name }) => name),
    'and these are all there are',
  )
})

t.test('who acted is the database user where nobody is named', async (t) => {
  const work = await createWork(pool)
  const due = await work.publish()
  await pool.query('select postrider.cancel($1)', [due.id])
  const { rows } = await pool.query('select session_user as name')
  t.match(await work.audited(), [{ who: rows[0].name, action: 'cancel' }])
})
