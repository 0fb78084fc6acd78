/** Copies of a database with open deliveries in it: nothing leaves them before somebody has adopted them. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { readConfig } from '../config/config.ts'
import { startPostgres } from '../postgres/embedded/embedded-postgres.ts'
import { createPool } from '../postgres/pool.ts'
import { startRunnerProcess } from '../service/start-runner.ts'
import { ENCRYPTION, secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { createWork } from '../testing/data/work.ts'
import { captureLog } from '../testing/log-lines.ts'
import { scratchFolder } from '../testing/scratch.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { SURVIVES_PROCESS } from '../testing/servers/restartable-postgres.ts'
import { urlOf, withAdmin } from '../testing/servers/template.ts'
import { untilHolds } from '../testing/until.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { createTestConsole, createTestPages } from '../testing/wiring/pages.ts'

/** Of Debian, as Postgres' own programs are not among the embedded ones. */
const BINARIES = '/usr/lib/postgresql/15/bin'
const hasPrograms = existsSync(join(BINARIES, 'pg_basebackup'))

/** Few days: they are dumped, copied and restored. */
const SETTINGS = { ...SURVIVES_PROCESS, 'postrider.partition_days_ahead': '2' }

const run = promisify(execFile)

function poolOf(t: Test, connectionString: string) {
  const pool = createPool({ connectionString, max: 4, applicationName: 'test' })
  t.teardown(() => pool.end())
  return pool
}

async function startRunner(t: Test, url: string, environment: string) {
  const own = { DATABASE_URL: url, POSTRIDER_ENVIRONMENT: environment, LOG_LEVEL: 'debug' }
  const lines = captureLog()
  const config = readConfig({ ...own, ...ENCRYPTION, EGRESS_ALLOW: '127.0.0.0/8' }, 'runner')
  const runner = await startRunnerProcess(config, lines.log)
  t.teardown(runner.stop)
  const { url: probes } = await lines.line('runner.probed')
  return { ...runner, ...lines, readyOf: () => fetch(`${probes}/ready`) }
}

async function makeHome(t: Test): Promise<string> {
  const home = await mkdtemp(join(scratchFolder(), 'postgres-'))
  await chmod(home, 0o711) // Postgres may run as another user
  t.teardown(() => rm(home, { recursive: true, force: true }))
  return home
}

