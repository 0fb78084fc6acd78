import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle() {
    const work = await createWork(pool)
    const { id } = work.endpoint
    const value = async (sql: string, ...more: unknown[]) =>
      (await pool.query({ text: `select ${sql} as value`, values: [id, ...more] })).rows[0].value
    return {
      ...work,
      value,
      /** What a runner says that cannot open the secret. */
      hold: (sealed = [work.endpoint.secret]) =>
        value('postrider.hold_unreadable($1, $2::text[], $3)', sealed, 'no key'),
      release: () => value('postrider.release_secrets(array[$1]::uuid[], $2)', 'Ann'),
      reason: () =>
        value(`(select postrider.held_for(e, t, c, postrider.is_paused())
          from postrider.endpoint e join postrider.tenant t on t.id = e.tenant_id
          left join postrider.circuit c on c.endpoint_id = e.id where e.id = $1)`),
      /** What the endpoint's job does, if it has one. */
      align: async () => {
        const isThere = await value(`(graphile_worker.remove_job('align:' || $1::text)).id`)
        return isThere ? value('postrider.align($1)') : null
      },
      states: async () =>
        (
          await pool.query(
            `select d.state, count(*)::int, count(j.key)::int as jobs from postrider.delivery d
             left join graphile_worker._private_jobs j on j.key = 'd:' || d.id
             where d.endpoint_id = $1 group by 1 order by 1`,
            [id],
          )
        ).rows,
    }
  }

  t.test('what is open is held, what is published later too, and nothing is claimed', async (t) => {
    const { publish, hold, align, states, claim, loseJob, reason, attemptsOf, release } =
      await bundle()
    const first = await publish()
    await publish()
    t.equal(await hold(), true)
    t.equal(await hold(), true, 'every runner that meets it hears the same')
    const late = await publish()
    t.equal(late.state, 'held')
    t.equal(late.job, null)
    t.equal(await claim(first), null, 'a job that runs before the others are held holds its own')
    await loseJob(first.id) // which the runner has completed
    t.strictSame(await attemptsOf(first.id), [], 'and begins no attempt')
    t.equal(await align(), 1)
    t.match(await states(), [{ state: 'held', count: 3, jobs: 0 }])
    t.equal(await reason(), 'secret')

    t.equal(await release(), 1)
    t.equal(await release(), 0)
    t.equal(await reason(), null)
    t.equal(await align(), 3)
    t.match(await states(), [{ state: 'pending', count: 3, jobs: 3 }])
  })

  t.test('an attempt whose secret could not be opened leaves its delivery held', async (t) => {
    const { publish, hold, claim, finish, deliveryOf, attemptsOf } = await bundle()
    const { eventId, ...delivery } = await publish()
    const claimed = await claim(delivery)
    await hold()
    // As deliver.ts finishes it, but for the outcome, which costs a step here.
    t.equal(await finish(claimed, 503, 60), 'held')
    t.match(await deliveryOf(eventId), { state: 'held' })
    t.match(await attemptsOf(delivery.id), [{ number: 1 }])
  })

  t.test('nothing is held for a text that is not in use any more', async (t) => {
    const { tenant, endpoint, hold, reason } = await bundle()
    t.equal(await hold(['another']), false)
    const second = await tenant.addSecret(endpoint.id)
    const expire = (seconds: number) =>
      pool.query(
        `update postrider.endpoint_secret set expires_at = now() + make_interval(secs => $2)
         where endpoint_id = $1 and encrypted <> $3`,
        [endpoint.id, seconds, second],
      )
    await expire(-1)
    t.equal(await hold(), false, 'its overlap is over')
    t.equal(await reason(), null)
    await expire(10)
    t.equal(await hold(), true, 'it signs as well still')
    await pool.query(`update postrider.endpoint set deleted_at = now() where id = $1`, [
      endpoint.id,
    ])
    t.equal(await hold(), false)
  })

  t.test('a change of the secret or of the client key has it tried again', async (t) => {
    const { tenant, endpoint, hold, reason, audited } = await bundle()
    await hold()
    await pool.query(`update postrider.endpoint set description = 'x' where id = $1`, [endpoint.id])
    t.equal(await reason(), 'secret', 'no other change')
    await tenant.addSecret(endpoint.id)
    t.equal(await reason(), null)
    await hold()
    await pool.query(`delete from postrider.endpoint_secret where endpoint_id = $1`, [endpoint.id])
    t.equal(await reason(), null)

    const give = (key: string | null) =>
      pool.query(
        `update postrider.endpoint set client_certificate = $2, client_key_encrypted = $2 where id = $1`,
        [endpoint.id, key],
      )
    await give('sealed')
    t.equal(await hold(['sealed']), true)
    await give('sealed')
    t.equal(await reason(), 'secret', 'it is the same')
    await give(null)
    t.equal(await reason(), null)
    t.strictSame(
      (await audited()).map(({ who, action }) => [who, action]),
      Array(3).fill(['a change of the secret', 'release_secrets']),
    )
  })

  // Nothing looked at the clock: deliveries stayed held although every secret that signs could be opened.
  t.test('the end of the overlap of an old secret has it tried again', async (t) => {
    const { tenant, endpoint, publish, hold, value, reason, align, states, audited } =
      await bundle()
    const old = endpoint.secret
    const current = await tenant.addSecret(endpoint.id)
    await publish()
    const mark = (since: string | null) =>
      pool.query(
        `update postrider.endpoint
         set unreadable_since = now() + $2::interval, unreadable_detail = 'no key' where id = $1`,
        [endpoint.id, since],
      )
    const since = async (expired: string, unreadable: string) => {
      await mark(null)
      await pool.query(
        `update postrider.endpoint_secret set expires_at = now() + $3::interval
         where endpoint_id = $1 and encrypted = $2`,
        [endpoint.id, old, expired],
      )
      await mark(unreadable)
    }
    const reconcile = () => pool.query('select * from postrider.reconcile()')
    await since('1 minute', '-1 minute')
    await value('postrider.align($1)')
    await reconcile()
    t.equal(await reason(), 'secret', 'it signs as well still')
    t.equal(await align(), null)
    t.match(await states(), [{ state: 'held', count: 1, jobs: 0 }])
    await since('-2 minutes', '-1 minute')
    await reconcile()
    t.equal(await reason(), 'secret', 'what could not be opened was not this one')

    await since('-1 minute', '-2 minutes')
    const { rows } = await reconcile()
    t.strictSame(rows, [{ healed: 'secret', count: 1 }])
    t.equal(await reason(), null)
    t.equal(await align(), 1)
    t.match(await states(), [{ state: 'pending', count: 1, jobs: 1 }])
    t.match(await audited(), [{ who: 'the end of an overlap', action: 'release_secrets' }])

    t.equal(await hold([current]), true)
    await reconcile()
    t.equal(await reason(), 'secret', 'once for each secret that ends')
  })

  t.test('a release for one reason releases nothing that is held for another', async (t) => {
    const { tenant, endpoint, publish, hold, release, reason, align, states, value } =
      await bundle()
    await publish()
    const held = async (expected: string) => {
      await align()
      t.equal(await reason(), expected)
      t.match(await states(), [{ state: 'held', count: 1, jobs: 0 }], expected)
    }
    await hold()
    await value('postrider.pause_endpoint($1)')
    await held('paused')
    await release()
    await held('paused')
    await hold()
    await value('postrider.resume_endpoint($1)')
    await held('secret')

    await pool.query(`select postrider.disable_endpoint($1, 'gone')`, [endpoint.id])
    await held('disabled')
    await release()
    await held('disabled')
    await hold()
    t.equal(await value('postrider.enable_endpoint($1)'), 1, 'one is held still')
    await held('secret')

    await pool.query('select postrider.suspend_tenant($1)', [tenant.key])
    await held('suspended')
    await release()
    await held('suspended')
    await hold()
    await pool.query('select postrider.resume_tenant($1)', [tenant.key])
    await held('secret')

    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at) values ($1, $2, 20, now())`,
      [endpoint.id, tenant.id],
    )
    await held('secret')
    await release()
    await held('circuit')
    await hold()
    await pool.query('delete from postrider.circuit where endpoint_id = $1', [endpoint.id])
    await held('secret')
    await release()
    t.equal(await align(), 1)
    t.equal(await reason(), null)
    t.match(await states(), [{ state: 'pending', count: 1, jobs: 1 }])
  })

  t.test('everything that is paused holds what is released, too', async (t) => {
    const { publish, hold, release, reason, align, states } = await bundle()
    await publish()
    await hold()
    await pool.query('select postrider.pause_all()')
    t.equal(await reason(), 'paused')
    await release()
    await align()
    t.match(await states(), [{ state: 'held', count: 1 }])
    await pool.query('select postrider.resume_all()')
    await align()
    t.match(await states(), [{ state: 'pending', count: 1, jobs: 1 }])
  })

  t.test('retry, test and replay say so, or wait', async (t) => {
    const { tenant, endpoint, publish, claim, finish, loseJob, hold, value, deliveryOf } =
      await bundle()
    const { eventId, ...delivery } = await publish()
    await finish(await claim(delivery), 503, null)
    await loseJob(delivery.id)
    await hold()
    const refusal = { code: '55000', message: /no key of this service opens the secret/ }
    await t.rejects(pool.query('select postrider.retry_now($1)', [delivery.id]), refusal)
    await t.rejects(value(`(postrider.publish_test($1, 'a.b', '1')).event_id`), refusal)
    const { rows } = await pool.query(
      `select id from postrider.start_replay($1, since => now() - interval '1 hour', endpoint => $2)`,
      [tenant.key, endpoint.id],
    )
    await pool.query('select postrider.replay_step($1)', [rows[0].id])
    t.match(await deliveryOf(eventId), { state: 'held', trigger: 'replay', job: null })
  })

  t.test('the circuit of such an endpoint is probed when it is released', async (t) => {
    const { tenant, endpoint, publish, hold, release, value } = await bundle()
    await publish()
    await hold()
    await pool.query(
      `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at) values ($1, $2, 20, now(), now())`,
      [endpoint.id, tenant.id],
    )
    const probeJob = () =>
      value(`(select run_at from graphile_worker._private_jobs where key = 'probe:' || $1::text)`)
    t.equal(await value('postrider.probe($1)'), null)
    t.equal(await probeJob(), null, 'until then it costs nothing')
    await value(`postrider.hold_open($1, 'secret', 10)`)
    await release()
    t.ok(await probeJob())
    t.ok(await value('postrider.probe($1)'))
  })

  t.test('the doctor names it, the reconciler leaves it alone, the metric counts it', async (t) => {
    const { endpoint, publish, hold, align, states } = await bundle()
    const counted = async () =>
      (await pool.query('select * from postrider.unreadable_secrets()')).rows[0]
    const before = await counted()
    await publish()
    await publish()
    await hold()
    await align()
    const after = await counted()
    t.equal(Number(after.endpoints) - Number(before.endpoints), 1)
    t.equal(Number(after.deliveries) - Number(before.deliveries), 2)
    const { rows } = await pool.query(
      'select kind, detail from postrider.violations_of_endpoints() where id = $1',
      [endpoint.id],
    )
    t.match(rows, [
      { kind: 'secret_unreadable', detail: /^2 deliveries .*no key.*secrets release/ },
    ])
    await pool.query(`select * from postrider.reconcile(interval '0')`)
    t.match(await states(), [{ state: 'held', count: 2, jobs: 0 }])
  })

  t.end()
}
