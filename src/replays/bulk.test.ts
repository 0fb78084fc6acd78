import t, { type Test } from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import {
  createTestDatabase,
  onBothPostgres,
  type TestDatabase,
} from '../testing/wiring/database.ts'
import { createTestConsole } from '../testing/wiring/pages.ts'
import { startService } from '../testing/wiring/service.ts'

onBothPostgres(t, conformance)

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle() {
    const work = await createWork(pool)
    const call = async (action: string, options: Record<string, unknown> = {}) => {
      const given = { tenant: work.tenant.key, action, who: 'ann', ...options }
      const names = Object.keys(given)
      const { rows } = await pool.query(
        `select * from postrider.start_bulk(${names.map((name, i) => `${name} => $${i + 1}`).join(', ')})`,
        Object.values(given),
      )
      return rows[0]
    }
    const run = async (job: { id: string }, batch = 500) => {
      for (;;) {
        const { rows } = await pool.query('select postrider.replay_step($1, $2) as did', [
          job.id,
          batch,
        ])
        if (['done', 'over'].includes(rows[0].did)) break
      }
      return (await pool.query('select * from postrider.replay where id = $1', [job.id])).rows[0]
    }
    const failed = async (status = 500) => {
      const delivery = await work.publish()
      await work.finish(await work.claim(delivery), status)
      return delivery
    }
    const states = async (...deliveries: { eventId: string }[]) =>
      (await Promise.all(deliveries.map(({ eventId }) => work.deliveryOf(eventId)))).map(
        ({ state }) => state,
      )
    return { ...work, call, run, failed, states }
  }

  t.test('a preview counts and shows the first ten, and nothing begins', async (t) => {
    const { call, failed, tenant } = await bundle()
    const deliveries = []
    for (let n = 0; n < 11; n++) deliveries.push(await failed(400))
    const { total, delivery_ids: sample } = await call('retry', { preview: true })
    t.equal(total, 11)
    t.strictSame(
      sample,
      deliveries.slice(0, 10).map(({ id }) => id),
    )
    const { rows } = await pool.query('select from postrider.replay where tenant_id = $1', [
      tenant.id,
    ])
    t.equal(rows.length, 0)
  })

  t.test('chosen ones are retried, the others and those in flight stay as they are', async (t) => {
    const { call, run, failed, states, publish, claim, audited, deliveryOf } = await bundle()
    const [chosen, other, flying, delivered] = [
      await failed(400),
      await failed(400),
      await publish(),
      await failed(200),
    ]
    const claimed = await claim(flying)
    t.ok(claimed)
    const job = await call('retry', { deliveries: [chosen.id, flying.id, delivered.id] })
    t.match(job, { mode: 'retry', is_bulk: true, total: 1, state: 'running' })
    t.match(await run(job), { state: 'done', done: 1, skipped: 0 })
    t.strictSame(await states(chosen, other, flying, delivered), [
      'pending',
      'failed',
      'delivering',
      'delivered',
    ])
    t.match(await deliveryOf(chosen.eventId), { trigger: 'manual', schedule_step: 0, job: /\d/ })
    t.match((await audited()).at(-1), { who: 'ann', action: 'start_bulk' })
  })

  t.test('a recovery is written down as it is: one attempt of what was tried', async (t) => {
    const work = await createWork(pool)
    const [tried] = [await work.publish(), await work.publish()]
    await work.finish(await work.claim(tried), 500)
    const { rows } = await pool.query(
      `select id, total, one_attempt, delivery_ids from postrider.start_recovery($1, now() - interval '1 hour', who => 'ann')`,
      [work.endpoint.id],
    )
    const begun = { total: 1, one_attempt: true, delivery_ids: null }
    t.match(rows, [begun])
    t.match(await work.audited(), [{ who: 'ann', action: 'start_bulk', detail: begun }])
    const { rows: stored } = await pool.query(
      'select total, one_attempt, delivery_ids from postrider.replay where id = $1',
      [rows[0].id],
    )
    t.strictSame(stored, [begun])
  })

  t.test('all that match are cancelled, a batch a step', async (t) => {
    const { call, run, publish, states, failed, endpoint, tenant } = await bundle()
    const open = [await publish(), await publish(), await publish()]
    const ended = await failed(400)
    const elsewhere = await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
    const more = await tenant.publish()
    const job = await call('cancel', { endpoint: endpoint.id })
    t.equal(job.total, 4, 'the one of the other endpoint is not among them')
    t.match(await run(job, 2), { done: 4, skipped: 0, state: 'done' })
    t.strictSame(await states(...open, ended), ['cancelled', 'cancelled', 'cancelled', 'failed'])
    const { rows } = await pool.query(
      'select state from postrider.delivery where event_id = $1 and endpoint_id = $2',
      [more, elsewhere.id],
    )
    t.strictSame(rows, [{ state: 'pending' }])
  })

  t.test(
    'what a circuit holds is released, and its circuit closed; what people hold is not',
    async (t) => {
      const { call, run, publish, endpoint, states, tenant } = await bundle()
      const held = [await publish(), await publish()]
      const open = () =>
        pool.query(
          `insert into postrider.circuit (endpoint_id, tenant_id, failures, opened_at, probe_at)
         values ($1, $2, 20, clock_timestamp(), now() + interval '1 minute')`,
          [endpoint.id, tenant.id],
        )
      await open()
      await pool.query('select postrider.align($1)', [endpoint.id])
      t.strictSame(await states(...held), ['held', 'held'])
      const job = await call('release')
      t.match(await run(job), { total: 2, done: 2 })
      t.strictSame(await states(...held), ['pending', 'pending'])

      const later = await call('release')
      await pool.query(
        `update postrider.circuit set opened_at = clock_timestamp() where endpoint_id = $1`,
        [endpoint.id],
      )
      await pool.query('select postrider.align($1)', [endpoint.id])
      await run(later)
      t.strictSame(
        await states(...held),
        ['held', 'held'],
        'a circuit that opened since stays open',
      )
      await pool.query('select postrider.pause_endpoint($1)', [endpoint.id])
      t.equal((await call('release', { preview: true })).total, 0)
    },
  )

  t.test(
    'finished ones are made again; the reason and the class of the last answer choose',
    async (t) => {
      const { call, run, failed, states } = await bundle()
      const [bad, gone] = [await failed(500), await failed(422)]
      t.equal((await call('redeliver', { preview: true, status_class: 4 })).total, 1)
      t.equal((await call('redeliver', { preview: true, reason: 'status_5xx' })).total, 1)
      await run(await call('redeliver', { reason: 'status_5xx', states: ['failed'] }))
      t.strictSame(await states(bad, gone), ['pending', 'failed'])
    },
  )

  t.test('what cannot be meant is refused', async (t) => {
    const { call } = await bundle()
    await t.rejects(call('explode'), { code: '22023' })
    await t.rejects(call('cancel', { states: ['delivered'] }), { code: '22023', hint: /pending/ })
    await t.rejects(call('cancel', { tenant: 'nobody' }), { code: 'P0002' })
    await call('cancel', { of_tenant_max: 1 })
    await t.rejects(call('cancel', { of_tenant_max: 1 }), { code: '54000' })
  })

  t.test('a time that nothing can be in is refused, to count as to start', async (t) => {
    const { call, endpoint } = await bundle()
    const future = { code: '22023', column: 'since', message: 'since is not in the past' }
    const since = '2099-01-01'
    for (const preview of [true, false]) {
      await t.rejects(call('retry', { preview, since }), future)
      const early = { preview, until: '1999-01-01' }
      await t.rejects(call('retry', early), { code: '22023', column: 'until' })
    }
    const recovery = pool.query('select postrider.start_recovery($1, $2)', [endpoint.id, since])
    await t.rejects(recovery, future)
  })

  t.test('one that was cancelled half-way leaves the rest', async (t) => {
    const { call, publish, states } = await bundle()
    const open = [await publish(), await publish()]
    const job = await call('cancel')
    await pool.query('select postrider.replay_step($1, 1)', [job.id])
    const { rows } = await pool.query('select postrider.cancel_replay($1) as was_running', [job.id])
    t.strictSame(rows, [{ was_running: true }])
    await pool.query('select postrider.replay_step($1, 1)', [job.id])
    t.strictSame(await states(...open), ['cancelled', 'pending'])
  })

  t.end()
}