t.test('copies', { skip: !hasPrograms && 'apt-get install postgresql' }, async (t) => {
  const home = await makeHome(t)
  const server = await startPostgres({
    ...{ dataDir: home, settings: SETTINGS, binaries: BINARIES },
  })
  t.teardown(() => server.stop())
  const url = urlOf(server.url, 'original')
  const asAdmin = (text: string) => withAdmin(server.url, (admin) => admin.query(text))
  await asAdmin('create database original')
  const migrate = (DATABASE_URL: string, POSTRIDER_ENVIRONMENT: string) =>
    runCommand(['migrate'], { env: { DATABASE_URL, POSTRIDER_ENVIRONMENT } })
  t.match(await migrate(url, 'production'), { exitCode: 0 })

  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const pool = createPool({ connectionString: url, max: 4, applicationName: 'test' })
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const open = [await tenant.publish(), await tenant.publish()].sort()
  await pool.end()

  /** From a copy, by what became of the open deliveries. */
  async function isSilentUntilAdopted(
    t: Test,
    { copy, environment, choice }: { copy: string; environment: string; choice: string },
  ) {
    const env = { DATABASE_URL: copy, POSTRIDER_ENVIRONMENT: environment }
    const before = receiver.requests.length
    const runner = await startRunner(t, copy, environment)
    await runner.line('database.not_adopted')
    const ready = await runner.readyOf()
    t.equal(ready.status, 503)
    t.match(await ready.json(), { checks: { environment: 'not adopted: nothing is sent' } })
    t.match(await runCommand(['doctor'], { env }), { exitCode: 1, stdout: /copy_not_adopted/ })

    const at = poolOf(t, copy)
    const rows = 'select count(*)::int as count from postrider.attempt'
    t.match((await at.query(rows)).rows, [{ count: 0 }])
    t.equal(receiver.requests.length, before)
    t.match(await runCommand(['adopt', '--open', choice], { env }), { exitCode: 0 })
    await runner.logged('runner.started')
    t.match(await runCommand(['doctor'], { env }), { exitCode: 0 })
    const { rows: published } = await at.query<{ id: string }>(
      `select postrider.publish($1, 'invoice.paid', '{}') as id`,
      [tenant.key],
    )
    const later = published[0]?.id ?? ''
    const arrived = async (count: number) =>
      (await receiver.received(before + count))
        .slice(before)
        .map(({ headers }) => String(headers['webhook-id']))
        .sort()
    return { runner, at, later, arrived }
  }

  t.test('one made from a template sends nothing, and cancels what is open', async (t) => {
    await asAdmin('create database cloned template original')
    const copy = urlOf(server.url, 'cloned')
    const adopted = { copy, environment: 'production', choice: 'cancel' }
    const { later, arrived, at } = await isSilentUntilAdopted(t, adopted)
    t.strictSame(await arrived(1), [later])
    const states = 'select state from postrider.delivery where event_id <> $1'
    t.match((await at.query(states, [later])).rows, [
      { state: 'cancelled' },
      { state: 'cancelled' },
    ])
  })

  // From one server to another: backup.test.ts.
  t.test('a dump that is restored beside it sends nothing, and holds what is open', dumped)

  async function dumped(t: Test) {
    const copy = urlOf(server.url, 'restored')
    await asAdmin('create database restored')
    const dump = join(t.testdir({}), 'dump')
    await run(join(BINARIES, 'pg_dump'), ['--format=custom', `--file=${dump}`, url])
    await run(join(BINARIES, 'pg_restore'), ['--dbname', copy, dump])
    t.match(await migrate(copy, 'production'), { stdout: /notice: nothing is sent: .*a copy/ })
    const adopted = { copy, environment: 'production', choice: 'hold' }
    const { later, arrived, at } = await isSilentUntilAdopted(t, adopted)
    const held = `select count(*) = 3 as holds from postrider.delivery where state = 'held'`
    await untilHolds(at, held)
    await at.query('select postrider.resume_all()')
    t.strictSame(await arrived(3), [...open, later].sort())
  }

  t.test(
    'a physical copy in another environment sends nothing, and sends what is open',
    async (t) => {
      const copyHome = await makeHome(t)
      const data = join(copyHome, 'data')
      await run(join(BINARIES, 'pg_basebackup'), [
        '-D',
        data,
        '-d',
        server.url,
        '--checkpoint=fast',
      ])
      execFileSync('chown', ['-R', `--reference=${join(home, 'data')}`, data])
      await copyFile(join(home, 'password'), join(copyHome, 'password'))
      const second = await startPostgres({
        ...{ dataDir: copyHome, settings: SETTINGS, binaries: BINARIES },
      })
      t.teardown(() => second.stop())
      const copy = urlOf(second.url, 'original')
      t.match(await migrate(copy, 'staging'), { stdout: /notice: nothing is sent: .*production/ })
      const adopted = { copy, environment: 'staging', choice: 'send' }
      const { runner, later, arrived, at } = await isSilentUntilAdopted(t, adopted)
      t.strictSame(await arrived(3), [...open, later].sort())
      t.match(await runCommand(['doctor'], { env: { DATABASE_URL: copy } }), {
        exitCode: 1,
        stdout: /environment staging, and POSTRIDER_ENVIRONMENT is not set/,
      })

      // As behind a name that leads elsewhere from now on.
      const ended = t.rejects(runner.ended, { cause: { message: /environment elsewhere/ } })
      await at.query(`update postrider.service set environment = 'elsewhere'`)
      await ended
    },
  )

  t.test('the original goes on without a question', async (t) => {
    const before = receiver.requests.length
    const runner = await startRunner(t, url, 'production')
    const arrived = (await receiver.received(before + 2)).slice(before)
    t.strictSame(arrived.map(({ headers }) => headers['webhook-id']).sort(), open)
    t.notOk(runner.names().includes('database.not_adopted'))
    const env = { DATABASE_URL: url, POSTRIDER_ENVIRONMENT: 'production' }
    t.match(await runCommand(['adopt', '--open', 'cancel'], { env }), {
      exitCode: 1,
      stderr: /there is nothing to adopt/,
    })
    const other = { DATABASE_URL: url, POSTRIDER_ENVIRONMENT: 'staging' }
    t.match(await runCommand(['adopt', '--open', 'cancel'], { env: other }), {
      exitCode: 1,
      stderr: /runners work on this database/,
    })
  })
})

