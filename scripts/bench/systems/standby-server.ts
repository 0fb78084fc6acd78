import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, copyFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { startPostgres } from '../../../src/postgres/embedded/embedded-postgres.ts'
import { withAdmin } from '../../../src/testing/servers/template.ts'
import type { Cleanup } from '../program.ts'
import { debianBinaries, type Server } from './server.ts'

/** Of a server that is to get a standby. */
export const REPLICATED = { wal_level: 'replica', max_connections: '150' }

/**
 * Starts a standby next to a running server of ours, which commits of the server can wait for. It applies everything
 * `delayMs` later: with `remote_apply` each commit waits for so long, as for one that far away.
 */
export async function startStandby(
  cleanup: Cleanup,
  server: Server,
  delayMs: number,
): Promise<void> {
  if (server.pid === null) throw new Error('the server of DATABASE_URL gets no standby: unset it')
  const home = join(server.folder, 'standby')
  await mkdir(home)
  await chmod(home, 0o711) // as root, Postgres runs as another user
  await withAdmin(server.url, (admin) => copyRunning(admin, join(server.folder, 'postgres'), home))
  appendFileSync(
    join(home, 'data', 'postgresql.auto.conf'),
    `primary_conninfo = '${server.url}?application_name=standby'\n`,
  )
  const binaries = debianBinaries()
  const settings = { ...REPLICATED, recovery_min_apply_delay: `${delayMs}ms` }
  const standby = await startPostgres({ dataDir: home, settings, ...(binaries && { binaries }) })
  cleanup.defer(async () => {
    await setSynchronous(server, false) // otherwise nothing commits any more
    await standby.stop()
  })
}

/** While it runs, between two calls that Postgres has for it; which may run as another user. */
async function copyRunning(admin: pg.Client, from: string, to: string): Promise<void> {
  await admin.query("select pg_backup_start('standby', fast => true)")
  execFileSync('cp', ['-a', join(from, 'data'), to])
  const { rows } = await admin.query(
    'select labelfile from pg_backup_stop(wait_for_archive => false)',
  )
  copyFileSync(join(from, 'password'), join(to, 'password'))
  const data = join(to, 'data')
  rmSync(join(data, 'postmaster.pid'), { force: true })
  const { uid, gid } = statSync(data)
  for (const [name, text] of [
    ['backup_label', rows[0].labelfile],
    ['standby.signal', ''],
  ]) {
    writeFileSync(join(data, name), text)
    chownSync(join(data, name), uid, gid)
  }
}

/** Whether commits wait until the standby has applied them. */
export async function setSynchronous(server: Server, isSynchronous: boolean): Promise<void> {
  await withAdmin(server.url, async (admin) => {
    await admin.query(`alter system set synchronous_standby_names = '${isSynchronous ? '*' : ''}'`)
    await admin.query(
      `alter system set synchronous_commit = '${isSynchronous ? 'remote_apply' : 'on'}'`,
    )
    await admin.query('select pg_reload_conf()')
    const wanted = isSynchronous ? 1 : 0
    for (;;) {
      const { rows } = await admin.query(
        `select count(*) filter (where sync_state = 'sync')::int as standbys, pg_sleep(0.1) from pg_stat_replication`,
      )
      if (rows[0].standbys === wanted) return
    }
  })
}
