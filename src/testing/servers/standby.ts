import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { startPostgres } from '../../postgres/embedded/embedded-postgres.ts'
import { migrate } from '../../postgres/migrate/migrate.ts'
import { createPool } from '../../postgres/pool.ts'
import { scratchFolder } from '../scratch.ts'
import { untilHolds } from '../until.ts'
import type { TestLifetime } from '../wiring/database.ts'
import { layOutCluster } from './cluster.ts'
import { freePort } from './free-port.ts'
import { SURVIVES_PROCESS } from './restartable-postgres.ts'
import { withAdmin } from './template.ts'

/** Loads of sessions, none of which waits for a checkpoint when the server stops. */
const SETTINGS = {
  ...SURVIVES_PROCESS,
  ...{ wal_level: 'replica', max_connections: '60', max_prepared_transactions: '2' },
}

interface ReplicatedServer {
  url: string
  port: number
  pool: Pool
  pid(): number
  /** Ends the sessions and the server; connections are refused until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface ReplicatedPostgres {
  primary: ReplicatedServer
  /** Follows the primary, and answers reads. */
  standby: ReplicatedServer
  /** Commits of the primary wait for the standby from now on, or no longer do; or for one of this name, which is none of them. */
  setSynchronous(wanted: boolean | string): Promise<void>
  /** Makes the standby a primary of the next timeline, whether the other one lives or not. */
  promote(): Promise<void>
}

/**
 * A migrated Postgres with a standby that streams from it, for tests that take one of them away. Ends with the test.
 */
export async function startReplicatedPostgres(t: TestLifetime): Promise<ReplicatedPostgres> {
  const homes = await Promise.all([makeHome(t), makeHome(t)])
  const [home, standbyHome] = homes
  await layOutCluster(home)
  const first = await startPostgres({ dataDir: home, port: await freePort(), settings: SETTINGS })
  await migrate(first.url)
  const { url, port } = first
  await first.stop()
  copyAsStandby(home, standbyHome, url)

  const primary = await serverIn(t, home, port)
  const standby = await serverIn(t, standbyHome)
  await untilHolds(primary.pool, `select count(*) = 1 as holds from pg_stat_replication`)
  return {
    primary,
    standby,
    setSynchronous: (wanted) => setSynchronous(primary, wanted),
    promote: () =>
      withAdmin(standby.url, async (admin) => void (await admin.query('select pg_promote()'))),
  }
}

async function makeHome(t: TestLifetime): Promise<string> {
  const home = await mkdtemp(join(scratchFolder(), 'postgres-'))
  await chmod(home, 0o711) // Postgres may run as another user
  t.teardown(() => rm(home, { recursive: true, force: true }))
  return home
}

/** The data of a server that does not run, with their owner. */
function copyAsStandby(home: string, standbyHome: string, url: string): void {
  execFileSync('cp', ['-a', join(home, 'data'), standbyHome])
  copyFileSync(join(home, 'password'), join(standbyHome, 'password'))
  const data = join(standbyHome, 'data')
  writeFileSync(join(data, 'standby.signal'), '', { mode: 0o644 })
  const way = `primary_conninfo = '${url}?application_name=standby'\n`
  appendFileSync(join(data, 'postgresql.auto.conf'), `${way}wal_retrieve_retry_interval = 100\n`)
}

async function serverIn(t: TestLifetime, dataDir: string, fixedPort?: number) {
  const port = fixedPort ?? (await freePort())
  const options = { dataDir, port, settings: SETTINGS }
  let server = await startPostgres(options)
  const { url } = server
  const pool = createPool({ connectionString: url, max: 5, applicationName: 'test' })
  t.teardown(async () => {
    await pool.end()
    await server.stop()
  })
  return {
    url,
    port,
    pool,
    pid: () => server.pid,
    stop: () => server.stop(),
    start: async () => {
      server = await startPostgres(options)
    },
  }
}

async function setSynchronous({ url, pool }: ReplicatedServer, wanted: boolean | string) {
  const names = typeof wanted === 'string' ? wanted : wanted ? '*' : ''
  await withAdmin(url, async (admin) => {
    await admin.query(`alter system set synchronous_standby_names = '${names}'`)
    await admin.query('select pg_reload_conf()')
  })
  await untilHolds(
    pool,
    `select current_setting('synchronous_standby_names') = $1
       and (not $2 or exists (select from pg_stat_replication where sync_state = 'sync')) as holds`,
    [names, wanted === true],
  )
}
