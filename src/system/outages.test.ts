import pg from 'pg'
import t from 'tap'
import { migrate } from '../postgres/migrate/migrate.ts'
import { createPool } from '../postgres/pool.ts'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant, type TestTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { type Shutdown, startRestartablePostgres } from '../testing/servers/restartable-postgres.ts'
import { untilAnswer, untilHolds } from '../testing/until.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

/** Far more than a restart takes on a busy machine; each test waits for much, one after the other. */
t.setTimeout(600_000)

const postgres = await startRestartablePostgres(t)
await migrate(postgres.url)
const pool = createPool({ connectionString: postgres.url, max: 4, applicationName: 'test' })
t.teardown(() => pool.end())

const ENVIRONMENT = { DATABASE_URL: postgres.url, RETRY_SCHEDULE: '0.2,0.2,0.2,0.2,0.2' }

/** A tenant with a receiver; started services end with the test. */
async function bundle(t: Parameters<typeof startService>[0]) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  return { receiver, tenant }
}

/** As a producer that was promised nothing yet: the same request again until it is acknowledged. */
async function publishUntilAcknowledged(api: Service, tenant: TestTenant, key: string) {
  const tried = async () => {
    const response = await publish(api, tenant, key).catch(() => null)
    const { id } = ((await response?.json()) ?? {}) as { id?: string }
    return response?.status === 202 ? id : undefined
  }
  return String(await untilAnswer(tried, (id) => id !== undefined))
}

function publish(api: Service, tenant: TestTenant, key: string): Promise<Response> {
  return fetch(`${api.url}/api/events`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer test-admin-key',
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify({ tenant: tenant.key, type: 'invoice.paid', data: { key } }),
  })
}

async function readiness(api: Service): Promise<number> {
  const response = await fetch(`${api.url}/ready`)
  await response.text()
  return response.status
}

const untilReadiness = (api: Service, wanted: number) =>
  untilAnswer(
    () => readiness(api),
    (status) => status === wanted,
  )

/** Resolves when nothing of the tenant is open and nobody holds a job. */
const atRest = (tenant: TestTenant) =>
  untilHolds(
    pool,
    `select not exists (select from postrider.delivery where tenant_id = $1 and finished_at is null)
       and not exists (select from graphile_worker.jobs where locked_at is not null) as holds`,
    [tenant.id],
  )

async function outcomesOf(tenant: TestTenant): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ outcome: string; count: number }>(
    'select outcome, count(*)::int from postrider.attempt where tenant_id = $1 group by outcome',
    [tenant.id],
  )
  return Object.fromEntries(rows.map(({ outcome, count }) => [outcome, count]))
}

/** As the log says it, so that nobody has to guess which row is whose. */
const idOf = (runner: Service) =>
  String(runner.lines.find((line) => line['runnerId'])?.['runnerId'])

const runnerRow = async (runner: Service) =>
  (await pool.query('select * from postrider.runner where id = $1', [idOf(runner)])).rows[0]

/** Whether the process still runs; a restart by hand would have been needed otherwise. */
const lives = (service: Service) =>
  Promise.race([service.ended.then(() => false), Promise.resolve(true)])

/** A statement of the operator, who may write whatever the default is. */
async function operate(...statements: string[]) {
  const client = new pg.Client({
    connectionString: postgres.url,
    options: '-c default_transaction_read_only=off',
  })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

// The same processes live through all of these.
t.test('one API and two runners', async (t) => {
  const api = await startService(t, 'api', ENVIRONMENT)
  const runners = await Promise.all([1, 2].map(() => startService(t, 'runner', ENVIRONMENT)))

  for (const how of (isLong ? ['fast', 'immediate'] : ['immediate']) satisfies Shutdown[]) {
    t.test(`a restart (${how}) under load loses nothing and needs nobody`, async (t) => {
      const { receiver, tenant } = await bundle(t)
      const published = Array.from({ length: 8 }, async (_, lane) => {
        const ids: string[] = []
        for (let n = 0; n < 20; n++) {
          ids.push(await publishUntilAcknowledged(api, tenant, `${lane}-${n}`))
        }
        return ids
      })
      await receiver.received(30, 120_000)
      await postgres.restart(how)
      const ids = (await Promise.all(published)).flat()
      await atRest(tenant)

      t.equal(new Set(ids).size, 160, 'no key made two events')
      const received = receiver.requests.map(({ headers }) => String(headers['webhook-id']))
      t.same(new Set(received), new Set(ids))
      const outcomes = await outcomesOf(tenant)
      t.equal(outcomes['delivered'], 160)
      t.notOk(outcomes['started'], 'no attempt is left unfinished')
      const repeats = received.length - 160
      t.ok(repeats <= (outcomes['abandoned'] ?? 0) + (outcomes['interrupted'] ?? 0), 'explained')
      for (const service of [api, ...runners]) t.ok(await lives(service))
    })
  }

  t.test(
    'while connections are refused the API says so, and everything goes on by itself',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      await untilReadiness(api, 200)

      await postgres.stop('fast')
      await untilReadiness(api, 503)
      for (let n = 0; n < 10; n++) t.equal(await readiness(api), 503)
      const refused = await publish(api, tenant, 'while-away')
      t.equal(refused.status, 503)
      t.match(refused.headers.get('content-type'), 'application/problem+json')
      t.equal(refused.headers.get('retry-after'), '1')
      t.match(await refused.json(), { code: 'database_unavailable', status: 503 })
      t.equal((await fetch(`${api.url}/live`)).status, 200, 'a restart would not help')

      await postgres.start()
      await untilReadiness(api, 200)
      const id = await publishUntilAcknowledged(api, tenant, 'while-away')
      const [request] = await receiver.received(1, 60_000)
      t.equal(request?.headers['webhook-id'], id)
      await atRest(tenant)
      for (const runner of runners) {
        const { pid } = runner
        t.match(await runnerRow(runner), { pid, reaped_at: null, stopped_at: null })
      }
    },
  )

  t.test('stop in order', async (t) => {
    t.same(await Promise.all(runners.map((runner) => runner.stop())), [0, 0])
    t.equal(await api.stop(), 0)
  })
})

