import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isInstalled } from '../programs.ts'
import { createFolder } from '../wiring/cli.ts'
import type { TestLifetime } from '../wiring/database.ts'
import { freePort } from './free-port.ts'

export const PGBOUNCER = '/usr/sbin/pgbouncer'
/** Nobody; it refuses to run as root. */
const UNPRIVILEGED = 65_534
/** Few, so that clients share them, and statements of one come on several. */
const SERVER_CONNECTIONS = 3

/**
 * A PgBouncer in transaction mode before a database.
 *
 * @param settings lines of its configuration
 * @returns null when it is not installed; skip then, with `missing(PGBOUNCER)`
 */
export async function startPgBouncer(
  t: TestLifetime,
  databaseUrl: string,
  settings: readonly string[] = [],
): Promise<string | null> {
  if (!isInstalled(PGBOUNCER)) return null
  const folder = createFolder(t)
  chmodSync(folder, 0o755)
  const target = new URL(databaseUrl)
  const port = await freePort()
  const password = target.password && ` password=${decodeURIComponent(target.password)}`
  const file = join(folder, 'pgbouncer.ini')
  writeFileSync(
    file,
    `[databases]
pooled = host=${target.hostname} port=${target.port} dbname=${target.pathname.slice(1)} user=${target.username}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${SERVER_CONNECTIONS}
max_client_conn = 100
${settings.join('\n')}
`,
    { mode: 0o644 },
  )
  const asRoot = process.getuid?.() === 0 && { uid: UNPRIVILEGED, gid: UNPRIVILEGED }
  const child = spawn(PGBOUNCER, [file], { stdio: ['ignore', 'ignore', 'pipe'], ...asRoot })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  let said = ''
  const ready = new Promise<void>((resolve) => {
    child.stderr.on('data', (text) => {
      said += text
      if (said.includes('process up')) resolve()
    })
  })
  const ended = exited.then(() => {
    throw new Error(`pgbouncer did not start: ${said}`)
  })
  await Promise.race([ready, ended])
  ended.catch(() => undefined)
  return `postgres://${target.username}@127.0.0.1:${port}/pooled`
}
