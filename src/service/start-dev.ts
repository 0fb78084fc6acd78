import { isIP } from 'node:net'
import { join } from 'node:path'
import { once } from '../clock.ts'
import type { Config, ServiceConfig } from '../config/config.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import type { Log } from '../log.ts'
import { startPostgres } from '../postgres/embedded/embedded-postgres.ts'
import { migrate } from '../postgres/migrate/migrate.ts'
import { createDatabase } from '../postgres/pool.ts'
import { openServers, urlOfOne } from '../postgres/servers.ts'
import type { RunnerHandle } from '../runner/runner.ts'
import { addSandboxRoutes } from '../sandbox/sandbox.routes.ts'
import { ensureSandboxEndpoint, SANDBOX_PATH } from '../sandbox/sandbox-endpoint.ts'
import { createStartingApp, listen, urlOf } from './listen.ts'
import { startMetricsPort } from './metrics-port.ts'
import { createTenantServices } from './services.ts'
import { createSharedParts } from './shared-parts.ts'
import { openApi } from './start-api.ts'
import { startRunnerOf } from './start-runner.ts'

/** The sandbox is served by this process, so `dev` may always dial it. */
const LOOPBACK = ['127.0.0.0/8', '::1']

export interface RunningDev {
  url: string
  consoleUrl: string
  sandboxUrl: string
  databaseUrl: string
  /** Why nothing is sent, in words; null = it is. */
  whyUnadopted: string | null
  stop(): Promise<void>
  /** Rejects when the database or the runner ended by itself. */
  ended: Promise<unknown>
  /** Aborted when somebody asked its runner to stop. */
  drained: AbortSignal
}

export type DevConfig = Config & Pick<ServiceConfig, 'secretEncryptionKeys'> & { adminKey: string }

/**
 * Everything in one process: a Postgres of our own unless there is a DATABASE_URL, the API and console, a
 * runner, and a sandbox that the tenant `default` delivers to.
 *
 * The port is taken first, so that one that is in use is reported before anything is written.
 */
export async function startDev(config: DevConfig, log: Log): Promise<RunningDev> {
  await using starting = new AsyncDisposableStack()
  const startingApp = createStartingApp()
  const http = await listen(config, startingApp)
  starting.defer(http.stop)
  const url = urlOf(config, http)

  const postgres = config.databaseUrl ? null : await startEmbedded(config)
  if (postgres) starting.defer(postgres.stop)
  const databaseUrl = config.databaseUrl ?? postgres?.url ?? ''
  await migrate(await urlOfOne(databaseUrl), {
    environment: config.environment.name,
    log: (message, fields) => log.info({ ...fields }, message),
  })

  const egress = [...config.egressAllow, ...LOOPBACK, ...(isIP(config.host) ? [config.host] : [])]
  const service = { ...config, databaseUrl, egressAllow: egress, ownUrl: url }
  const parts = await createSharedParts(config, log)
  starting.defer(parts.stop)
  const servers = await openServers(databaseUrl, log)
  starting.defer(() => servers.stop())
  const api = openApi(service, { ...parts, servers })
  starting.defer(api.stop)
  starting.defer((await startMetricsPort(service, parts, api.services)).stop)
  starting.defer((await api.services.adoption.watch()).stop)
  await ensureSandboxEndpoint(addSandbox(service, api), url)
  const runner = await startRunnerOf(service, { ...parts, servers })
  // First the runner, which may be delivering to the sandbox; then requests, then what they need.
  starting.defer(http.stop)
  starting.defer(() => api.services.liveAttempts.stop())
  starting.defer(runner.stop)
  startingApp.serve(api.app)

  const running = starting.move()
  const stop = once(() => running.disposeAsync())
  const ended = firstEnd(runner, postgres)
  const { drained } = runner
  const [consoleUrl, sandboxUrl] = [url + CONSOLE_PATH, url + SANDBOX_PATH]
  const whyUnadopted = api.services.adoption.whyUnadopted()
  return { url, consoleUrl, sandboxUrl, databaseUrl, whyUnadopted, stop, ended, drained }
}

/** The sandbox is no tenant's, and sees them all. */
export function addSandbox(
  config: ServiceConfig,
  { app, pool, services }: ReturnType<typeof openApi>,
) {
  const ofAll = { ...services, ...createTenantServices(config, createDatabase(pool)) }
  addSandboxRoutes(app, ofAll, config)
  return ofAll
}

async function startEmbedded({ dataDir }: DevConfig) {
  return await startPostgres({ dataDir: join(dataDir, 'postgres') })
}

/** Rejects at the first end; an end of the runner that was asked for resolves it. */
function firstEnd(
  runner: RunnerHandle,
  postgres: { exited: Promise<void> } | null,
): Promise<unknown> {
  if (!postgres) return runner.ended
  const lost = postgres.exited.then(() => {
    throw new Error('the embedded Postgres ended')
  })
  return Promise.race([runner.ended, lost])
}
