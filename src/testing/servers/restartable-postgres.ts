import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '../../postgres/embedded/embedded-postgres.ts'
import { scratchFolder } from '../scratch.ts'
import type { TestLifetime } from '../wiring/database.ts'
import { layOutCluster } from './cluster.ts'
import { freePort } from './free-port.ts'

/**
 * `fast` ends the sessions and saves, as a deploy does; `immediate` drops everything, as a power cut does,
 * and the next start recovers from the log.
 */
export type Shutdown = 'fast' | 'immediate'

export interface RestartablePostgres {
  /** Of the superuser, to the database `postgres`. Stays the same over `stop` and `start`. */
  url: string
  port: number
  isRunning(): boolean
  /** Resolves once the server is gone; until `start`, connections are refused. */
  stop(how: Shutdown): Promise<void>
  start(): Promise<void>
  restart(how: Shutdown): Promise<void>
}

/** What an acknowledged commit needs to outlive an `immediate` stop, without waiting for a disk. */
export const SURVIVES_PROCESS = { fsync: 'off', full_page_writes: 'off' }

/** Making 40 days of partitions, and planning over them in each session, costs more than most tests. */
const FOR_TESTS = { ...SURVIVES_PROCESS, 'postrider.partition_days_ahead': '2' }

/** Starts its own empty Postgres for tests that take it away; stopped and removed with the test. */
export async function startRestartablePostgres(
  t: TestLifetime,
  settings: Record<string, string> = FOR_TESTS,
  folder = scratchFolder(),
): Promise<RestartablePostgres> {
  const dataDir = await mkdtemp(join(folder, 'postgres-'))
  await chmod(dataDir, 0o711) // Postgres may run as another user
  // A program that is no test makes its data itself: nobody would remove those that are copied.
  if (process.env['TAP'] === '1') await layOutCluster(dataDir)
  let server = await startPostgres({ dataDir, port: await freePort(), settings })
  let isRunning = true
  const { url, port } = server

  const stop = async (how: Shutdown) => {
    isRunning = false
    if (how === 'immediate') {
      process.kill(server.pid, 'SIGQUIT')
      await server.exited
    }
    await server.stop()
  }
  const start = async () => {
    server = await startPostgres({ dataDir, port, settings })
    isRunning = true
  }
  t.teardown(async () => {
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    url,
    port,
    isRunning: () => isRunning,
    stop,
    start,
    restart: async (how) => {
      await stop(how)
      await start()
    },
  }
}
