import pg from 'pg'
import t, { type Test } from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { isLong } from '../testing/long.ts'
import { missing } from '../testing/programs.ts'
import { PGBOUNCER, startPgBouncer } from '../testing/servers/pgbouncer.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { untilHolds } from '../testing/until.ts'
import {
  createTestDatabase,
  startDebianPostgres,
  type TestDatabase,
} from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)

/** Advisory locks of this database, as queue/bell.sql numbers them. */
const held = (lock: 1 | 2 | 3, mode: 'ExclusiveLock' | 'ShareLock') =>
  `select count(*) as sessions, count(*) > 0 as holds from pg_locks
   where locktype = 'advisory' and classid = 1886352244 and objid = ${lock} and mode = '${mode}' and granted
     and database = (select oid from pg_database where datname = current_database())`
const BELL_HELD = held(1, 'ExclusiveLock')
const BELL_FREE = `select not holds as holds from (${BELL_HELD}) as held`
const sessionsWith = async (query: string) => Number((await pool.query(query)).rows[0].sessions)

async function connect(t: Test, connectionString = url) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** A session that hears of jobs, as a runner's does. */
async function listen(t: Test, connectionString = url) {
  const client = await connect(t, connectionString)
  const heard: string[] = []
  client.on('notification', ({ payload = '' }) => heard.push(payload))
  await client.query('listen "jobs:insert"')
  return {
    client,
    /** What it has been told since it was asked last; Postgres delivers before it answers. */
    async heard() {
      await client.query('select')
      return heard.splice(0)
    },
    setBell: async () => (await client.query('select * from postrider.set_bell()')).rows[0],
    isAnybodyQuiet: async () =>
      (await client.query('select postrider.is_anybody_quiet() as answer')).rows[0].answer,
  }
}

const publish = 'select postrider.publish($1, $2, $3) as id'

t.test('on Postgres 18', async (t) => conformance(t, { pool, url }))
if (isLong)
  t.test('on Postgres 15', async (t) => {
    const database = await startDebianPostgres(t, 15)
    if (!database) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
    return conformance(t, database)
  })

