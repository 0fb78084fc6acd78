import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  type Config,
  isShortAdminKey,
  type ServiceConfig,
  STRONG_ADMIN_KEY_LENGTH,
} from '../config/config.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import type { Log } from '../log.ts'
import { once } from '../once.ts'
import { startPostgres } from '../postgres/embedded/embedded-postgres.ts'
import { assertRights } from '../postgres/migrate/assert-rights.ts'
import { assertSchema, migrate } from '../postgres/migrate/migrate.ts'
import { startProbes } from '../runner/probes.ts'
import type { RunnerHandle } from '../runner/runner.ts'
import { addSandboxRoutes } from '../sandbox/sandbox.routes.ts'
import { ensureSandboxEndpoint, SANDBOX_PATH } from '../sandbox/sandbox-endpoint.ts'
import { createApi } from './api-service.ts'
import { bind, createFront, listen, urlOf } from './front.ts'
import { startMetricsPort } from './metrics-port.ts'
import { startRunnerOf } from './runner-service.ts'
import { createSharedParts } from './shared-parts.ts'

/** The sandbox is served by this process, so `dev` may always dial it. */
const LOOPBACK = ['127.0.0.0/8', '::1']

export interface RunningApi {
  url: string
  port: number
  /** Takes no more requests, finishes those in flight, then closes the database. */
  stop(): Promise<void>
  /** Never settles by itself: without a database the API waits for it, and says so at /ready. */
  ended: Promise<never>
}

/** Serves the HTTP API. The database has to be there and migrated. */
export async function startApi(config: ServiceConfig, log: Log): Promise<RunningApi> {
  await using starting = new AsyncDisposableStack()
  const parts = await createSharedParts(config, log)
  starting.defer(parts.stop)
  const api = createApi(config, parts)
  starting.defer(api.stop)
  await assertRights(api.pool, 'postrider_api')
  starting.defer((await withPages(config, parts, api)).stop)
  await assertSchema(api.pool)
  const http = await listen(config, api.app)
  starting.defer(http.stop)
  starting.defer(api.liveAttempts.stop)
  starting.defer((await startMetricsPort(config, parts, api)).stop)
  warnOfShortKey(config, log)
  log.info({ url: http.url }, 'api.started')

  const running = starting.move()
  return {
    url: http.url,
    port: http.port,
    stop: once(() => running.disposeAsync()),
    ended: new Promise(() => undefined),
  }
}

/** Production refuses it (NODE_ENV); here somebody may have a reason. */
function warnOfShortKey({ adminKey }: ServiceConfig, log: Log): void {
  if (adminKey === undefined || !isShortAdminKey(adminKey)) return
  log.warn({ atLeast: STRONG_ADMIN_KEY_LENGTH }, 'config.admin_key_short')
}

/** Loaded only here: a runner has no pages, and no use for what they are made of. */
async function withPages(...args: Parameters<typeof import('./page-service.ts')['addPages']>) {
  const { addPages } = await import('./page-service.ts')
  return addPages(...args)
}

/** Executes deliveries. The database has to be there and migrated. */
export async function startRunnerProcess(config: ServiceConfig, log: Log): Promise<RunnerHandle> {
  await using starting = new AsyncDisposableStack()
  const parts = await createSharedParts(config, log)
  starting.defer(parts.stop)
  const runner = await startRunnerOf(config, parts)
  starting.defer(runner.stop)
  const { host, runnerPort: port } = config
  const probes = await bind(
    () => startProbes({ host, port, ready: runner.ready, metrics: parts.metrics }),
    { host, port, variable: 'RUNNER_PORT' },
  )
  starting.defer(probes.stop)
  log.info({ runnerId: runner.id, url: probes.url }, 'runner.probed')

  const running = starting.move()
  return { ...runner, stop: once(() => running.disposeAsync()) }
}

export interface RunningDev {
  url: string
  consoleUrl: string
  sandboxUrl: string
  databaseUrl: string
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
  const front = createFront()
  const http = await listen(config, front)
  starting.defer(http.stop)
  const url = urlOf(config, http)

  const postgres = config.databaseUrl ? null : await startEmbedded(config)
  if (postgres) starting.defer(postgres.stop)
  const databaseUrl = config.databaseUrl ?? postgres?.url ?? ''
  await migrate(databaseUrl, { log: (message, fields) => log.info({ ...fields }, message) })

  const egress = [...config.egressAllow, ...LOOPBACK, ...(isIP(config.host) ? [config.host] : [])]
  const service = { ...config, databaseUrl, egressAllow: egress }
  const parts = await createSharedParts(config, log)
  starting.defer(parts.stop)
  const api = createApi(service, parts)
  starting.defer(api.stop)
  starting.defer((await withPages(service, parts, api)).stop)
  starting.defer((await startMetricsPort(service, parts, api)).stop)
  addSandboxRoutes(api.app, api, config)
  await ensureSandboxEndpoint(api, url)
  const runner = await startRunnerOf(service, parts)
  // First the runner, which may be delivering to the sandbox; then requests, then what they need.
  starting.defer(http.stop)
  starting.defer(api.liveAttempts.stop)
  starting.defer(runner.stop)
  front.serve(api.app)

  const running = starting.move()
  const stop = once(() => running.disposeAsync())
  const ended = firstEnd(runner, postgres)
  const { drained } = runner
  const [consoleUrl, sandboxUrl] = [url + CONSOLE_PATH, url + SANDBOX_PATH]
  return { url, consoleUrl, sandboxUrl, databaseUrl, stop, ended, drained }
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
