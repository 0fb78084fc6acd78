/** What docs/how-to/back-up-and-restore.md says about dumps, done with the programs of Debian, from one server to another. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { createTenant } from '../testing/data/tenant.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import { connect, startRolesServer } from '../testing/servers/roles-server.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { startDebianPostgres } from '../testing/wiring/database.ts'
import { encryptSecret, startService } from '../testing/wiring/service.ts'

const MAJOR = 15
const BINARIES = `/usr/lib/postgresql/${MAJOR}/bin`

const run = promisify(execFile)
const source = await startDebianPostgres(t, MAJOR)
const target = await startRolesServer(t, { major: MAJOR })

t.test('a dump', { skip: !(source && target) && 'apt-get install postgresql' }, async (t) => {
  if (!source || !target) return
  const receiver = await startReceiver()
  t.teardown(() => receiver[Symbol.asyncDispose]())
  const tenant = await createTenant(source.pool)
  const endpoint = await tenant.addEndpoint({ url: receiver.url }, encryptSecret)
  const held = await tenant.publish()
  await source.pool.query('select postrider.pause_endpoint($1)', [endpoint.id])
  await source.pool.query('select postrider.align($1)', [endpoint.id])
  await source.pool.query('select postrider.resume_endpoint($1)', [endpoint.id])
  const pending = await tenant.publish()
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
    t.match(await migrate(url), { exitCode: 0, stdout: /up to date/ })
    const restored = await connect(t, url)
    await restored.query(`select postrider.pause_all('restored')`)
    t.match(await runCommand(['doctor'], { env: { DATABASE_URL: url } }), { exitCode: 0 })
    await restored.query(`select postrider.resume_all('restored')`)
    const runner = await startService(t, 'runner', { DATABASE_URL: url })
    const requests = await receiver.received(2)
    t.strictSame(
      requests.map(({ headers }) => headers['webhook-id']).sort(),
      [held, pending].sort(),
    )
    t.equal(await runner.stop(), 0)
  })
})