async function conformance(t: Test, { pool, url }: Pick<TestDatabase, 'pool' | 'url'>) {
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
  const event = [tenant.key, 'a.b', '{}']

  t.test('a publish notifies nobody as long as nobody has taken the bell', async (t) => {
    const runner = await listen(t, url)
    await tenant.publish()
    t.strictSame(await runner.heard(), [])
    t.strictSame(await runner.setBell(), { is_own: true, is_set: true })
    await tenant.publish()
    t.strictSame(await runner.heard(), ['{"count":1}'])
    await runner.client.query('select postrider.release_bell()')
    await tenant.publish()
    t.strictSame(await runner.heard(), [])
  })

  t.test('a job that is due later wakes nobody', async (t) => {
    const runner = await listen(t, url)
    await runner.setBell()
    await pool.query(
      `select postrider.publish($1, $2, $3, deliver_at => now() + interval '1 minute')`,
      event,
    )
    t.strictSame(await runner.heard(), [])
    await pool.query(`select postrider.publish($1, $2, $3, deliver_at => now())`, event)
    t.strictSame(await runner.heard(), ['{"count":1}'])
  })

  t.test('a publish that is rolled back neither rings nor counts as quiet', async (t) => {
    const runner = await listen(t, url)
    const producer = await connect(t, url)
    for (const isTaken of [false, true]) {
      if (isTaken) await runner.setBell()
      await producer.query('begin; savepoint s')
      await producer.query(publish, event)
      t.equal(await runner.isAnybodyQuiet(), true)
      await producer.query('rollback to s')
      t.equal(await runner.isAnybodyQuiet(), false)
      await producer.query('commit')
      t.strictSame(await runner.heard(), [])
    }
  })

  t.test('of two transactions that ring at a time the second says so', async (t) => {
    const runner = await listen(t, url)
    await runner.setBell()
    const [first, second] = [await connect(t, url), await connect(t, url)]
    await first.query('begin')
    await first.query(publish, event)
    await second.query(publish, event)
    t.strictSame(await runner.heard(), ['{"count":1,"bell":"busy"}'])
    await first.query('commit')
    t.strictSame(await runner.heard(), ['{"count":1}'])
  })

  t.test('of two runners one has the bell, and both know that it is set', async (t) => {
    const [one, other] = [await listen(t, url), await listen(t, url)]
    t.strictSame(await one.setBell(), { is_own: true, is_set: true })
    t.strictSame(await other.setBell(), { is_own: false, is_set: true })
    await one.client.query('select postrider.release_bell(true)')
    t.strictSame(await other.heard(), ['{"count":1,"bell":"free"}'])
    t.strictSame(await other.setBell(), { is_own: true, is_set: true })
  })

  // Each order in which the steps of a publisher and of a runner that falls asleep can come.
  t.test('whatever the order of the steps, no job is overlooked', async (t) => {
    const runner = await listen(t, url)
    const producer = await connect(t, url)
    let id = ''
    let hasSeenQuiet = false
    let hasFound = false
    const look = async () => {
      const { rowCount } = await runner.client.query(
        'select from postrider.event e join graphile_worker.jobs j on j.key like $2 where e.id = $1',
        [id || null, 'd:%'],
      )
      hasFound ||= rowCount !== 0
    }
    const publisherSteps: [string, () => Promise<unknown>][] = [
      ['begin', () => producer.query('begin isolation level serializable; select 1')],
      [
        'publish',
        async () => {
          id = (await producer.query(publish, event)).rows[0].id
        },
      ],
      ['commit', () => producer.query('commit')],
    ]
    const runnerSteps: [string, () => Promise<unknown>][] = [
      ['take the bell', runner.setBell],
      [
        'ask for the quiet',
        async () => {
          hasSeenQuiet = await runner.isAnybodyQuiet()
        },
      ],
      ['look', look],
    ]
    for (const order of interleavings(publisherSteps, runnerSteps)) {
      ;[id, hasSeenQuiet, hasFound] = ['', false, false]
      for (const [, step] of order) await step()
      const hasRung = (await runner.heard()).length > 0
      const names = order.map(([name]) => name).join(', ')
      t.ok(hasRung || hasFound || hasSeenQuiet, names)
      if (hasSeenQuiet) {
        t.equal(await runner.isAnybodyQuiet(), false)
        await look()
        t.ok(hasFound, `then it is found: ${names}`)
      }
      await runner.client.query('select postrider.release_bell()')
    }
  })

  t.test(
    'a transaction that published can be prepared, while nobody has taken the bell',
    async (t) => {
      const runner = await listen(t, url)
      const producer = await connect(t, url)
      const prepared = await producer.query(
        "select current_setting('max_prepared_transactions')::int as max",
      )
      if (prepared.rows[0].max === 0)
        return t.plan(0, 'the server has max_prepared_transactions = 0')
      await producer.query('begin')
      await producer.query(publish, event)
      await producer.query(`prepare transaction 'of-the-bell'`)
      await runner.setBell()
      t.equal(await runner.isAnybodyQuiet(), true, 'it is not through')
      await producer.query(`commit prepared 'of-the-bell'`)
      t.equal(await runner.isAnybodyQuiet(), false)

      await producer.query('begin')
      await producer.query(publish, event)
      await t.rejects(producer.query(`prepare transaction 'of-the-bell'`), /executed LISTEN/)
      await producer.query("begin; set local postrider.wake = 'off'")
      await producer.query(publish, event)
      await producer.query(`prepare transaction 'of-the-bell'`)
      await producer.query(`commit prepared 'of-the-bell'`)
      t.strictSame(await runner.heard(), [])
    },
  )

  // An event that stands in line behind another had its job made by what notifies.
  t.test('with the wake off no publish notifies, whatever jobs it makes', async (t) => {
    const tenant = await createTenant(pool)
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', ordering: 'key' })
    await tenant.addEndpoint({ url: 'http://127.0.0.1:1/', ordering: 'key', collapse_ms: 0 })
    const runner = await listen(t, url)
    await runner.setBell()
    const producer = await connect(t, url)
    const publishKeyed = `select postrider.publish($1, $2, $3, ordering_key => 'k')`
    await producer.query(publishKeyed, [tenant.key, 'a.b', '1'])
    t.not((await runner.heard()).length, 0)
    for (const isolation of ['read committed', 'repeatable read', 'serializable']) {
      await producer.query(`begin isolation level ${isolation}; set local postrider.wake = 'off'`)
      await producer.query(publishKeyed, [tenant.key, 'a.b', '2'])
      await producer.query('commit')
      t.strictSame(await runner.heard(), [], isolation)
    }
    await producer.query('begin isolation level repeatable read')
    await producer.query(publishKeyed, [tenant.key, 'a.b', '3'])
    await producer.query('commit')
    t.strictSame(await runner.heard(), ['{"count":1}'], 'otherwise it rings')
  })

  t.test('nothing of ours but pg_notify hides anything of Postgres', async (t) => {
    const { rows } = await pool.query(
      `select distinct p.proname as name from pg_proc p join pg_proc o on o.proname = p.proname
         and o.pronamespace = 'pg_catalog'::regnamespace where p.pronamespace = 'postrider'::regnamespace
       union select c.relname from pg_class c join pg_class o on o.relname = c.relname
         and o.relnamespace = 'pg_catalog'::regnamespace where c.relnamespace = 'postrider'::regnamespace
       union select t.typname from pg_type t join pg_type o on o.typname = t.typname
         and o.typnamespace = 'pg_catalog'::regnamespace where t.typnamespace = 'postrider'::regnamespace
       except select 'uuidv7' -- Postgres 18 has one as well; add_jobs calls neither
       union select 'operator' from pg_operator where oprnamespace = 'postrider'::regnamespace`,
    )
    t.strictSame(rows, [{ name: 'pg_notify' }])
  })

  t.end()
}

function interleavings<T>(a: readonly T[], b: readonly T[]): T[][] {
  const [firstA, ...restA] = a
  const [firstB, ...restB] = b
  if (firstA === undefined || firstB === undefined) return [[...a, ...b]]
  return [
    ...interleavings(restA, b).map((order) => [firstA, ...order]),
    ...interleavings(a, restB).map((order) => [firstB, ...order]),
  ]
}

