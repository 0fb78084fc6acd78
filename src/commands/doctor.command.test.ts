import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'

async function bundle(t: Test) {
  const { url, pool, name } = await createTestDatabase(t)
  const doctor = (...options: string[]) =>
    runCommand(['doctor', ...options], { env: { DATABASE_URL: url } })
  return { url, pool, name, doctor, work: await createWork(pool) }
}

t.test('says so when nothing is wrong, and ends with 0', async (t) => {
  const { doctor, work } = await bundle(t)
  await work.publish()
  t.match(await doctor(), { exitCode: 0, stdout: /\nnothing is lost or stuck\n$/, stderr: /^$/ })
  const { exitCode, stdout } = await doctor('--json')
  t.equal(exitCode, 0)
  t.match(JSON.parse(stdout), { violations: [], repaired: [], server: { timeline: 1 } })
})

t.test('lists what is wrong, ends with 1, and repairs on request', async (t) => {
  const { doctor, work } = await bundle(t)
  const lost = await work.publish()
  await work.loseJob(lost.id)
  await work.age(lost.id, 6)

  const found = await doctor()
  t.equal(found.exitCode, 1)
  t.match(found.stdout, new RegExp(`open_without_job +${lost.id} +attempt 1`))
  t.match(found.stderr, /1 found: open_without_job 1/)
  const { exitCode, stdout } = await doctor('--json')
  t.equal(exitCode, 1)
  t.match(JSON.parse(stdout), {
    violations: [{ kind: 'open_without_job', id: lost.id, tenantId: work.tenant.id }],
  })

  const repaired = await doctor('--repair')
  t.match(repaired, {
    exitCode: 0,
    stdout: /\nrepaired pending: 1\nnothing is lost or stuck\n$/,
    stderr: /^$/,
  })
  t.ok((await work.deliveryOf(lost.eventId)).job)
})

t.test('still ends with 1 when something cannot be repaired', async (t) => {
  const { pool, doctor, work } = await bundle(t)
  const done = await work.publish()
  await work.finish(await work.claim(done), 200)
  await pool.query('delete from postrider.attempt')
  const { exitCode, stdout, stderr } = await doctor('--repair')
  t.equal(exitCode, 1)
  t.match(stdout, /attempt_missing/)
  t.match(stderr, /attempt_missing 1/)
})

t.test('finds the database of a running `postrider dev`, as the client commands do', async (t) => {
  const { url } = await bundle(t)
  const cwd = createFolder(t)
  mkdirSync(join(cwd, '.postrider'))
  writeFileSync(join(cwd, '.postrider', 'database-url'), `${url}\n`)
  t.match(await runCommand(['doctor'], { cwd }), { exitCode: 0, stderr: '' })
  const given = await runCommand(['doctor'], { cwd, env: { DATABASE_URL: 'mysql://a' } })
  t.match(given, { exitCode: 78, stderr: /DATABASE_URL/ }, 'a variable wins')
})

t.test('says where to run it when there is no database', async (t) => {
  const { exitCode, stderr } = await runCommand(['doctor'], {
    env: { POSTRIDER_DATA: createFolder(t) },
  })
  t.equal(exitCode, 78)
  t.match(stderr, /DATABASE_URL is not set and no running `postrider dev` was found: set it, or/)
})

