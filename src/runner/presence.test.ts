import pg from 'pg'
import t from 'tap'
import { applyRetention } from '../duties/retention.ts'
import { migrate } from '../postgres/migrate/migrate.ts'
import { captureLog } from '../testing/log-lines.ts'
import { isLong } from '../testing/long.ts'
import { freeze } from '../testing/process/freeze.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { answeredWithin, startPresence } from './presence.ts'

const { pool, url } = await createTestDatabase(t)

/** A job that looks as if the runner had taken it. */
async function lockedJob(runner: string) {
  const { rows } = await pool.query<{ id: string }>(
    `select id from graphile_worker.add_job('deliver', '{}'::json)`,
  )
  await pool.query(
    'update graphile_worker._private_jobs set locked_by = $2, locked_at = now(), attempts = 1 where id = $1',
    [rows[0]?.id, runner],
  )
  return async () =>
    (
      await pool.query('select locked_by from graphile_worker._private_jobs where id = $1', [
        rows[0]?.id,
      ])
    ).rows[0].locked_by
}

const runner = async (id: string) =>
  (await pool.query('select * from postrider.runner where id = $1', [id])).rows[0]

const hasSession = async (id: string) =>
  (
    await pool.query(
      'select postrider.has_session(r) as there from postrider.runner r where id = $1',
      [id],
    )
  ).rows[0].there

/** A connection by which a runner is known to live, and no process behind it. */
async function register(id: string, connectionString = url) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query('select postrider.register_runner($1, $2, $3)', [id, 'host', 1])
  return client
}

async function start(id: string) {
  const lines = captureLog()
  const reaped = Promise.withResolvers<string>()
  const presence = await startPresence({
    connectionString: url,
    runnerId: id,
    log: lines.log,
    onReaped: () => reaped.resolve('reaped'),
    onUnadopted: () => undefined,
    onSilent: () => undefined,
    onDrain: () => undefined,
  })
  return { presence, lines, reaped: reaped.promise }
}

t.test('a runner is registered with its session, and says goodbye', async (t) => {
  const { presence } = await start('polite')
  t.match(await runner('polite'), { stopped_at: null, reaped_at: null, pid: process.pid })
  t.ok(await hasSession('polite'))
  await presence.stop()
  t.ok((await runner('polite')).stopped_at)
  t.notOk(await hasSession('polite'))
})

t.test('the jobs of a silent runner are handed on once its session is gone', async (t) => {
  const [dead, stalled] = [await register('dead'), await register('stalled')]
  t.teardown(() => stalled.end())
  await dead.end()
  const [deadJob, stalledJob] = [await lockedJob('dead'), await lockedJob('stalled')]

  const { presence, lines } = await start('watcher')
  t.teardown(() => presence.stop())
  t.match(await lines.line('runners.reaped'), { runners: ['dead'] })
  t.equal(await deadJob(), null)
  t.ok((await runner('dead')).reaped_at)
  t.equal(await stalledJob(), 'stalled')
  t.equal((await runner('stalled')).reaped_at, null)
})

t.test('a lost connection is made again, and nobody is reaped for it', async (t) => {
  const { presence, lines, reaped } = await start('tough')
  t.teardown(() => presence.stop())
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-presence tough'`,
  )
  await lines.line('runner.presence_lost')
  await presence.established()
  t.ok(await hasSession('tough'))
  t.equal((await runner('tough')).reaped_at, null)
  t.equal(await Promise.race([reaped, 'alive']), 'alive')
})

t.test('claims wait while the runner is cut off', async (t) => {
  const { presence, lines } = await start('cut')
  t.teardown(() => presence.stop())
  const thief = new pg.Client({ connectionString: url })
  await thief.connect()
  await thief.query('begin')
  await thief.query(`select from postrider.runner where id = 'cut' for update`)
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-presence cut'`,
  )
  await lines.line('runner.presence_lost')
  const claim = presence.established().then(() => 'claimed')
  t.equal(await Promise.race([claim, thief.query('select 1').then(() => 'waits')]), 'waits')
  await thief.end()
  t.equal(await claim, 'claimed')
})

t.test('a runner that finds itself reaped says so and lets waiting claims go', async (t) => {
  const { presence, reaped } = await start('robbed')
  await pool.query(`update postrider.runner set reaped_at = now() where id = 'robbed'`)
  t.equal(await reaped, 'reaped')
  await presence.established()
  await presence.stop()
})

t.test('stopping without a connection ends as well', async (t) => {
  const { presence } = await start('last')
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-presence last'`,
  )
  await presence.stop()
  await presence.stop()
  t.notOk(await hasSession('last'))
})

t.test('no role can stand in for the session of a runner that died', async (t) => {
  const stranger = `stranger_${process.pid}`
  await pool.query(`create role ${stranger} login password 'x'`)
  t.teardown(() => pool.query(`drop role ${stranger}`).then(() => undefined))
  const real = await register('robbed of its name')
  const pid = (await real.query('select pg_backend_pid() as pid')).rows[0].pid
  t.ok(await hasSession('robbed of its name'))
  await real.end()

  const asStranger = Object.assign(new URL(url), { username: stranger, password: 'x' }).href
  const forged = new pg.Client({
    connectionString: asStranger,
    application_name: 'postrider-presence robbed of its name',
  })
  await forged.connect()
  t.teardown(() => forged.end())
  await pool.query(
    `update postrider.runner r set session_pid = a.pid
     from pg_stat_activity a where a.usename = $1 and r.session_pid = $2`,
    [stranger, pid],
  )
  t.notOk(await hasSession('robbed of its name'), 'even with the same process id')
})

if (isLong)
  t.test('advisory locks that a stranger holds keep nobody from anything', async (t) => {
    // Until 2026 runners, duties and `migrate` took these; every role that can connect can hold them for ever.
    const stranger = new pg.Client({ connectionString: url })
    await stranger.connect()
    t.teardown(() => stranger.end())
    await stranger.query(
      `select pg_advisory_lock(class, number)
     from generate_series(732, 736) as class, generate_series(0, 300) as number`,
    )
    const dead = await register('found')
    await dead.end()
    const { presence, lines } = await start('unimpressed')
    t.teardown(() => presence.stop())
    await lines.line('runners.reaped')
    t.ok((await runner('found')).reaped_at)
    t.strictSame((await migrate(url)).applied, [])
    t.strictSame((await pool.query('select postrider.create_partitions() as made')).rows, [
      { made: 0 },
    ])
    t.equal((await pool.query('select postrider.share_queue() as over')).rows[0].over, 0)
    t.ok(await applyRetention(pool, { retentionDays: 30 }))
  })

t.test('a heartbeat that was answered while the runner was frozen counts', async (t) => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const answer = answeredWithin(100, client.query('select 1 as one'))
  freeze(300)
  t.same((await answer).rows, [{ one: 1 }])
  await t.rejects(answeredWithin(100, new Promise(() => undefined)), { name: 'NoAnswer' })
})
