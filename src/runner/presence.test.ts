import pg from 'pg'
import t from 'tap'
import { createTestDatabase } from '../testing/database.ts'
import { captureLog } from '../testing/log-lines.ts'
import { startPresence } from './presence.ts'

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

/** Runners of other test files have the same numbers, in other databases of the same server. */
const holdsLock = async (id: string) =>
  (
    await pool.query(
      `select from pg_locks l join postrider.runner r on l.objid = r.lock_id::oid
       where r.id = $1 and l.locktype = 'advisory' and l.classid = 732 and l.granted
         and l.database = (select oid from pg_database where datname = current_database())`,
      [id],
    )
  ).rowCount === 1

async function start(id: string) {
  const lines = captureLog()
  const reaped = Promise.withResolvers<string>()
  const presence = await startPresence({
    connectionString: url,
    runnerId: id,
    log: lines.log,
    onReaped: () => reaped.resolve('reaped'),
    onSilent: () => undefined,
    onDrain: () => undefined,
  })
  return { presence, lines, reaped: reaped.promise }
}

t.test('a runner is registered with its lock, and says goodbye', async (t) => {
  const { presence } = await start('polite')
  t.match(await runner('polite'), { stopped_at: null, reaped_at: null, pid: process.pid })
  t.ok(await holdsLock('polite'))
  await presence.stop()
  t.ok((await runner('polite')).stopped_at)
  t.notOk(await holdsLock('polite'))
})

t.test(
  'the jobs of a silent runner without its lock are handed on, those of one with it are not',
  async (t) => {
    await pool.query(
      `select postrider.register_runner(id, 'host', 1) from unnest(array['dead', 'stalled']) as id`,
    )
    const stalled = new pg.Client({ connectionString: url })
    await stalled.connect()
    t.teardown(() => stalled.end())
    await stalled.query(
      `select pg_advisory_lock(732, lock_id) from postrider.runner where id = 'stalled'`,
    )
    const [deadJob, stalledJob] = [await lockedJob('dead'), await lockedJob('stalled')]

    const { presence, lines } = await start('watcher')
    t.teardown(() => presence.stop())
    t.match(await lines.line('runners.reaped'), { runners: ['dead'] })
    t.equal(await deadJob(), null)
    t.ok((await runner('dead')).reaped_at)
    t.equal(await stalledJob(), 'stalled')
    t.equal((await runner('stalled')).reaped_at, null)
  },
)

t.test('a lost connection is made anew, with the lock, and nobody is reaped for it', async (t) => {
  const { presence, lines, reaped } = await start('tough')
  t.teardown(() => presence.stop())
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-presence tough'`,
  )
  await lines.line('runner.presence_lost')
  await presence.established()
  t.ok(await holdsLock('tough'))
  t.equal((await runner('tough')).reaped_at, null)
  t.equal(await Promise.race([reaped, 'alive']), 'alive')
})

t.test('claims wait while the runner is cut off', async (t) => {
  const { presence, lines } = await start('cut')
  t.teardown(() => presence.stop())
  const { rows } = await pool.query(`select lock_id from postrider.runner where id = 'cut'`)
  const thief = new pg.Client({ connectionString: url })
  await thief.connect()
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-presence cut'`,
  )
  await thief.query('select pg_advisory_lock(732, $1)', [rows[0].lock_id])
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
  t.notOk(await holdsLock('last'))
})