t.test(
  'over HTTP: preview, start, follow and cancel; a key that only reads is refused',
  async (t) => {
    const { pool } = await createTestDatabase(t)
    const { request, apiKeys } = createTestApi(pool)
    const work = await createWork(pool)
    const delivery = await work.publish()
    const path = `/api/tenants/${work.tenant.key}/deliveries/bulk`
    const preview = await request('POST', path, { body: { action: 'cancel', preview: true } })
    t.match(preview, {
      status: 200,
      json: { count: 1, sample: [{ id: delivery.id, state: 'pending', eventType: /\./ }] },
    })
    const started = await request('POST', path, {
      body: { action: 'cancel', deliveryIds: [delivery.id] },
    })
    t.match(started, { status: 201, json: { mode: 'cancel', total: 1, state: 'running' } })
    const job = `/api/tenants/${work.tenant.key}/replays/${started.json.id}`
    t.match(await request('GET', job), { status: 200, json: { done: 0, skipped: 0 } })
    t.match(await request('POST', `${job}/cancel`), { status: 200, json: { state: 'cancelled' } })

    const refusals: [object, RegExp][] = [
      [{ action: 'cancel', states: ['delivered'] }, /states/],
      [{ action: 'explode' }, /action/],
      [{ action: 'retry', deliveryIds: [] }, /deliveryIds/],
      [
        { action: 'retry', since: '2099-01-01T00:00:00Z' },
        /"since","message":"is not in the past"/,
      ],
    ]
    for (const [body, said] of refusals)
      t.match(await request('POST', path, { body }), { status: 422, text: said })
    const elsewhere = (await createWork(pool)).endpoint.id
    t.match(await request('POST', path, { body: { action: 'retry', endpointId: elsewhere } }), {
      status: 404,
      json: { code: 'endpoint_not_found' },
    })
    const reader = await apiKeys.issue({ name: 'reads', scopes: ['read'] })
    t.equal(
      (await request('POST', path, { body: { action: 'cancel' }, key: reader.key })).status,
      403,
    )
    const other = await createWork(pool)
    const bound = await apiKeys.issue({
      name: 'bound',
      scopes: ['manage'],
      tenantId: other.tenant.id as never,
    })
    t.equal(
      (await request('POST', path, { body: { action: 'cancel' }, key: bound.key })).status,
      404,
    )
  },
)

