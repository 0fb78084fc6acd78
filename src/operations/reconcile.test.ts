import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { findViolations, repair } from './violations.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  const reconcile = async (olderThan = '5 minutes') => {
    const { rows } = await pool.query<{ healed: string; count: number }>(
      `select * from postrider.reconcile($1)`,
      [olderThan],
    )
    return Object.fromEntries(rows.map(({ healed, count }) => [healed, count]))
  }
  const kinds = async () => (await findViolations(pool)).map(({ kind }) => kind)

  t.test('a healthy system has no violations and nothing to heal', async (t) => {
    const work = await createWork(pool)
    const [first, second] = [await work.publish(), await work.publish()]
    await work.publish()
    await work.finish(await work.claim(first), 200)
    await work.finish(await work.claim(second), 500, 60)
    await work.claim(await work.publish())
    t.strictSame(await kinds(), [])
    t.strictSame(await reconcile('0'), {})
    t.strictSame(await repair(pool), [])
    t.strictSame(
      (await pool.query(`select from postrider.audit_log where action in ('reconcile', 'janitor')`))
        .rows,
      [],
      'and leaves no trace',
    )
  })

  t.test('a pending delivery whose job is gone gets it again', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.loseJob(due.id)
    t.strictSame(await kinds(), ['open_without_job'])
    t.strictSame(await reconcile(), {}, 'not while it is younger than five minutes')
    await work.age(due.id, 6)
    t.strictSame(await reconcile(), { pending: 1 })
    const healed = await work.deliveryOf(due.eventId)
    t.match(healed, { state: 'pending', job: /\d/ })
    t.ok(await work.claim(healed), 'and can be claimed')
    t.strictSame(await kinds(), [])
  })

  t.test('one that is scheduled for later gets its job at its time', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500, 3600)
    await work.loseJob(due.id)
    await work.age(due.id, 6)
    t.strictSame(await reconcile(), { pending: 1 })
    const healed = await work.deliveryOf(due.eventId)
    t.same(healed.run_at, healed.next_attempt_at)
    t.equal(healed.job_number, healed.due_attempt)
  })

  t.test('a job whose attempts are used up counts as none', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query(
      `update graphile_worker._private_jobs set attempts = max_attempts where key = 'd:' || $1::text`,
      [due.id],
    )
    t.strictSame(await kinds(), ['open_without_job'])
    t.strictSame(await reconcile('0'), { pending: 1 })
    t.strictSame(await kinds(), [])
  })

  t.test('a delivery that a dead runner had claimed is handed on', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const cutOff = await work.claim(due)
    await work.loseJob(due.id)
    t.strictSame(await reconcile(), {}, 'its runner lives')
    await work.die(61)
    t.strictSame(await kinds(), ['delivering_without_runner'])
    t.strictSame(await reconcile(), { delivering: 1 })
    const other = await createWork(pool)
    const taken = await other.claim(await work.deliveryOf(due.eventId))
    t.match(taken, { attemptNumber: 2, eventId: due.eventId })
    t.match(await work.attemptsOf(due.id), [
      { id: cutOff?.attemptId, outcome: 'abandoned' },
      { outcome: 'started' },
    ])
    t.strictSame(await kinds(), [])
    await other.finish(taken, 200)
  })

  t.test('held deliveries of an endpoint that accepts work are released', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query(
      `update postrider.delivery set state = 'held', held_reason = 'paused' where id = $1`,
      [due.id],
    )
    await work.loseJob(due.id)
    t.match(await findViolations(pool), [{ kind: 'held_without_reason', id: due.id }])
    t.strictSame(await reconcile(), { held: 1 })
    t.strictSame(await kinds(), [], 'the align job will do it')
    t.strictSame(await reconcile(), {})
    await pool.query('select postrider.align($1)', [work.endpoint.id])
    t.match(await work.deliveryOf(due.eventId), { state: 'pending', job_number: 2 })
  })

  t.test('held deliveries of a deleted endpoint are cancelled', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query('select postrider.pause_endpoint($1)', [work.endpoint.id])
    await pool.query('select postrider.delete_endpoint($1, $2)', [work.tenant.id, work.endpoint.id])
    t.strictSame(await reconcile(), { cancelled: 1 })
    t.match(await work.deliveryOf(due.eventId), { state: 'cancelled', job: null })
  })

  t.test('an open circuit without a probe gets one', async (t) => {
    const work = await createWork(pool)
    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at) values ($1, $2, 20, now() - interval '6 minutes')`,
      [work.endpoint.id, work.tenant.id],
    )
    t.match(await findViolations(pool), [{ kind: 'probe_overdue', id: work.endpoint.id }])
    t.strictSame(await reconcile(), { probe: 1 })
    t.strictSame(await kinds(), [])
    await pool.query('delete from postrider.circuit where endpoint_id = $1', [work.endpoint.id])
  })

  t.test('a probe that is due at some other time is none', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_delivery_id)
       values ($1, $2, 20, now() - interval '6 minutes', $3)`,
      [work.endpoint.id, work.tenant.id, due.id],
    )
    t.strictSame(await reconcile(), {})
    await pool.query(
      `update postrider.delivery set next_attempt_at = now() + interval '10 minutes' where id = $1`,
      [due.id],
    )
    t.match(await findViolations(pool), [{ kind: 'probe_overdue', id: work.endpoint.id }])
    t.strictSame(await reconcile(), { probe: 1 })
    await pool.query('delete from postrider.circuit where endpoint_id = $1', [work.endpoint.id])
  })

  t.test('a running replay whose job is gone goes on', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 500)
    await pool.query(
      `select from postrider.start_replay($1, now() - interval '1 hour', endpoint => $2)`,
      [work.tenant.key, work.endpoint.id],
    )
    t.strictSame(await kinds(), [])
    await pool.query(`delete from graphile_worker._private_jobs where key like 'replay:%'`)
    t.strictSame(await kinds(), ['replay_without_job'])
    t.strictSame(await reconcile(), { replay: 1 })
    t.strictSame(await kinds(), [])
    await pool.query(`update postrider.replay set state = 'cancelled', finished_at = now()`)
    await pool.query(`delete from graphile_worker._private_jobs where key like 'replay:%'`)
  })

  t.test('jobs locked by runners that are gone are unlocked after half a minute', async (t) => {
    const work = await createWork(pool)
    const lock = (id: string, by: string, seconds: number) =>
      pool.query(
        `update graphile_worker._private_jobs set locked_by = $2, attempts = 1,
           locked_at = now() - make_interval(secs => $3) where key = 'd:' || $1::text`,
        [id, by, seconds],
      )
    const [unknown, young, own] = [await work.publish(), await work.publish(), await work.publish()]
    await lock(unknown.id, 'nobody knows me', 61)
    await lock(young.id, 'only just', 29)
    await lock(own.id, work.runner, 3600)
    t.match(await findViolations(pool), [{ kind: 'locked_by_the_gone', id: 'nobody knows me' }])
    t.strictSame(await reconcile(), { unlocked: 1 })
    await work.die(1)
    t.strictSame(await reconcile(), { unlocked: 1 })
    const { rows } = await pool.query(
      `select locked_by from graphile_worker.jobs where locked_by is not null`,
    )
    t.strictSame(rows, [{ locked_by: 'only just' }])
    await lock(young.id, 'only just', 31)
    t.strictSame(await reconcile(), { unlocked: 1 })
  })

  t.test('an attempt cut off while its delivery was cancelled is abandoned', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    const claimed = await work.claim(due)
    await pool.query('select postrider.cancel($1)', [due.id])
    t.strictSame(await reconcile(), {}, 'it may still be on the wire')
    await work.die(120)
    await pool.query(
      `update postrider.attempt set started_at = now() - interval '2 minutes' where id = $1`,
      [claimed?.attemptId],
    )
    t.match(await findViolations(pool), [
      { kind: 'started_without_runner', id: claimed?.attemptId },
    ])
    t.strictSame(await reconcile(), { abandoned: 1 })
    t.match(await work.attemptsOf(due.id), [{ outcome: 'abandoned' }])
    t.match(await work.deliveryOf(due.eventId), { state: 'cancelled', claim: null })
    t.strictSame(await kinds(), [])
  })

  // The search looked at the twenty runners seen last, whatever their end (issue 6).
  t.test('one of a killed runner is found behind many that were restarted since', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.claim(due)
    await pool.query('select postrider.cancel($1)', [due.id])
    await work.die(120)
    await pool.query(
      `insert into postrider.runner (id, host, pid, seen_at, stopped_at)
       select 'restarted-' || n, 'host', n, now() - interval '40 seconds', now() - interval '40 seconds'
       from generate_series(1, 20) as n`,
    )
    t.strictSame(await reconcile(), { abandoned: 1 })
    t.match(await work.attemptsOf(due.id), [{ outcome: 'abandoned' }])
    await pool.query(`delete from postrider.runner where id like 'restarted-%'`)
  })

  t.test('one at a time', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.loseJob(due.id)
    const client = await pool.connect()
    try {
      await client.query('begin')
      t.match((await client.query(`select * from postrider.reconcile('0')`)).rows, [
        { healed: 'pending' },
      ])
      await work.loseJob((await work.publish()).id)
      t.strictSame(await reconcile('0'), {})
      await client.query('commit')
    } finally {
      client.release()
    }
    t.strictSame(await reconcile('0'), { pending: 1 })
  })

  t.test('what was healed is in the audit log', async (t) => {
    const work = await createWork(pool)
    await work.loseJob((await work.publish()).id)
    await pool.query(`select postrider.reconcile('0', 'somebody')`)
    const { rows } = await pool.query(`select * from postrider.audit_log where who = 'somebody'`)
    t.match(rows, [{ action: 'reconcile', target_kind: 'service', detail: { pending: 1 } }])
  })

  t.test('each history that contradicts itself is listed', async (t) => {
    await repair(pool) // what earlier tests have left
    const work = await createWork(pool)
    const deliveries = [await work.publish(), await work.publish(), await work.publish()]
    for (const due of deliveries) await work.finish(await work.claim(due), 200)
    const [lost, other, wrong] = deliveries
    await pool.query('delete from postrider.attempt where delivery_id = $1', [lost?.id])
    await pool.query(`update postrider.attempt set outcome = 'rejected' where delivery_id = $1`, [
      other?.id,
    ])
    await pool.query(`update postrider.attempt set outcome = 'abandoned' where delivery_id = $1`, [
      wrong?.id,
    ])
    await pool.query(`update postrider.delivery set state = 'failed' where id = $1`, [wrong?.id])
    t.match(await findViolations(pool), [
      { kind: 'attempt_missing', id: lost?.id, tenantId: work.tenant.id },
      { kind: 'final_without_attempt', id: other?.id },
      { kind: 'final_without_attempt', id: wrong?.id },
    ])
    const { rows } = await pool.query('select count(*)::int from postrider.invariant_violation')
    t.strictSame(rows, [{ count: 3 }], 'the view agrees')
    t.strictSame(await repair(pool), [], 'and nobody can repair it')
    await pool.query('delete from postrider.delivery where tenant_id = $1', [work.tenant.id])
  })

  t.test('an event that lacks a delivery is listed where that can be decided', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query('delete from postrider.delivery where id = $1', [due.id])
    t.notOk((await kinds()).includes('delivery_missing'), 'the endpoint is too young to tell')
    await pool.query(
      `update postrider.endpoint set created_at = now() - interval '1 hour', updated_at = now() - interval '1 hour' where id = $1`,
      [work.endpoint.id],
    )
    t.match(await findViolations(pool), [{ kind: 'delivery_missing', id: due.eventId }])
    await pool.query(`update postrider.endpoint set filter = '$.id == 2' where id = $1`, [
      work.endpoint.id,
    ])
    t.notOk((await kinds()).includes('delivery_missing'), 'the filter does not match')
    await pool.query('delete from postrider.event where id = $1', [due.eventId])
  })

  t.test('an open delivery whose event is gone is listed', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await pool.query('delete from postrider.event where id = $1', [due.eventId])
    t.match(await findViolations(pool), [{ kind: 'event_missing', id: due.id }])
    await pool.query('select postrider.cancel($1)', [due.id])
  })

  t.test('the janitor removes jobs that will never do anything, and no others', async (t) => {
    const work = await createWork(pool)
    const [residue, finished, gone, open] = [
      await work.publish(),
      await work.publish(),
      await work.publish(),
      await work.publish(),
    ]
    const change = (id: string, set: string) =>
      pool.query(
        `update graphile_worker._private_jobs set ${set} where key = 'd:' || $1::text returning id`,
        [id],
      )
    // As a runner leaves it that is killed between finish and completion, after the next job took the key.
    await change(residue.id, 'attempts = max_attempts')
    await pool.query(
      `update graphile_worker._private_jobs set key = null where key = 'd:' || $1::text`,
      [residue.id],
    )
    await pool.query(`select postrider.reconcile('0')`)
    await work.finish(await work.claim(finished), 200)
    await pool.query('delete from postrider.delivery where id = $1', [gone.id])

    const janitor = async () => (await pool.query('select * from postrider.janitor()')).rows
    t.match(await janitor(), [{ removed: 'dead', count: 1 }], 'the others were touched just now')
    for (const { id } of [finished, gone, open]) {
      await change(id, `updated_at = now() - interval '6 minutes'`)
    }
    t.match(
      (await findViolations(pool)).map(({ kind, detail }) => ({ kind, detail })),
      [
        { kind: 'job_without_delivery', detail: /delivered|missing/ },
        { kind: 'job_without_delivery', detail: /delivered|missing/ },
      ],
    )
    t.match(await janitor(), [{ removed: 'pointless', count: 2 }])
    t.match(await work.deliveryOf(open.eventId), { job: /\d/ })
    t.match(await work.deliveryOf(residue.eventId), { job: /\d/ })
    t.strictSame(await kinds(), [])
  })

  t.test('expired keys and runners that are long gone are cleaned up', async (t) => {
    const work = await createWork(pool)
    await pool.query(
      `insert into postrider.idempotency (tenant_id, key, event_id, request_hash, expires_at)
       select $1, n::text, postrider.uuidv7(), '', now() + make_interval(secs => n) from unnest(array[-1, -2, -3, 60]) as n`,
      [work.tenant.id],
    )
    await pool.query(
      `insert into postrider.runner (id, host, pid, seen_at, reaped_at, stopped_at) values
         ('gone', 'h', 1, now() - interval '8 days', now() - interval '8 days', null),
         ('left', 'h', 1, now() - interval '8 days', null, now() - interval '8 days'),
         ('lately', 'h', 1, now() - interval '6 days', now() - interval '6 days', null)`,
    )
    const cleanUp = async (batch: number) =>
      (await pool.query('select * from postrider.clean_up($1)', [batch])).rows
    t.strictSame(await cleanUp(2), [
      { removed: 'idempotency', count: 2 },
      { removed: 'runner', count: 2 },
    ])
    t.strictSame(await cleanUp(2), [{ removed: 'idempotency', count: 1 }])
    t.strictSame(await cleanUp(2), [])
    const { rows } = await pool.query(
      'select key from postrider.idempotency where tenant_id = $1',
      [work.tenant.id],
    )
    t.strictSame(rows, [{ key: '60' }])
    t.equal((await pool.query(`select from postrider.runner where id = 'lately'`)).rowCount, 1)
  })

  t.end()
}
