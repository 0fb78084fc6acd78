import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { countTries, holdKeys } from '../testing/data/idempotency.ts'
import { createTenant, type TestTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { type Service, startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

const LANES = 16
const ANSWERS_BEFORE = 200

/** The id of a 202, another status, or null where the connection was closed or refused. */
type Answer = string | number | null
type Bundle = Awaited<ReturnType<typeof bundle>>

async function bundle(t: Test) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const api = await startService(t, 'api', { DATABASE_URL: url })
  return { receiver, tenant, api }
}

async function publish(api: Service, tenant: TestTenant, n: number): Promise<Answer> {
  try {
    const response = await fetch(`${api.url}/api/events`, {
      method: 'POST',
      headers: { authorization: 'Bearer test-admin-key', 'content-type': 'application/json' },
      body: JSON.stringify({ tenant: tenant.key, type: 'invoice.paid', data: { n } }),
    })
    const { id } = (await response.json()) as { id: string }
    return response.status === 202 ? id : response.status
  } catch {
    return null
  }
}

/** A connection that is open and idle. At a stop the API closes its port, and then those that stay idle. */
async function openIdle(api: Service): Promise<{ closed: Promise<unknown> }> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
  socket.write('GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await once(socket, 'data')
  return { closed: once(socket, 'close') }
}

/** What is stored of a tenant's events; each with its delivery and the job for that, or it is half of one. */
async function storedOf(tenant: TestTenant) {
  const { rows } = await pool.query<{ id: string; n: number; isWhole: boolean }>(
    `select e.id, (e.data ->> 'n')::int as n, count(j.key) = 1 as "isWhole"
     from postrider.event e
     left join postrider.delivery d on d.event_id = e.id
     left join postrider.live_job j on j.key = 'd:' || d.id
     where e.tenant_id = $1 group by e.id, e.data::text`,
    [tenant.id],
  )
  return rows
}

/** Lets a runner deliver what is stored, and resolves with the ids of the events that arrived. */
async function deliverAll(t: Test, { tenant, receiver }: Bundle): Promise<Set<string>> {
  const runner = await startService(t, 'runner', { DATABASE_URL: url })
  await untilHolds(
    pool,
    'select not exists (select from postrider.delivery where tenant_id = $1 and finished_at is null) as holds',
    [tenant.id],
  )
  t.equal(await runner.stop(), 0)
  return new Set(receiver.requests.map(({ headers }) => String(headers['webhook-id'])))
}

/** Holds what was answered against what is stored, and both against what arrives. */
async function judge(t: Test, bundle: Bundle, answers: Answer[]): Promise<void> {
  const stored = await storedOf(bundle.tenant)
  const ids = new Set(stored.map(({ id }) => id))
  const accepted = answers.filter((answer) => typeof answer === 'string')
  t.same(
    accepted.filter((id) => !ids.has(id)),
    [],
    'what was answered with 202 is stored',
  )
  t.ok(
    stored.every(({ isWhole }) => isWhole),
    'nothing is stored in part',
  )
  const refused = answers.filter((answer) => typeof answer === 'number')
  t.same(
    refused.filter((status) => status !== 503),
    [],
    'anyone who was answered otherwise was refused',
  )
  const mayBeStored = answers.length - refused.length
  t.ok(ids.size <= mayBeStored, 'nothing is stored of what was refused')
  t.equal(new Set(stored.map(({ n }) => n)).size, stored.length, 'nothing is stored twice')
  t.same(await deliverAll(t, bundle), ids, 'what is stored is delivered')
}

t.test('publishes that are under way when the API is told to stop are answered', async (t) => {
  const { api, tenant, ...rest } = await bundle(t)
  const holder = await pool.connect()
  await holder.query('begin; lock table postrider.event in exclusive mode')
  const publishing = Array.from({ length: 50 }, (_, n) => publish(api, tenant, n))
  await untilHolds(
    pool,
    `select count(*) > 0 as holds from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and query like '%publish_many%'`,
  )
  const idle = await openIdle(api)
  api.signal('SIGTERM')
  await idle.closed
  t.equal(await publish(api, tenant, -1), null, 'its port is closed')
  await holder.query('commit')
  holder.release()
  const answers = await Promise.all(publishing)
  t.equal(await api.ended, 0)
  t.ok(
    answers.some((answer) => typeof answer === 'string'),
    'those that it had taken',
  )
  await judge(t, { api, tenant, ...rest }, answers)
})

t.test('one that waits for its idempotency key is answered before the API ends', async (t) => {
  const { api, tenant } = await bundle(t)
  await countTries(pool)
  const holder = await holdKeys(t, pool, { tenant: tenant.key, keys: ['held'] })
  const waiting = fetch(`${api.url}/api/events`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer test-admin-key',
      'content-type': 'application/json',
      'idempotency-key': 'held',
    },
    body: JSON.stringify({ tenant: tenant.key, type: 'invoice.paid', data: 1 }),
  })
  await untilHolds(pool, 'select last_value > 1 as holds from public.tries')
  api.signal('SIGTERM')
  const { status, headers } = await waiting
  t.equal(status, 409)
  t.equal(headers.get('retry-after'), '1')
  t.equal(await api.ended, 0)
  await holder.query('rollback')
})

t.test('an API that is told to stop under load keeps what it has acknowledged', async (t) => {
  const all = await bundle(t)
  const { api, tenant } = all
  const loaded = Promise.withResolvers<void>()
  const answers: Answer[] = []
  let n = 0
  const lanes = Array.from({ length: LANES }, async () => {
    for (let isOpen = true; isOpen; ) {
      const answer = await publish(api, tenant, n++)
      isOpen = answer !== null
      answers.push(answer)
      if (answers.length === ANSWERS_BEFORE) loaded.resolve()
    }
  })
  await loaded.promise
  t.equal(await api.stop(), 0)
  await Promise.all(lanes)
  t.ok(answers.filter((answer) => typeof answer === 'string').length >= ANSWERS_BEFORE)
  await judge(t, all, answers)
})

t.test('requests whose clients have gone end before the database is closed', async (t) => {
  const { api, tenant } = await bundle(t)
  const holder = await pool.connect()
  await holder.query('begin; lock table postrider.tenant in access exclusive mode')
  const leaving = new AbortController()
  // Each asks for the tenant first, and for something else then.
  const reading = ['endpoints', 'events', 'deliveries'].map((what) =>
    fetch(`${api.url}/api/tenants/${tenant.key}/${what}`, {
      headers: { authorization: 'Bearer test-admin-key' },
      signal: leaving.signal,
    }),
  )
  await untilHolds(
    pool,
    `select count(*) = $1 as holds from pg_stat_activity
     where datname = current_database() and application_name = 'postrider api' and wait_event_type = 'Lock'`,
    [reading.length],
  )
  const idle = await openIdle(api)
  leaving.abort()
  await Promise.allSettled(reading)
  api.signal('SIGTERM')
  await idle.closed
  await holder.query('commit')
  holder.release()
  t.equal(await api.ended, 0)
  t.notOk(api.lines.some(({ level }) => level === 'error'))
})