t.test(
  'in the console: select rows, or all that match, see what it would do, and start',
  async (t) => {
    const { pool } = await createTestDatabase(t)
    const { get, post, signedIn } = await createTestConsole(pool)
    const [work, other] = [await createWork(pool), await createWork(pool)]
    const [first, second] = [await work.publish(), await work.publish()]
    const third = await other.publish()
    const cookie = await signedIn()
    const bulk = (fields: Record<string, string>) =>
      post('/console/deliveries/bulk', fields, { cookie })
    const running = async () =>
      (
        await pool.query(
          'select mode, total, delivery_ids, endpoint_id from postrider.replay order by id',
        )
      ).rows

    const { text } = await get('/console/deliveries', { cookie })
    t.match(text, `name="d.${first.id}"`)
    t.match(await bulk({ action: 'cancel' }), { status: 422, text: 'Select at least one delivery' })
    t.match(await bulk({ action: 'explode' }), { status: 422, text: 'Choose an action' })

    const chosen = {
      action: 'cancel',
      [`d.${first.id}`]: work.tenant.key,
      [`d.${third.id}`]: other.tenant.key,
    }
    t.match(await bulk(chosen), { status: 200, text: /2 deliveries match.*Cancel 2 deliveries/s })
    t.strictSame(await running(), [], 'nothing has started')
    t.match(await bulk({ ...chosen, intent: 'start', ratePerSecond: '10' }), { status: 303 })
    t.match(await running(), [
      { mode: 'cancel', total: 1, delivery_ids: [first.id] },
      { mode: 'cancel', total: 1, delivery_ids: [third.id] },
    ])

    const all = {
      action: 'cancel',
      all: 'yes',
      'f.endpoint': work.endpoint.id,
      'f.state': 'pending',
    }
    t.match(await bulk(all), { status: 422, text: 'Filter by a tenant first' })
    const named = { ...all, 'f.tenant': work.tenant.key }
    t.match(await bulk(named), { status: 200, text: second.id })
    t.match(await bulk({ ...named, intent: 'start' }), { status: 303 })
    t.match((await running()).at(-1), {
      total: 2,
      delivery_ids: null,
      endpoint_id: work.endpoint.id,
    })
    t.match(await bulk({ ...named, 'f.state': 'delivered' }), { status: 422 })
    const future = { ...named, 'f.since': '2099-01-01T00:00' }
    t.match(await bulk(future), { status: 422, text: 'From: It is not in the past.' })
    t.match((await get('/console/replays', { cookie })).text, 'Cancel pending')
    t.match(await bulk({ ...named, 'f.state': 'pending,held' }), { status: 200, text: second.id })
    t.match(await bulk({ ...named, 'f.state': 'pending,lost' }), { status: 422 })
  },
)

