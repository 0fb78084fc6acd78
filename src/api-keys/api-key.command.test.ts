import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { createTenant } from '../testing/data/tenant.ts'
import { runCommand } from '../testing/wiring/command.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { startService } from '../testing/wiring/service.ts'

const { pool, url } = await createTestDatabase(t)
const api = await startService(t, 'api', { DATABASE_URL: url })
const asAdmin = { POSTRIDER_URL: api.url, POSTRIDER_API_KEY: 'test-admin-key' }
const run = (args: string[], env: Record<string, string> = asAdmin) => runCommand(args, { env })

t.test('a key is created, works, is listed, and is revoked', async (t) => {
  const tenant = await createTenant(pool)
  const options = ['--scopes', 'read,publish', '--tenant', tenant.key, '--json']
  const created = await run(['key', 'create', 'ci', ...options])
  t.equal(created.exitCode, EXIT.ok)
  const { id, key } = JSON.parse(created.stdout)
  const asCi = { ...asAdmin, POSTRIDER_API_KEY: key }
  t.match(await run(['tenant', 'list'], asCi), { exitCode: EXIT.ok, stdout: tenant.key })

  const listed = await run(['key', 'list', '--tenant', tenant.key])
  t.match(listed.stdout, new RegExp(`${id} +ci +${tenant.key} +\\["read","publish"\\] +- `))
  t.notMatch(listed.stdout, key)

  t.match(await run(['key', 'revoke', id]), { exitCode: EXIT.ok, stdout: `revoked ${id}\n` })
  t.match(await run(['tenant', 'list'], asCi), { exitCode: EXIT.failed, stderr: /unauthenticated/ })
  t.match(await run(['key', 'revoke', id, '--json']), { stdout: `{"id":"${id}","revoked":true}\n` })
})

t.test('without --json the key stands on its own line', async (t) => {
  const { stdout } = await run([
    'key',
    'create',
    'ci',
    '--scopes',
    'read',
    '--expires-at',
    '2999-01-01T00:00:00Z',
  ])
  t.match(stdout, /^key +pr_[\w-]{43}$/m)
  t.match(stdout, /^expiresAt +2999-01-01T00:00:00.000Z$/m)
})

t.test('what the API refuses is said field by field, and --scopes is needed', async (t) => {
  const refused = await run(['key', 'create', 'ci', '--scopes', 'all', '--tenant', 'nobody'])
  t.match(refused, { exitCode: EXIT.failed, stderr: /--scopes \(scopes\[0\]\): / })
  t.match(await run(['key', 'create', 'ci']), { exitCode: EXIT.usage, stderr: /--scopes/ })
  t.match(await run(['key', 'revoke', 'x']), { exitCode: EXIT.failed, stderr: /api_key_not_found/ })
})

t.test('a tenant is suspended, resumed and deleted', async (t) => {
  const { key } = await createTenant(pool)
  const show = async () => JSON.parse((await run(['tenant', 'show', key, '--json'])).stdout)
  t.match(await run(['tenant', 'suspend', key]), { exitCode: EXIT.ok, stdout: /^suspendedAt +2/m })
  t.match(await show(), { suspendedAt: /Z$/ })
  t.match(await run(['tenant', 'resume', key]), { exitCode: EXIT.ok, stdout: /^suspendedAt +-$/m })
  const deleted = await run(['tenant', 'delete', key])
  t.match(deleted, { exitCode: EXIT.ok, stdout: /^deleting +\{"startedAt":/m })
  t.match(await show(), { deleting: { deletedRows: 0 } })
  t.match(await run(['tenant', 'resume', key]), {
    exitCode: EXIT.failed,
    stderr: /tenant_deleting/,
  })
})