/** A database whose identity is another one's. */
async function copied(t: Test, environment: string | null = null) {
  const { pool, url } = await createTestDatabase(t)
  const work = await createWork(pool)
  await pool.query(`update postrider.service set identity = '7/1', environment = $1`, [environment])
  await pool.query('update postrider.runner set stopped_at = now()')
  return { pool, url, work }
}

t.test('the API takes nothing for a copy, and says so', async (t) => {
  const { pool, work } = await copied(t, 'production')
  const { app, services, request } = createTestPages(pool, {
    env: { POSTRIDER_ENVIRONMENT: 'production' },
  })
  const event = { body: { tenant: work.tenant.key, type: 'a', data: {} } }
  t.equal((await request('POST', '/api/events', event)).status, 202)
  await services.adoption.look()
  t.match(await request('POST', '/api/events', event), {
    status: 503,
    json: { code: 'copy_not_adopted' },
  })
  t.equal((await request('GET', '/api/tenants')).status, 200)
  const { status, json } = await request('GET', '/ready', { key: null })
  t.equal(status, 503)
  t.match(json, { ready: false, checks: { environment: 'not adopted: nothing is sent' } })
  const portal = await app.request('/portal', { method: 'POST', headers: FORM })
  t.equal(portal.status, 503)
  t.notMatch(await portal.text(), /production/, 'customers are not told whose it is')

  await pool.query(`select postrider.adopt_copy('send', 'production', 'ann')`)
  await services.adoption.look()
  t.equal((await request('POST', '/api/events', event)).status, 202)
  t.equal((await request('GET', '/ready', { key: null })).status, 200)
})

const FORM = { origin: 'http://localhost', 'content-type': 'application/x-www-form-urlencoded' }

t.test('the console says on every page that nothing is sent, and changes nothing', async (t) => {
  const { pool } = await copied(t, 'production')
  const console = await createTestConsole(pool, { env: { POSTRIDER_ENVIRONMENT: 'staging' } })
  await console.services.adoption.look()
  const cookie = await console.signedIn()
  const { text } = await console.get('/console', { cookie })
  t.match(text, /Nothing is sent.*environment production, and this process to staging/s)
  t.match(text, /are sent after:.*adopt --open send.*pause all deliveries.*adopt --open hold/s)
  const refused = await console.post('/console/tenants', { key: 'a' }, { cookie })
  t.equal(refused.status, 503)
})

t.test('no runner claims from a copy, not even one that it knows', async (t) => {
  const { pool, url, work } = await copied(t)
  const due = await work.publish()
  await t.rejects(work.claim(due), { code: '55000', message: /the database is a copy/ })
  await pool.query('update postrider.service set identity = postrider.database_identity()')
  t.ok(await work.claim(due))

  const other = await work.publish()
  await pool.query(`update postrider.service set environment = 'production'`)
  await t.rejects(work.claim(other), { message: /POSTRIDER_ENVIRONMENT is not set/ })
  const settings = { 'postrider.environment': 'staging' }
  const staging = createPool({ connectionString: url, max: 1, applicationName: 'test', settings })
  t.teardown(() => staging.end())
  const claim = 'select from postrider.claim_many(array[$1::uuid], array[1], $2)'
  await t.rejects(staging.query(claim, [other.id, work.runner]), { message: /to staging/ })
  t.match(await work.deliveryOf(other.eventId), { state: 'pending', attempt_count: 0 })
})