// SELECT 1 works on a standby, so /ready went on saying 200 while every publish was refused.
t.test('a database that is read-only for a while is an outage like any other', async (t) => {
  const { receiver, tenant } = await bundle(t)
  const answer = Promise.withResolvers<number>()
  receiver.answerWith((_, n) => (n === 1 ? answer.promise : 200))
  const api = await startService(t, 'api', ENVIRONMENT)
  const runner = await startService(t, 'runner', ENVIRONMENT)
  await publishUntilAcknowledged(api, tenant, 'before')
  await receiver.received(1)

  await operate('alter system set default_transaction_read_only = on', 'select pg_reload_conf()')
  await untilReadiness(api, 503)
  const refused = await publish(api, tenant, 'while-read-only')
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '1')
  await refused.body?.cancel()
  answer.resolve(200)
  await runner.line('database.retried', ({ step }) => step === 'finish')

  await operate('alter system reset default_transaction_read_only', 'select pg_reload_conf()')
  await untilReadiness(api, 200)
  await publishUntilAcknowledged(api, tenant, 'while-read-only')
  await receiver.received(2, 60_000)
  await atRest(tenant)
  t.same(await outcomesOf(tenant), { delivered: 2 }, 'the answer was kept, nothing was repeated')
  t.equal(receiver.requests.length, 2)
  t.match(await runnerRow(runner), { reaped_at: null })
  t.equal(await runner.stop(), 0)
  t.equal(await api.stop(), 0)
})

if (isLong)
  t.test('a runner that is frozen is not robbed while a dead one is replaced', async (t) => {
    const { receiver, tenant } = await bundle(t)
    const answers = Promise.withResolvers<number>()
    receiver.answerWith((_, n) => (n <= 2 ? answers.promise : 200))
    // As long as it can be: two runners start meanwhile, and it is not about the timeout.
    const one = { ...ENVIRONMENT, RUNNER_CONCURRENCY: '1', DELIVERY_TIMEOUT_SECONDS: '60' }
    const frozen = await startService(t, 'runner', one)
    await tenant.publish()
    await receiver.received(1)
    frozen.signal('SIGSTOP')
    const dead = await startService(t, 'runner', one)
    await tenant.publish()
    await receiver.received(2)
    const watcher = await startService(t, 'runner', one)
    await dead.stop('SIGKILL')

    // Those that an earlier test left dead may be found at the same time.
    const names = ({ runners }: Record<string, unknown>) => String(runners)
    const reaped = await watcher.line('runners.reaped', (line) => names(line).includes(idOf(dead)))
    t.notOk(names(reaped).includes(idOf(frozen)))
    await receiver.received(3, 60_000)
    t.match(await runnerRow(frozen), { reaped_at: null })

    answers.resolve(200)
    frozen.signal('SIGCONT')
    await atRest(tenant)
    t.same(await outcomesOf(tenant), { delivered: 2, abandoned: 1 })
    t.equal(receiver.requests.length, 3)
    t.same(await Promise.all([frozen.stop(), watcher.stop()]), [0, 0])
  })

if (isLong)
  t.test('a runner that was frozen and cut off is replaced, notices, and exits 75', async (t) => {
    const { receiver, tenant } = await bundle(t)
    const answer = Promise.withResolvers<number>()
    receiver.answerWith((_, n) => (n === 1 ? answer.promise : 200))
    const frozen = await startService(t, 'runner', ENVIRONMENT)
    const eventId = await tenant.publish()
    await receiver.received(1)
    frozen.signal('SIGSTOP')
    const heir = await startService(t, 'runner', ENVIRONMENT)
    await postgres.restart('immediate') // takes its session, and with it the lock
    await heir.line('runners.reaped', (line) => String(line['runners']).includes(idOf(frozen)))
    const [, again] = await receiver.received(2, 60_000)
    t.equal(again?.headers['webhook-id'], eventId)
    await atRest(tenant)

    answer.resolve(200)
    frozen.signal('SIGCONT')
    t.equal(await frozen.ended, 75)
    const outcomes = await outcomesOf(tenant)
    t.equal(outcomes['delivered'], 1)
    t.equal((outcomes['abandoned'] ?? 0) + (outcomes['stale'] ?? 0), 1, 'what was cut off is told')
    t.equal(receiver.requests.length, 2)
    t.equal(await heir.stop(), 0)
  })

if (isLong)
  t.test(
    'an answer that came while its runner was frozen counts, however late it is read',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      const answer = Promise.withResolvers<number>()
      receiver.answerWith(() => answer.promise)
      const environment = { ...ENVIRONMENT, DELIVERY_TIMEOUT_SECONDS: '2' }
      const frozen = await startService(t, 'runner', environment)
      await tenant.publish()
      await receiver.received(1)
      frozen.signal('SIGSTOP')
      answer.resolve(200)
      const { rows } = await pool.query('select pg_sleep(4)::text') // twice the timeout; nobody says when it is over
      t.equal(rows.length, 1)
      frozen.signal('SIGCONT')
      await atRest(tenant)
      t.same(await outcomesOf(tenant), { delivered: 1 })
      t.equal(receiver.requests.length, 1)
      t.equal(await frozen.stop(), 0)
    },
  )