async function bundle(t: Test) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  return { receiver, tenant }
}

const startRunner = (t: Test, env: Record<string, string> = {}) =>
  startService(t, 'runner', { DATABASE_URL: url, LOG_LEVEL: 'info', ...env })

/** So many sessions publish one event after another, until told to stop; resolves with how many they published. */
function crowd(t: Test, key: string, sessions: number) {
  let isOver = false
  const published = Array.from({ length: sessions }, async () => {
    const session = await connect(t)
    let count = 0
    for (; !isOver; count++) await session.query(publish, [key, 'a.b', '{}'])
    return count
  })
  return {
    async stop() {
      isOver = true
      return (await Promise.all(published)).reduce((sum, count) => sum + count)
    },
  }
}

t.test(
  'a runner that is idle holds the bell, and lets go of it while commits queue to ring',
  async (t) => {
    const { receiver, tenant } = await bundle(t)
    const runner = await startRunner(t)
    await untilHolds(pool, BELL_HELD)
    await tenant.publish()
    await receiver.received(1)
    t.equal(await sessionsWith(BELL_HELD), 1)

    const producers = crowd(t, tenant.key, 8)
    await untilHolds(pool, BELL_FREE)
    const published = await producers.stop()
    await receiver.received(published + 1, 60_000)
    await untilHolds(pool, BELL_HELD)
    await tenant.publish()
    await receiver.received(published + 2)
    t.equal(await runner.stop(), 0)
  },
)

t.test('a long transaction that published keeps no runner from being woken', async (t) => {
  const { receiver, tenant } = await bundle(t)
  const producer = await connect(t)
  await producer.query('begin')
  await producer.query(publish, [tenant.key, 'a.b', '{}'])
  t.equal(await sessionsWith(held(2, 'ShareLock')), 1)
  const runner = await startRunner(t)
  await untilHolds(pool, BELL_HELD)
  await tenant.publish()
  await receiver.received(1)
  await producer.query('commit')
  await receiver.received(2)
  t.equal(await runner.stop(), 0)
})

if (isLong)
  t.test(
    'when the runner that has the bell is killed, stopped or loses its session, it is taken again',
    async (t) => {
      const { receiver, tenant } = await bundle(t)
      const first = await startRunner(t)
      await untilHolds(pool, BELL_HELD)
      const second = await startRunner(t)
      let sent = 0
      const delivers = async () => {
        await untilHolds(pool, BELL_HELD)
        await tenant.publish()
        sent += 1
        await receiver.received(sent)
      }
      await delivers()
      await pool.query(
        `select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' and l.classid = 1886352244
       and l.objid = 1 and l.database = (select oid from pg_database where datname = current_database())`,
      )
      await delivers()
      first.signal('SIGKILL')
      await first.ended
      await delivers()
      const third = await startRunner(t)
      t.equal(await second.stop(), 0)
      await delivers()
      t.equal(await third.stop(), 0)
      await untilHolds(pool, BELL_FREE)
    },
  )

if (isLong)
  t.test('a runner that could not take the bell tries again', async (t) => {
    await pool.query('alter function postrider.set_bell() rename to set_bell_later')
    const runner = await startRunner(t, { LOG_LEVEL: 'debug' })
    await runner.line('runner.bell_lost')
    await pool.query('alter function postrider.set_bell_later() rename to set_bell')
    await untilHolds(pool, BELL_HELD)
    t.equal(await runner.stop(), 0)
  })

if (isLong)
  t.test('a stranger who holds the bell shared stops no delivery', async (t) => {
    const { receiver, tenant } = await bundle(t)
    const stranger = await connect(t)
    await stranger.query('select pg_advisory_lock_shared(1886352244, 1)')
    const runner = await startRunner(t)
    await runner.line('runner.bell_not_set')
    await tenant.publish()
    await receiver.received(1)
    await stranger.query('select pg_advisory_unlock_shared(1886352244, 1)')
    await untilHolds(pool, BELL_HELD)
    await tenant.publish()
    await receiver.received(2)
    t.equal(runner.lines.filter(({ msg }) => msg === 'runner.bell_not_set').length, 1)
    t.equal(await runner.stop(), 0)
  })

if (isLong)
  t.test(
    'what is published through a pooler in transaction mode wakes a runner as well',
    async (t) => {
      const pooled = await startPgBouncer(t, url)
      if (!pooled) return t.plan(0, missing(PGBOUNCER))
      const { receiver, tenant } = await bundle(t)
      const runner = await startRunner(t)
      await untilHolds(pool, BELL_HELD)
      const listener = await listen(t)
      const producer = await connect(t, pooled)
      await producer.query(publish, [tenant.key, 'a.b', '{}'])
      t.not((await listener.heard()).length, 0)
      await receiver.received(1)
      await untilHolds(pool, `select not holds as holds from (${held(1, 'ShareLock')}) as held`)
      t.equal(await sessionsWith(held(2, 'ShareLock')), 0)
      t.equal(await runner.stop(), 0)
    },
  )