async function consoleBundle(t: Test) {
  const { pool } = await createTestDatabase(t)
  const { post, signedIn } = await createTestConsole(pool)
  const cookie = await signedIn()
  const work = await createWork(pool, { description: 'Billing' })
  return {
    ...work,
    pool,
    bulk: (fields: Record<string, string>) => post('/console/deliveries/bulk', fields, { cookie }),
    async hold(reason: string, ...deliveries: { id: string }[]) {
      await pool.query(
        `update postrider.delivery set state = 'held', held_reason = $2, next_attempt_at = null where id = any ($1)`,
        [deliveries.map(({ id }) => id), reason],
      )
    },
  }
}

t.test(
  'a bulk job that cannot be names the filter, what helps, and leads back to the list',
  async (t) => {
    const { bulk, tenant, endpoint } = await consoleBundle(t)
    const all = { all: 'yes', 'f.tenant': tenant.key, 'f.endpoint': endpoint.id }
    const refusals: [Record<string, string>, RegExp][] = [
      [{ action: 'retry', 'f.state': 'held' }, /State: .*“On hold” cannot be retried. Use Release/],
      [{ action: 'release', 'f.state': 'failed' }, /“Failed” cannot be released. Use Retry/],
      [
        { action: 'cancel', 'f.state': 'delivered' },
        /“Delivered” cannot be cancelled. Use Redeliver/,
      ],
      [{ action: 'retry', 'f.state': 'failed,lost' }, /State: “lost”/],
      [{ action: 'retry', 'f.class': 'nonsense' }, /Last response: /],
      [{ action: 'retry', 'f.since': 'yesterday' }, /From: /],
      [{ action: 'retry', 'f.reason': 'mood' }, /Reason: /],
      [{ action: 'retry', 'f.endpoint': 'none' }, /Endpoint: /],
      [{ action: 'retry', 'f.search': 'ord_1' }, /Remove the search/],
      [{ action: 'retry', 'f.tenant': '' }, /Filter by a tenant first/],
    ]
    for (const [fields, said] of refusals) {
      for (const intent of ['', 'start']) {
        const { status, text } = await bulk({ ...all, ...fields, intent })
        t.equal(status, 422, JSON.stringify(fields))
        t.match(text, said)
        t.match(text, /href="\/console\/deliveries\?[^"]*endpoint=[^"]*">Back to deliveries/)
      }
    }
    const selected = { action: 'retry', 'f.state': 'failed' }
    t.match(await bulk(selected), {
      status: 422,
      text: 'href="/console/deliveries?state=failed">Back to deliveries',
    })
  },
)

