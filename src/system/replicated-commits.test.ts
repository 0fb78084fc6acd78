/** What an acknowledgement is worth with a synchronous standby that goes away. Real servers. */
import { randomUUID } from 'node:crypto'
import pg, { type Pool } from 'pg'
import t from 'tap'
import type { Readiness } from '../http/health.ts'
import { reportServer } from '../operations/server-report.ts'
import { createPool } from '../postgres/pool.ts'
import { startPresence } from '../runner/presence.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { captureLog } from '../testing/log-lines.ts'
import { missing } from '../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../testing/servers/pgbouncer.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startReplicatedPostgres } from '../testing/servers/standby.ts'
import { untilAnswer, untilHolds } from '../testing/until.ts'
import { createTestApi } from '../testing/wiring/api.ts'
import { startService } from '../testing/wiring/service.ts'

const { primary, standby, setSynchronous } = await startReplicatedPostgres(t)
const { pool } = primary
await setSynchronous(true)

const WAITING = `select pid from pg_stat_activity where wait_event = 'SyncRep'`

/** Resolves once so many commits wait for the standby. */
async function untilItWaits(count = 1): Promise<void> {
  await untilHolds(pool, `select count(*) >= $1 as holds from (${WAITING}) as w`, [count])
}

/** Whether all of them wait for the standby, or one is answered without. */
async function allWait(answers: readonly Promise<unknown>[]): Promise<boolean> {
  const isAnswered = Promise.any(answers).then(() => false)
  return await Promise.race([isAnswered, untilItWaits(answers.length).then(() => true)])
}

/** As an operator might who sees a session that hangs. */
async function cancelWaits(): Promise<void> {
  await pool.query(`select pg_cancel_backend(pid) from (${WAITING}) as w`)
}

/** Runs `work` while no standby answers. */
async function withoutStandby<T>(work: () => Promise<T>): Promise<T> {
  await standby.stop()
  try {
    return await work()
  } finally {
    await standby.start()
  }
}

function apiOn(connectionString: string, options: Partial<Parameters<typeof createPool>[0]> = {}) {
  const own = createPool({ connectionString, max: 4, applicationName: 'api', ...options })
  t.teardown(() => own.end())
  return createTestApi(own)
}

const ways = [
  { way: 'a direct connection', url: primary.url, options: { pipeline: true } },
  {
    way: 'PgBouncer',
    url: await startPgBouncer(t, primary.url),
    options: { pooled: true },
    skip: missing(PGBOUNCER) ?? false,
  },
]
for (const { way, url, options, skip = false } of ways) {
  t.test(
    `an event whose wait for the standby was cancelled is not accepted, over ${way}`,
    {
      skip,
    },
    async (t) => {
      const { request } = apiOn(url ?? '', options)
      const tenant = await createTenant(pool)
      const event = { tenant: tenant.key, type: 'a', data: 1 }
      const single = () =>
        request('POST', '/api/events', { body: event, headers: { 'idempotency-key': 'single' } })
      const batch = () =>
        request('POST', '/api/events/batch', {
          body: { events: [{ ...event, idempotencyKey: 'of the batch' }] },
        })
      const { refused, repeats } = await withoutStandby(async () => {
        const refused = [await cancelled(single), await cancelled(batch)]
        const repeats = [single(), batch()]
        await untilItWaits(repeats.length)
        return { refused, repeats }
      })
      for (const { status, headers, json } of refused) {
        t.match({ status, json }, { status: 503, json: { code: 'database_unavailable' } })
        t.ok(headers.get('retry-after'))
      }
      const [one, many] = await Promise.all(repeats)
      t.match(one, { status: 202, json: { duplicate: true } })
      t.match(many, { status: 202, json: { data: [{ duplicate: true }] } })
    },
  )
}

/** What is answered when the wait of its commit was cancelled. */
async function cancelled<T>(begin: () => Promise<T>): Promise<T> {
  const answer = begin()
  // It may fail before the one who cancels has been answered.
  answer.catch(() => undefined)
  await untilItWaits()
  await cancelWaits()
  return await answer
}

t.test('what the API changes is not acknowledged either when the wait was cancelled', async (t) => {
  const { request } = apiOn(primary.url, { pipeline: true })
  const put = () => request('PUT', '/api/tenants/cut', { body: {} })
  const answer = await withoutStandby(() => cancelled(put))
  t.equal(answer.status, 503)
  t.equal((await put()).status, 200)
})

t.test('a producer in SQL sees the warning by its routine', async (t) => {
  const tenant = await createTenant(pool)
  const producer = new pg.Client(primary.url)
  await producer.connect()
  t.teardown(() => producer.end())
  const notice = new Promise<{ routine?: string | undefined }>((resolve) =>
    producer.once('notice', resolve),
  )
  const publish = () => producer.query("select postrider.publish($1, 'a', '1')", [tenant.key])
  await withoutStandby(() => cancelled(publish))
  t.equal((await notice).routine, 'SyncRepWaitForLSN')
})