t.test('adopt_copy cancels whatever would send, also what was being sent', async (t) => {
  const { pool, work } = await copied(t)
  const { tenant } = work
  await pool.query('update postrider.service set identity = null')
  const [sent, waiting] = [await work.publish(), await work.publish()]
  await work.claim(sent)
  await pool.query(
    `select postrider.start_replay($1, now() - interval '1 hour', states => '{pending}')`,
    [tenant.key],
  )
  await pool.query(
    `insert into postrider.unrouted (tenant_id, event_id, endpoint_ids) values ($1, $2, array[$3::uuid])`,
    [tenant.id, waiting.eventId, work.endpoint.id],
  )
  // It continued, and published the rest of its rows to the customers of the original.
  await pool.query('create table public.invoice (id int primary key)')
  await pool.query('insert into public.invoice values (1)')
  await pool.query(
    `select postrider.attach('public.invoice', 'invoice', quote_literal($1::text))`,
    [tenant.key],
  )
  await pool.query(`select postrider.backfill('public.invoice')`)
  await pool.query(`update postrider.service set identity = '7/1'`)
  const { rows } = await pool.query(
    `select postrider.adopt_copy('cancel', 'staging', 'ann') as cancelled`,
  )
  t.match(rows, [{ cancelled: 2 }])
  for (const { eventId } of [sent, waiting]) {
    t.match(await work.deliveryOf(eventId), { state: 'cancelled', claim: null, job: null })
  }
  const left = `
    select (select count(*)::int from postrider.unrouted) as unrouted,
      (select count(*)::int from postrider.replay where finished_at is null) as replays,
      (select array_agg(state) from postrider.backfill_progress) as backfills,
      (select count(*)::int from graphile_worker.jobs where task_identifier = 'backfill') as jobs`
  t.match((await pool.query(left)).rows, [
    { unrouted: 0, replays: 0, backfills: ['cancelled'], jobs: 0 },
  ])
  const audited = `
    select who, target_kind, detail from postrider.audit_log where action = 'adopt_copy'`
  t.match((await pool.query(audited)).rows, [
    {
      who: 'ann',
      target_kind: 'service',
      detail: { open: 'cancel', cancelled: 2, environment: 'staging', identityBefore: '7/1' },
    },
  ])
})

t.test('a copy is adopted and reaps next to live runners of its original', async (t) => {
  const [original, { pool }] = [await createTestDatabase(t), await copied(t)]
  const session = createPool({ connectionString: original.url, max: 1, applicationName: 'test' })
  t.teardown(() => session.end())
  await session.query(`select postrider.register_runner('lives', 'host', 1)`)
  const runners = 'select to_jsonb(r) as row from postrider.runner r'
  const { rows } = await original.pool.query(runners)
  t.match(rows, [{ row: { id: 'lives', reaped_at: null } }])
  await pool.query(
    'insert into postrider.runner select * from jsonb_populate_record(null::postrider.runner, $1)',
    [rows[0]?.row],
  )
  await pool.query(`select postrider.adopt_copy('cancel')`)

  const reap = `select postrider.reap('{lives}') as dead`
  t.strictSame((await original.pool.query(reap)).rows, [{ dead: [] }])
  t.strictSame((await pool.query(reap)).rows, [{ dead: ['lives'] }])
})

t.test('adopt_copy refuses what is no choice, and to take the name away', async (t) => {
  const { pool } = await copied(t, 'production')
  const adopt = (...values: (string | null)[]) =>
    pool.query('select postrider.adopt_copy($1, $2)', values)
  await t.rejects(adopt('drop', 'staging'), { code: '22023' })
  await t.rejects(adopt('send', null), { code: '55000', message: /has no name/ })
  await t.rejects(adopt('send', ' staging'), { code: '23514' })
  await adopt('send', 'staging')
  await t.rejects(adopt('send', 'staging'), { message: /nothing to adopt/ })
})

t.test(
  'migrate names a database once, and a process with a name may use one without',
  async (t) => {
    const { pool, url } = await createTestDatabase(t)
    const migrate = (POSTRIDER_ENVIRONMENT: string) =>
      runCommand(['migrate'], { env: { DATABASE_URL: url, POSTRIDER_ENVIRONMENT } })
    const service = async () =>
      (await pool.query('select environment, identity is not null as known from postrider.service'))
        .rows
    await pool.query('select postrider.name_database(null)')
    t.match(await service(), [{ environment: null, known: true }])
    t.match((await pool.query(`select postrider.unadopted('production') as reason`)).rows, [
      { reason: null },
    ])
    t.notMatch((await migrate('production')).stdout, /nothing is sent/)
    t.match(await service(), [{ environment: 'production' }])
    t.match(await migrate('staging'), {
      exitCode: 0,
      stdout: /production, and this process to staging/,
    })
    t.match(await service(), [{ environment: 'production' }])
  },
)
