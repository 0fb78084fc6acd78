import type { Pool } from 'pg'
import { once } from '../clock.ts'
import { ConfigError, type ServiceConfig } from '../config/config.ts'
import type { Log } from '../log.ts'
import { assertRights } from '../postgres/migrate/assert-rights.ts'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { createPool } from '../postgres/pool.ts'
import { openServers, type Servers } from '../postgres/servers.ts'
import { startProbes } from '../runner/probes.ts'
import { type RunnerHandle, startRunner } from '../runner/runner.ts'
import { startOnceAdopted } from '../runner/start-once-adopted.ts'
import { createSecretBox, type SecretBox } from '../secrets/secrets.ts'
import { checkSecrets, releaseReadable } from '../secrets/unreadable-secrets.ts'
import { egressRules } from '../sending/egress.ts'
import { trustCertificates } from '../sending/trust.ts'
import { bind } from './listen.ts'
import { thinLinksOf } from './services.ts'
import { createSharedParts, type SharedParts } from './shared-parts.ts'

/** Executes deliveries. The database has to be there and migrated. */
export async function startRunnerProcess(config: ServiceConfig, log: Log): Promise<RunnerHandle> {
  await using starting = new AsyncDisposableStack()
  const parts = await createSharedParts(config, log)
  starting.defer(parts.stop)
  const servers = await openServers(config.databaseDirectUrl ?? config.databaseUrl, log)
  starting.defer(() => servers.stop())
  const runner = await startRunnerOf(config, { ...parts, servers })
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

/** A runner on the parts that a process shares. */
export async function startRunnerOf(
  config: ServiceConfig,
  parts: SharedParts & { servers: Servers },
): Promise<RunnerHandle> {
  trustCertificates(config.egressCaCertificates)
  // All of it: it listens, holds locks of its sessions and sets them up.
  const connectionString = config.databaseDirectUrl ?? config.databaseUrl
  const box = createSecretBox(config.secretEncryptionKeys)
  const pool = createPool({
    connectionString,
    servers: parts.servers,
    max: 1,
    applicationName: 'postrider runner start',
  })
  try {
    await assertRights(pool, 'postrider_runner')
    await assertSchema(pool)
  } catch (error) {
    await pool.end()
    throw error
  }
  const { redis, metrics, tracing, log, servers } = parts
  const { linkOf } = thinLinksOf(config)
  const shared = { servers, redis, metrics, tracing, log, decryptSecret: box.decrypt, linkOf }
  const environment = config.environment.name
  return await startOnceAdopted({
    ...{ pool, environment, log },
    begin: async () => {
      await checkSecretsAtStart(pool, box, log)
      return await startRunner({ connectionString, environment, ...settingsOf(config), ...shared })
    },
  })
}

const settingsOf = (config: ServiceConfig) => ({
  concurrency: config.runnerConcurrency,
  allow: egressRules(config),
  proxy: config.egressProxy,
  httpsOnly: config.httpsOnly,
  retrySchedule: config.retryScheduleSeconds,
  timeoutMs: config.deliveryTimeoutSeconds * 1000,
  shutdownMs: config.shutdownSeconds * 1000,
  retentionDays: config.retentionDays,
  disableAfterSeconds: config.endpointDisableAfterDays * 86_400,
})

/**
 * A runner that can open no secret would have every endpoint held; better that it does not start. One that can
 * open some starts, and says which not: what is sent to those is held once there is something. What was held for
 * secrets that it can open is released.
 *
 * @throws ConfigError
 */
async function checkSecretsAtStart(pool: Pool, box: SecretBox, log: Log): Promise<void> {
  const { checked, unreadable, endpoints, named } = await checkSecrets(pool, box)
  if (checked > 0 && unreadable === checked) {
    throw new ConfigError([
      'SECRET_ENCRYPTION_KEY opens none of the endpoint secrets; give the key that the API has, or list the old one second',
    ])
  }
  if (unreadable > 0) log.error({ checked, unreadable, endpoints, named }, 'secrets.unreadable')
  const { released } = await releaseReadable(pool, box, 'start of a runner')
  if (released > 0) log.warn({ endpoints: released }, 'secrets.released')
}
