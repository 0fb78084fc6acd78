/** What docs/how-to/back-up-and-restore.md says about dumps, done with the programs of Debian, from one server to another. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { secretBox } from '../testing/data/encryption.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { connect, startRolesServer } from '../testing/servers/roles-server.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { startDebianPostgres } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const MAJOR = 15
const BINARIES = `/usr/lib/postgresql/${MAJOR}/bin`

const run = promisify(execFile)
const source = await startDebianPostgres(t, MAJOR)
const target = await startRolesServer(t, { major: MAJOR })

t.test('a dump', { skip: !(source && target) && 'apt-get install postgresql' }, async (t) => {
  if (!source || !target) return
  await source.pool.query('select postrider.name_database(null)') // as `migrate` does
  const receiver = await startReceiver()
  t.teardown(() => receiver[Symbol.asyncDispose]())
  const tenant = await createTenant(source.pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  const held = await tenant.publish()
  await source.pool.query('select postrider.pause_endpoint($1)', [endpoint.id])
  await source.pool.query('select postrider.align($1)', [endpoint.id])
  await source.pool.query('select postrider.resume_endpoint($1)', [endpoint.id])
  const pending = await tenant.publish()
  await source.pool.query(`create table public.invoice (id int primary key, account text)`)
  await source.pool.query(
    `select postrider.attach('public.invoice', type => 'invoice', tenant => 'account')`,
  )
  const dump = join(createFolder(t), 'dump')
  await run(join(BINARIES, 'pg_dump'), ['--format=custom', `--file=${dump}`, source.url])
  const restore = (url: string) => run(join(BINARIES, 'pg_restore'), ['--dbname', url, dump])
  const migrate = (url: string) => runCommand(['migrate'], { env: { DATABASE_URL: url } })
  const policies = 'select tablename, policyname, roles, qual from pg_policies order by 1'
  const grants = `select table_name, privilege_type from information_schema.role_table_grants
    where grantee = 'postrider_tenant' order by 1, 2`

  t.test('that is restored where the role is missing is made whole by migrate', async (t) => {
    const url = await target.createDatabase('restored')
    await t.rejects(restore(url), /role "postrider_tenant" does not exist/)
    t.match(await migrate(url), { exitCode: 0 })
    const restored = await connect(t, url)
    for (const query of [policies, grants]) {
      t.strictSame((await restored.query(query)).rows, (await source.pool.query(query)).rows)
    }
  })

  t.test('that is restored where the role is there is complete, and goes on', async (t) => {
    const url = await target.createDatabase('again')
    await restore(url)
    t.match(await migrate(url), { exitCode: 0, stdout: /up to date.*nothing is sent/s })
    const restored = await connect(t, url)
    const env = { DATABASE_URL: url }
    t.match(await runCommand(['doctor'], { env }), { exitCode: 1, stdout: /copy_not_adopted/ })
    t.match(await runCommand(['adopt', '--open', 'hold'], { env }), { exitCode: 0 })
    t.match(await runCommand(['doctor'], { env }), { exitCode: 0 })
    await restored.query(`select postrider.resume_all('restored')`)
    const runner = await startService(t, 'runner', { DATABASE_URL: url })
    const requests = await receiver.received(2)
    t.strictSame(
      requests.map(({ headers }) => headers['webhook-id']).sort(),
      [held, pending].sort(),
    )
    t.equal(await runner.stop(), 0)
    await restored.query(`insert into public.invoice values (1, $1)`, [tenant.key])
    const { rows } = await restored.query(
      `select type from postrider.event where type ~ '^invoice[.]created'`,
    )
    t.strictSame(rows, [{ type: 'invoice.created' }], 'an attached table is attached')
  })
})