t.test('a rate that is none is refused at its field, with the selection still there', async (t) => {
  const { bulk, publish, tenant, pool } = await consoleBundle(t)
  const { id } = await publish()
  const chosen = { action: 'cancel', [`d.${id}`]: tenant.key, intent: 'start' }
  for (const ratePerSecond of ['abc', '0', '-1', '1001']) {
    const { status, text } = await bulk({ ...chosen, ratePerSecond })
    t.equal(status, 422, ratePerSecond)
    t.match(text, `value="${ratePerSecond}"`)
    t.match(text, `name="d.${id}"`)
    t.match(text, /id="mistake-ratePerSecond"/)
  }
  const { rows } = await pool.query('select from postrider.replay')
  t.equal(rows.length, 0, 'nothing has started')
  t.match(await bulk({ ...chosen, ratePerSecond: '1000' }), { status: 303 })
})

t.test(
  'what was selected and stays as it is, is counted by its state, with what applies to it',
  async (t) => {
    const { bulk, publish, hold, finish, claim, tenant } = await consoleBundle(t)
    const [failed, first, second, ordered] = [
      await publish(),
      await publish(),
      await publish(),
      await publish(),
    ]
    await finish(await claim(failed), 400)
    await hold('circuit', first, second)
    await hold('order', ordered)
    const chosen = Object.fromEntries(
      [failed, first, second, ordered].map(({ id }) => [`d.${id}`, tenant.key]),
    )
    const { text } = await bulk({ ...chosen, action: 'retry' })
    t.match(text, '1 of 4 selected deliveries can be retried.')
    t.match(text, /On hold: 2\..*The endpoint is failing.*name="action" value="release"/s)
    t.match(text, /On hold: 1\..*An earlier event with the same ordering key/s)
    t.match(text, 'Billing', 'the name of the endpoint')
    t.match((await bulk({ ...chosen, action: 'release' })).text, /2 of 4.*Failed: 1\./s)
    t.match((await bulk({ ...chosen, action: 'redeliver' })).text, /1 of 4.*Redeliver 1 delivery/s)
    const held = { [`d.${ordered.id}`]: tenant.key }
    t.match((await bulk({ ...held, action: 'release' })).text, '0 of 1 selected')
  },
)

if (isLong)
  t.test('a runner that is killed in the middle loses nothing', async (t) => {
    const { pool, url } = await createTestDatabase(t)
    await using receiver = await startReceiver()
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
    const { rows: events } = await pool.query<{ event_id: string }>(
      `select p.event_id from postrider.publish_many((
       select json_agg(json_build_object('tenant', $1::text, 'type', 'a.b', 'data', n))
       from generate_series(1, 700) as n)) as p`,
      [tenant.key],
    )
    // As if each had used up its schedule.
    await pool.query(`select graphile_worker.remove_job('d:' || id) from postrider.delivery`)
    await pool.query(
      `update postrider.delivery set state = 'failed', finished_at = now(), next_attempt_at = null`,
    )
    const { rows } = await pool.query<{ id: string }>(
      `select id from postrider.start_bulk($1, 'retry', rate_per_second => 100)`,
      [tenant.key],
    )
    const jobIs = (condition: string) =>
      untilHolds(pool, `select ${condition} as holds from postrider.replay where id = $1`, [
        rows[0]?.id,
      ])
    const first = await startService(t, 'runner', { DATABASE_URL: url })
    await jobIs('done = 500')
    await first.stop('SIGKILL')
    const second = await startService(t, 'runner', { DATABASE_URL: url })
    await jobIs(`state = 'done' and done = 700 and skipped = 0`)
    await untilHolds(
      pool,
      `select count(*) = 0 as holds from postrider.delivery where state <> 'delivered'`,
    )
    const sent = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))
    t.strictSame(sent, new Set(events.map(({ event_id: id }) => id)))
    t.equal(await second.stop(), 0)
  })
