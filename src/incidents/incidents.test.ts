import t, { type Test } from 'tap'
import { createFinish } from '../runner/finish.ts'
import type { AttemptResult } from '../sending/outcome.ts'
import { operatorTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'

onBothPostgres(t, conformance)

/** Every cause, with an answer or a reason that has it. */
const CAUSES: [cause: string, status: number | null, reason: string | null][] = [
  ['server_error', 500, 'status_5xx'],
  ['server_error', 501, 'status_5xx'],
  ['server_error', 599, 'status_5xx'],
  ['unauthorized', 401, 'status_4xx'],
  ['unauthorized', 403, 'status_4xx'],
  ['not_found', 404, 'status_4xx'],
  ['not_found', 410, 'status_4xx'],
  ['client_error', 400, 'status_4xx'],
  ['client_error', 402, 'status_4xx'],
  ['client_error', 499, 'status_4xx'],
  ['other_status', 302, 'status_3xx'],
  ['other_status', 600, 'status_other'],
  ['timeout', null, 'timeout_answer'],
  ['timeout', null, 'timeout_connect'],
  ['timeout', null, 'timeout_tls'],
  ['dns', null, 'timeout_dns'],
  ['dns', null, 'dns_not_found'],
  ['dns', null, 'dns_failed'],
  ['tls', null, 'tls_certificate'],
  ['tls', null, 'tls_protocol'],
  ['unreachable', null, 'connection_refused'],
  ['unreachable', null, 'connection_closed'],
  ['unreachable', null, 'bad_answer'],
  ['unreachable', null, null],
  ['blocked', null, 'blocked_address'],
  ['blocked', null, 'unsendable'],
  ['ours', null, 'proxy_refused'],
  ['ours', 502, 'proxy_failed'],
  ['ours', null, 'secret_unreadable'],
  ['ours', null, 'fault'],
]

const FAULT: AttemptResult = {
  outcome: 'interrupted',
  statusCode: null,
  reason: 'fault',
  error: 'not sent',
  durationMs: 1,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
  requestHeaders: {},
  responseHeaders: null,
  responseBody: null,
  retryAfterSeconds: null,
}

interface Incident {
  id: string
  cause: string
  verdict: string
  failures: string
  closed_at: Date | null
  [column: string]: unknown
}

function conformance(t: Test, { pool }: TestDatabase) {
  async function bundle() {
    const work = await createWork(pool)
    const fail = async (times: number, status = 503) => {
      for (let n = 0; n < times; n++)
        await work.finish(await work.claim(await work.publish()), status, 60)
    }
    const incidents = async () =>
      (
        await pool.query<Incident>(
          'select * from postrider.incident_list where tenant_id = $1 order by id',
          [work.tenant.id],
        )
      ).rows
    const one = async () => {
      const [incident] = await incidents()
      if (!incident) throw new Error('there is no incident')
      return incident
    }
    const say = async (call: string, ...values: unknown[]) =>
      (await pool.query(`select postrider.${call} as said`, values)).rows[0].said
    return { ...work, fail, incidents, one, say, look: () => say('keep_incidents()') }
  }
  const operational = async (incidentId: string) =>
    (
      await pool.query<{ type: string; data: Record<string, unknown> }>(
        `select e.type, e.data::jsonb as data from postrider.event e join postrider.tenant t on t.id = e.tenant_id
         where t.key = 'postrider:operator' and e.data ->> 'incidentId' = $1 order by e.id`,
        [incidentId],
      )
    ).rows
  const closedAgo = (id: string, minutes: number) =>
    pool.query(
      'update postrider.incident set closed_at = now() - make_interval(mins => $2) where id = $1',
      [id, minutes],
    )

  t.test('every status and reason has its cause', async (t) => {
    for (const [cause, status, reason] of CAUSES) {
      const { rows } = await pool.query('select postrider.incident_cause($1, $2) as cause', [
        status,
        reason,
      ])
      t.equal(rows[0].cause, cause, `${status} ${reason}`)
    }
  })

  t.test('the third failure with a cause opens an incident, and a success closes it', async (t) => {
    const { fail, look, incidents, one, finish, claim, publish, endpoint, tenant } = await bundle()
    await fail(2)
    await look()
    t.strictSame(await incidents(), [], 'two are none')
    await fail(1)
    await look()
    t.match(await incidents(), [
      {
        cause: 'server_error',
        verdict: 'theirs',
        failures: '3',
        tenant_key: tenant.key,
        endpoint_id: endpoint.id,
        last_answer: /503/,
        last_status_code: 503,
        held: 0,
        closed_at: null,
        first_seen_at: Date,
      },
    ])
    await fail(2)
    await look()
    t.match(await one(), { failures: '5' })
    await look()
    t.match(await one(), { failures: '5' }, 'what was counted is not counted again')
    await finish(await claim(await publish()), 200)
    await look()
    t.match(await one(), { closed_at: Date, closed_reason: 'recovered', failures: '5' })
    const { id } = await one()
    t.match(await operational(id), [
      {
        type: 'incident.opened',
        data: {
          endpointId: endpoint.id,
          tenant: tenant.key,
          cause: 'server_error',
          verdict: 'theirs',
          reopened: false,
        },
      },
      { type: 'incident.closed', data: { closedReason: 'recovered' } },
    ])
  })

  t.test(
    'each cause of an endpoint is an incident; a refusal ends failures, not refusals',
    async (t) => {
      const { fail, look, incidents } = await bundle()
      const shown = async () =>
        (await incidents())
          .map(({ cause, closed_at }) => `${cause} ${closed_at ? 'closed' : 'open'}`)
          .sort()
      await fail(3, 503)
      await fail(3, 401)
      await look()
      t.strictSame(await shown(), ['server_error open', 'unauthorized open'])
      await fail(3, 404)
      await look()
      t.strictSame(await shown(), ['not_found open', 'server_error closed', 'unauthorized closed'])
      await fail(1, 200)
      await look()
      t.strictSame(await shown(), [
        'not_found closed',
        'server_error closed',
        'unauthorized closed',
      ])
    },
  )

  t.test('one 410 is enough, since it disables the endpoint', async (t) => {
    const { fail, look, incidents, say, endpoint } = await bundle()
    await fail(1, 410)
    await look()
    t.match(await incidents(), [{ cause: 'not_found', endpoint_state: 'disabled', failures: '1' }])
    await say('enable_endpoint($1)', endpoint.id)
    await look()
    t.match(await incidents(), [{ closed_reason: 'recovered' }])
  })

  t.test(
    'what comes back within 10 minutes is the same incident, and stays open longer',
    async (t) => {
      const { fail, look, incidents, one, finish, claim, publish } = await bundle()
      const succeed = async () => finish(await claim(await publish()), 200)
      await fail(3)
      await look()
      await succeed()
      await look()
      const { id } = await one()
      await closedAgo(id, 9)
      await fail(3)
      await look()
      t.match(await incidents(), [{ id, failures: '6', reopened_count: 1, closed_at: null }])
      t.match((await operational(id)).at(-1), { type: 'incident.opened', data: { reopened: true } })
      await succeed()
      await look()
      t.match(await one(), { closed_at: null }, 'a success right after a failure does not close it')
      await pool.query(
        `update postrider.incident set last_seen_at = now() - interval '61 s' where id = $1`,
        [id],
      )
      await look()
      t.match(await one(), { closed_at: Date })
      await closedAgo(id, 11)
      await fail(3)
      await look()
      t.match(
        await incidents(),
        [{ id }, { failures: '3', reopened_count: 0 }],
        'later it is another one',
      )
    },
  )

  t.test(
    'an endpoint that nothing is sent to for two days, or that is deleted, is no incident any more',
    async (t) => {
      const quiet = await bundle()
      await quiet.fail(3)
      await quiet.look()
      const hours = (count: number) =>
        pool.query(
          `update postrider.circuit set causes = jsonb_set(causes, '{server_error,at}', to_jsonb(now() - make_interval(hours => $2)))
         where endpoint_id = $1`,
          [quiet.endpoint.id, count],
        )
      await hours(47)
      await quiet.look()
      t.match(await quiet.one(), { closed_at: null })
      await hours(49)
      await quiet.look()
      t.match(await quiet.one(), { closed_reason: 'quiet' })

      const deleted = await bundle()
      await deleted.fail(3)
      await deleted.look()
      await deleted.say('delete_endpoint($1, $2)', deleted.tenant.id, deleted.endpoint.id)
      await deleted.look()
      t.match(await deleted.one(), { closed_reason: 'deleted' })
    },
  )

  t.test('a secret that no key opens, and a fault of ours, are incidents of ours', async (t) => {
    const { look, incidents, say, endpoint } = await bundle()
    await pool.query(
      `update postrider.endpoint set unreadable_since = now(), unreadable_detail = 'no key' where id = $1`,
      [endpoint.id],
    )
    await look()
    t.match(await incidents(), [{ cause: 'ours', verdict: 'ours' }])
    await say('release_secrets(array[$1]::uuid[])', endpoint.id)
    await look()
    t.match(await incidents(), [{ closed_reason: 'recovered' }])

    const faulty = await bundle()
    const finish = createFinish(pool, { disableAfterSeconds: 86_400 })
    for (let n = 0; n < 3; n++) {
      const claimed = await faulty.claim(await faulty.publish())
      if (!claimed) throw new Error('nothing was claimed')
      const { deliveryId, attemptId } = claimed
      await finish({ deliveryId, attemptId, nextInSeconds: 60, result: FAULT })
    }
    await faulty.look()
    t.match(await faulty.incidents(), [{ cause: 'ours', verdict: 'ours', circuit_opened_at: null }])
    await faulty.fail(1, 200)
    await faulty.look()
    t.match(await faulty.incidents(), [{ closed_reason: 'recovered' }])
  })

  t.test(
    'a network cause of 3 tenants and 20 % of the active endpoints is likely ours',
    async (t) => {
      const own = pool
      const bundles = await Promise.all([bundle(), bundle(), bundle()])
      await own.query(
        'update postrider.runner set seen_at = now(), reaped_at = null, stopped_at = null',
      )
      const unreachable = (one: (typeof bundles)[number]) =>
        own.query(
          `insert into postrider.circuit (endpoint_id, tenant_id, failures, causes)
       values ($1, $2, 3, postrider.add_causes('{}', array['dns', 'dns', 'dns'], array[postrider.uuidv7(), postrider.uuidv7(), postrider.uuidv7()]))`,
          [one.endpoint.id, one.tenant.id],
        )
      const [first, second, third] = bundles as [
        (typeof bundles)[0],
        (typeof bundles)[0],
        (typeof bundles)[0],
      ]
      await own.query(`update postrider.endpoint set state = 'paused' where id <> all ($1)`, [
        bundles.map(({ endpoint }) => endpoint.id),
      ])
      await unreachable(first)
      await unreachable(second)
      await first.look()
      t.match(await first.one(), { verdict: 'theirs' }, 'two tenants')
      await unreachable(third)
      await first.look()
      for (const { one } of bundles) t.match(await one(), { verdict: 'ours' })

      const { rows } = await own.query(
        'select count(*)::int as active from postrider.endpoint where state = $1',
        ['active'],
      )
      t.equal(rows[0].active, 3)
      for (let n = 0; n < 12; n++) await first.tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
      await first.look()
      t.match(await first.one(), { verdict: 'ours' }, '3 of 15 are 20 %')
      await first.tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
      await first.look()
      t.match(await first.one(), { verdict: 'theirs' }, '3 of 16 are less')

      await own.query(
        `update postrider.runner set seen_at = now() - interval '6 s' where id = $1`,
        [first.runner],
      )
      t.match(await first.say('service_alarm()'), /stopped responding/)
      await first.look()
      t.match(await first.one(), { verdict: 'ours' }, 'a runner that is silent')
      await own.query('update postrider.runner set stopped_at = now()')
      t.equal(await first.say('service_alarm()'), 'No runner is alive.')
      await own.query(
        'update postrider.runner set stopped_at = null, seen_at = now() + interval $$1 hour$$',
      )
      t.equal(await first.say('service_alarm()'), null)
    },
  )

  t.test(
    'people acknowledge, note, probe, release and pause, and it is written down',
    async (t) => {
      const { fail, look, one, say, audited, endpoint, tenant } = await bundle()
      await fail(20)
      await tenant.publish()
      await look()
      const { id } = await one()
      await pool.query('select postrider.align($1)', [endpoint.id])
      t.match(await one(), { held: 21, circuit_opened_at: Date })
      const waits = (from: string, to: string) =>
        pool.query(
          `update postrider.delivery set held_reason = $3 where id = (
             select id from postrider.delivery where endpoint_id = $1 and held_reason = $2 limit 1)`,
          [endpoint.id, from, to],
        )
      await waits('circuit', 'order')
      t.match(await one(), { held: 20 }, 'what waits for an earlier one is not held by the failure')
      await waits('order', 'circuit')

      await say('acknowledge_incident($1, $2)', id, 'ann')
      await say('acknowledge_incident($1, $2)', id, 'bob')
      t.match(await one(), { acknowledged_by: 'ann', acknowledged_at: Date }, 'the first one stays')
      await say('note_incident($1, $2, $3)', id, 'they deploy', 'ann')
      t.match(await one(), { note: 'they deploy', noted_by: 'ann' })
      await say('note_incident($1, $2, $3)', id, ' ', 'ann')
      t.match(await one(), { note: null, noted_by: null })

      t.equal(await say('probe_incident($1, $2)', id, 'ann'), 'a probe is due now')
      await pool.query('select postrider.probe($1)', [endpoint.id])
      t.equal(await say('probe_incident($1, $2)', id, 'ann'), 'a probe is under way')

      t.equal(await say('release_incident($1, $2)', id, 'ann'), 20, 'one is the probe')
      await pool.query('select postrider.align($1)', [endpoint.id])
      t.match(await one(), { held: 0, circuit_opened_at: null, closed_at: null })
      t.match(await say('probe_incident($1, $2)', id, 'ann'), /^delivery .* is due now$/)
      await say('pause_incident($1, $2)', id, 'ann')
      t.match(await one(), { held: 21, endpoint_state: 'paused' })
      await t.rejects(say('probe_incident($1, $2)', id, 'ann'), {
        code: '55000',
        hint: /resume_endpoint/,
      })
      await t.rejects(say('release_incident($1, $2)', id, 'ann'), { code: '55000' })
      t.strictSame(
        (await audited()).map(({ who, action }) => `${who} ${action}`),
        [
          ...[
            'ann acknowledge_incident',
            'ann note_incident',
            'ann note_incident',
            'ann probe_incident',
          ],
          ...[
            'ann release_incident',
            'ann retry_now',
            'ann probe_incident',
            'ann pause_incident',
            'ann pause_endpoint',
          ],
        ],
      )
      await t.rejects(say('acknowledge_incident($1)', tenant.id), { code: 'P0002' })
    },
  )

  t.test('with nothing to send a probe says what to do instead', async (t) => {
    const { fail, look, one, say, tenant } = await bundle()
    await fail(3)
    await look()
    await pool.query('select postrider.cancel(id) from postrider.delivery where tenant_id = $1', [
      tenant.id,
    ])
    await t.rejects(say('probe_incident($1)', (await one()).id), {
      code: '55000',
      hint: /test event/,
    })
  })

  t.test(
    'what waits for an earlier event of its key is counted apart from what is held',
    async (t) => {
      const { fail, look, one, publish, tenant } = await bundle()
      await fail(3)
      await look()
      t.match(await one(), { held: 0, waiting: 0, can_probe: true })
      const [held, first, second] = [await publish(), await publish(), await publish()]
      const hold = (reason: string, ...deliveries: { id: string }[]) =>
        pool.query(
          `update postrider.delivery set state = 'held', held_reason = $2, next_attempt_at = null
         where id = any ($1)`,
          [deliveries.map(({ id }) => id), reason],
        )
      await hold('circuit', held)
      await hold('order', first, second)
      t.match(await one(), { held: 1, waiting: 2, can_probe: true })
      await pool.query(
        `select postrider.cancel(id) from postrider.delivery where tenant_id = $1 and state = 'pending'`,
        [tenant.id],
      )
      t.match(await one(), { held: 1, waiting: 2, can_probe: false }, 'nothing has a next attempt')
    },
  )

  t.test(
    'the customer is told in words, and at an endpoint that asks for it by name',
    async (t) => {
      const { fail, look, one, say, audited, tenant, endpoint } = await bundle()
      await operatorTenant(pool)
      const named = await tenant.addEndpoint({
        url: 'http://127.0.0.1:1/ops',
        event_types: ['postrider.incident'],
      })
      await tenant.addEndpoint({ url: 'http://127.0.0.1:1/all', event_types: ['*'] })
      await fail(3, 401)
      await look()
      const { id } = await one()
      const message = await say('incident_message($1)', id)
      t.match(
        message,
        /have been failing since 20.* UTC: the receiver rejects our requests as unauthorized/,
      )
      t.match(message, /Last attempt: answered 401/)
      t.equal(await say('notify_customer($1, $2, $3)', id, null, 'ann'), message)
      t.match(await one(), { notified_by: 'ann', notified_at: Date })
      t.match((await operational(id)).at(-1), {
        type: 'incident.reported',
        data: { tenant: tenant.key, endpointId: endpoint.id, message },
      })
      const { rows } = await pool.query(
        `select d.endpoint_id, e.type, e.data::jsonb ->> 'message' as message from postrider.event e
       join postrider.delivery d on d.event_id = e.id where e.tenant_id = $1 and e.type ~ '^postrider'`,
        [tenant.id],
      )
      t.strictSame(rows, [{ endpoint_id: named.id, type: 'postrider.incident', message }])
      t.equal(await say('notify_customer($1, $2)', id, 'We call you.'), 'We call you.')
      t.match((await audited()).at(-1), { detail: { endpoints: 1, message: 'We call you.' } })
    },
  )

  t.test('healthy endpoints have neither counts nor incidents', async (t) => {
    const { finish, claim, publish, look, incidents, endpoint } = await bundle()
    await finish(await claim(await publish()), 200)
    await look()
    t.strictSame(await incidents(), [])
    const { rows } = await pool.query('select from postrider.circuit where endpoint_id = $1', [
      endpoint.id,
    ])
    t.equal(rows.length, 0)
  })

  t.end()
}