t.test('names the settings that the database was given, and whether each matters', async (t) => {
  const { name, pool, doctor } = await bundle(t)
  const given = {
    DateStyle: "'German, DMY'",
    search_path: 'their_own, public',
    'plpgsql.extra_errors': "'all'",
    default_transaction_isolation: 'serializable',
    enable_nestloop: 'off',
    session_replication_role: 'replica',
    synchronous_commit: 'off',
    log_statement: "'all'",
  }
  for (const [setting, value] of Object.entries(given)) {
    await pool.query(`alter database ${name} set ${setting} = ${value}`)
  }
  const { exitCode, stdout } = await doctor('--json')
  t.equal(exitCode, 0)
  const { settings } = JSON.parse(stdout) as { settings: { setting: string; matters: string }[] }
  t.strictSame(Object.fromEntries(settings.map(({ setting, matters }) => [setting, matters])), {
    DateStyle: 'no',
    search_path: 'no',
    'plpgsql.extra_errors': 'no',
    log_statement: 'no',
    default_transaction_isolation: 'perhaps',
    enable_nestloop: 'perhaps',
    session_replication_role: 'yes',
    synchronous_commit: 'perhaps',
  })
  t.match(settings, [{ setting: 'DateStyle', value: 'German, DMY', of: 'database' }])
  t.match(
    (await doctor()).stdout,
    /\nnothing is lost or stuck\n\nsettings that .*:\nsetting +value +of +matters +detail\nDateStyle +German, DMY +database +no +Postrider/,
  )
})

t.test('names the server, and what makes its acknowledgements worth less', async (t) => {
  const { pool, name, doctor } = await bundle(t)
  await pool.query(`alter database ${name} set synchronous_commit = local`)
  const { stdout, exitCode } = await doctor()
  t.match(stdout, /^server 127\.0\.0\.1:\d+, primary, timeline 1\n/)
  t.match(stdout, /^warning: fsync is off/m)
  t.match(stdout, /^warning: full_page_writes is off/m)
  t.match(stdout, /^warning: synchronous_commit is local for the database: publishing/m)
  t.equal(exitCode, 0)
  t.match(await doctor('--strict'), { exitCode: 1, stderr: /^postrider: \d+ warnings\n$/ })
  const { server } = JSON.parse((await doctor('--json')).stdout) as {
    server: { warnings: string[] }
  }
  t.ok(server.warnings.length >= 3)
})

t.test('says of each failover whether what was acknowledged before it is there', async (t) => {
  const { pool, doctor } = await bundle(t)
  const before = (isSynchronous: boolean, ago: string) =>
    pool.query(
      `insert into postrider.timeline (system_identifier, timeline, is_synchronous, since, seen_at)
       select system_identifier, 0, $1, since - interval '1 day', since - $2::interval
       from postrider.timeline where timeline = 1
       on conflict (system_identifier, timeline)
       do update set is_synchronous = excluded.is_synchronous, seen_at = excluded.seen_at`,
      [isSynchronous, ago],
    )
  t.notMatch((await doctor()).stdout, /failover (?:at|after)/)

  await before(true, '1 minute')
  t.match(
    (await doctor()).stdout,
    /^failover at \S+Z to timeline 1; synchronous: what .* is there, unless .* was promoted$/m,
  )
  await before(true, '61 s')
  t.match(
    (await doctor()).stdout,
    /^warning: failover at \S+Z to timeline 1; synchronous when last heard of at \S+Z: .* can be gone$/m,
  )
  await before(false, '1 s')
  const lossy =
    /failover at \S+Z to timeline 1; not synchronous: what was acknowledged shortly before can be gone/
  const { stdout, exitCode } = await doctor()
  t.match(stdout, lossy)
  t.match(stdout, /\nnothing is lost or stuck, as far as can be seen after the failover\n/)
  t.equal(exitCode, 0)
  t.equal((await doctor('--strict')).exitCode, 1)
  const { server } = JSON.parse((await doctor('--json')).stdout)
  t.match(server, { failovers: [{ timeline: 1, isLossless: false }], warnings: [lossy] })

  await pool.query('delete from postrider.timeline where timeline = 1')
  t.match(
    (await doctor()).stdout,
    /^warning: failover after \S+Z, which no runner has seen yet, to timeline 1; not/m,
  )
  await pool.query('select postrider.note_timeline()')
  await pool.query(`update postrider.timeline set since = '2020-01-01' where timeline = 1`)
  t.notMatch((await doctor()).stdout, /failover (?:at|after)/, 'nothing is kept from then')
})