t.test('what promises waits for the standby, whatever role and database say', async (t) => {
  t.teardown(() => pool.query('alter database postgres reset synchronous_commit'))
  t.teardown(() => pool.query('alter role postgres reset synchronous_commit'))
  for (const lowered of ['off', 'local', 'remote_write']) {
    await pool.query(`alter database postgres set synchronous_commit = ${lowered}`)
    await pool.query(`alter role postgres set synchronous_commit = ${lowered}`)
    const bare = new pg.Pool({ connectionString: primary.url, max: 3 })
    t.teardown(() => bare.end())
    t.ok(await promisesWait(bare), `${lowered}, in sessions that set nothing themselves`)
    if (!ways[1]?.url) continue
    const pooled = createPool({
      ...ways[1].options,
      connectionString: ways[1].url,
      max: 3,
      applicationName: 'test',
    })
    t.teardown(() => pooled.end())
    t.ok(await promisesWait(pooled), `${lowered}, over PgBouncer`)
  }
})

/** Whether publish, claim and finish all do. */
async function promisesWait(sessions: Pool): Promise<boolean> {
  const work = await createWork(sessions)
  const due = await work.publish()
  const claimed = await work.claim(await work.publish())
  const { promises, doWait } = await withoutStandby(async () => {
    const promises = [work.tenant.publish(), work.claim(due), work.finish(claimed, 200)]
    return { promises, doWait: await allWait(promises) }
  })
  await Promise.all(promises)
  return doWait
}

t.test('a transaction that published waits when it is prepared', async (t) => {
  const tenant = await createTenant(pool)
  const producer = new pg.Client(primary.url)
  await producer.connect()
  t.teardown(() => producer.end())
  await producer.query('set synchronous_commit = off')
  const { prepared, doesWait } = await withoutStandby(async () => {
    await producer.query(`begin; set local postrider.wake = 'off'`)
    await producer.query("select postrider.publish($1, 'a', '1')", [tenant.key])
    const prepared = producer.query(`prepare transaction 'waits'`)
    return { prepared, doesWait: await allWait([prepared]) }
  })
  await prepared
  t.ok(doesWait, 'whatever its session was given')
  await producer.query('set synchronous_commit = on')
  await producer.query(`commit prepared 'waits'`)
})

t.test('an outcome that is written down again waits as well, though nothing changes', async (t) => {
  const work = await createWork(pool)
  const claimed = await work.claim(await work.publish())
  const result = { outcome: 'delivered', status_code: 200, duration_ms: 1 }
  const ids = { delivery_id: claimed?.deliveryId, attempt_id: claimed?.attemptId }
  const finish = () =>
    pool.query('select verdict from postrider.finish_many($1)', [
      JSON.stringify([{ ...ids, ...result }]),
    ])
  const { repeat, doesWait } = await withoutStandby(async () => {
    await t.rejects(cancelled(finish), { code: '08007' })
    const repeat = finish()
    return { repeat, doesWait: await allWait([repeat]) }
  })
  t.ok(doesWait, 'until then it is on one server only, and lost with it')
  t.match(await repeat, { rows: [{ verdict: 'already' }] })
})

t.test('a session that waits for more than the disk of the standby goes on doing so', async (t) => {
  const client = new pg.Client(primary.url)
  await client.connect()
  t.teardown(() => client.end())
  const tenant = await createTenant(pool)
  await client.query('set synchronous_commit = remote_apply')
  await client.query('begin')
  await client.query("select postrider.publish($1, 'a', '1')", [tenant.key])
  const { rows } = await client.query('show synchronous_commit')
  await client.query('commit')
  t.strictSame(rows, [{ synchronous_commit: 'remote_apply' }])
})

t.test('what may be forgotten goes on while no standby answers', async (t) => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const runner = await startService(t, 'runner', { DATABASE_URL: primary.url, LOG_LEVEL: 'info' })
  const { url: probes } = await runner.line('runner.probed')
  await pool.query(
    "select postrider.publish($1, 'a', '1', deliver_at => now() + interval '1 hour')",
    [tenant.key],
  )
  const unsafe = new pg.Client(primary.url)
  await unsafe.connect()
  t.teardown(() => unsafe.end())
  await unsafe.query('set synchronous_commit = off')
  await withoutStandby(async () => {
    await pool.query('select postrider.share_queue(), postrider.analyze_queue()')
    const { rows } = await unsafe.query('select clock_timestamp() as now')
    await untilHolds(pool, 'select bool_or(seen_at > $1) as holds from postrider.runner', [
      rows[0].now,
    ])
    await unsafe.query('update graphile_worker._private_jobs set run_at = now()')
    await untilHolds(
      pool,
      'select count(*) > 0 as holds from graphile_worker.jobs where locked_at is not null',
    )
    await untilItWaits() // the claim, without which nothing is sent
    const { status } = await untilAnswer(
      async () => {
        const answer = await fetch(`${probes}/ready`)
        return { status: answer.status, ...((await answer.json()) as Readiness) }
      },
      ({ checks }) => checks['database'] === 'commits wait for a standby',
    )
    t.equal(status, 503)
    t.equal(receiver.requests.length, 0)
  })
  await receiver.received(1)
  t.equal(await runner.stop(), 0)
})

t.test(
  'while no standby answers an API says so, in one line, and is ready again after it',
  async (t) => {
    // As one of several hosts, of which the watch knows the one in use from its start on.
    const several = `${primary.url}?target_session_attrs=read-write`
    const api = await startService(t, 'api', { DATABASE_URL: several })
    const tenant = await createTenant(pool)
    const send = (method: string, path: string, body?: object) =>
      fetch(api.url + path, {
        method,
        headers: { authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
    const event = { tenant: tenant.key, type: 'a', data: 1 }
    const publish = () => send('POST', '/api/events', event)
    const ready = async () => (await (await fetch(`${api.url}/ready`)).json()) as Readiness
    const { apiKeys: keys } = createTestApi(pool)
    const { key } = await keys.issue({ name: 'reads', scopes: ['read'] })
    const refused = await withoutStandby(async () => {
      const cut = [await cancelled(publish), await cancelled(publish)]
      const waiting = publish()
      await untilAnswer(ready, ({ checks }) => checks['database'] === 'commits wait for a standby')
      const late = await Promise.all([
        publish(),
        send('POST', '/api/events/batch', { events: [event] }),
        send('PUT', '/api/tenants/late', {}),
        fetch(`${api.url}/console/sign-in`, {
          method: 'POST',
          headers: { origin: api.url },
          body: new URLSearchParams({ key }),
        }),
        // What is shown, and writes down that it was.
        send('GET', '/portal/open?token=any'),
        send('GET', `/api/tenants/${tenant.key}/endpoints/${randomUUID()}/secret`),
        send('GET', `/api/v1/app/${tenant.key}/endpoint/any/secret/`),
        send('GET', `/api/tenants/${tenant.key}/events/${randomUUID()}?reveal=true`),
      ])
      for (const { status, headers } of late) {
        t.equal(status, 503)
        t.equal(headers.get('retry-after'), '1')
      }
      const read = await fetch(`${api.url}/api/tenants`, {
        headers: { authorization: `Bearer ${key}` },
      })
      t.equal(read.status, 200)
      await untilHolds(
        pool,
        `select bool_or(last_used_at is not null) as holds from postrider.api_key where name = 'reads'`,
      )
      t.equal((await pool.query(WAITING)).rows.length, 1, 'nothing waits but what did')
      await cancelWaits()
      return [...cut, await waiting]
    })
    t.strictSame(
      refused.map(({ status }) => status),
      [503, 503, 503],
    )
    await untilAnswer(ready, (answer) => answer.ready)
    t.equal((await publish()).status, 202)
    t.equal(api.lines.filter(({ msg }) => msg === 'request.failed').length, 1)
    t.equal(await api.stop(), 0)
  },
)

t.test('a runner is known as living by one session while no standby answers', async (t) => {
  const runnerId = 'without-standby'
  const nothing = () => undefined
  const presence = await startPresence({
    ...{ connectionString: primary.url, runnerId, log: captureLog().log },
    ...{ onReaped: nothing, onUnadopted: nothing, onSilent: nothing, onDrain: nothing },
  })
  t.teardown(presence.stop)
  const seenAt = 'select seen_at::text as at from postrider.runner where id = $1'
  await withoutStandby(async () => {
    const { rows } = await pool.query<{ at: string }>(seenAt, [runnerId])
    await untilHolds(
      pool,
      `select seen_at > $2::timestamptz + interval '2 s' as holds from postrider.runner where id = $1`,
      [runnerId, rows[0]?.at],
    )
    t.ok(presence.isEstablished())
    const sessions = `select count(*)::int as count from pg_stat_activity where query ~ 'heartbeat'`
    t.match((await pool.query(`${sessions} and pid <> pg_backend_pid()`)).rows, [{ count: 1 }])
  })
})

t.test('doctor says so when no standby that commits wait for is connected', async (t) => {
  const warnings = async () => (await reportServer(pool)).warnings.join()
  await setSynchronous(true) // resolves once the standby, which the test before has stopped, follows again
  t.notMatch(await warnings(), /commits wait for a standby/)
  await setSynchronous('another')
  t.teardown(() => setSynchronous(true))
  t.match(await warnings(), /commits wait for a standby, and no connected one \(1\) is named/)
  await standby.stop()
  t.teardown(() => standby.start())
  await untilHolds(pool, 'select count(*) = 0 as holds from pg_stat_replication')
  t.match(await warnings(), /commits wait for a standby, and none is connected/)
})
