import type { Pool } from 'pg'
import { ConfigError, type ServiceConfig } from '../config.ts'
import { assertRights } from '../database/assert-rights.ts'
import { assertSchema } from '../database/migrate.ts'
import { createPool } from '../database/pool.ts'
import { egressRules } from '../delivery/egress.ts'
import { trustCertificates } from '../delivery/trust.ts'
import { createSecretBox, type SecretBox } from '../endpoints/secrets.ts'
import { type RunnerHandle, startRunner } from '../runner/runner.ts'
import type { SharedParts } from './shared-parts.ts'

/** A runner on the parts that a process shares. */
export async function startRunnerOf(
  config: ServiceConfig,
  { log, redis, metrics, tracing }: SharedParts,
): Promise<RunnerHandle> {
  trustCertificates(config.egressCaCertificates)
  // All of it: it listens, holds locks of its sessions and sets them up.
  const connectionString = config.databaseDirectUrl ?? config.databaseUrl
  const box = createSecretBox(config.secretEncryptionKeys)
  const pool = createPool({ connectionString, max: 1, applicationName: 'postrider runner start' })
  try {
    await assertRights(pool, 'postrider_runner')
    await assertSchema(pool)
    await assertSecretsReadable(pool, box)
  } finally {
    await pool.end()
  }
  return await startRunner({
    connectionString,
    concurrency: config.runnerConcurrency,
    allow: egressRules(config),
    proxy: config.egressProxy,
    httpsOnly: config.httpsOnly,
    retrySchedule: config.retryScheduleSeconds,
    timeoutMs: config.deliveryTimeoutSeconds * 1000,
    shutdownMs: config.shutdownSeconds * 1000,
    retentionDays: config.retentionDays,
    disableAfterSeconds: config.endpointDisableAfterDays * 86_400,
    decryptSecret: box.decrypt,
    redis,
    metrics,
    tracing,
    log,
  })
}

/** Enough to tell a wrong key from a secret that was sealed with one that is no longer listed. */
const NEWEST_SECRETS = 20

/**
 * A runner that can open no secret would postpone every delivery for ever; better that it does not start.
 *
 * @throws ConfigError
 */
async function assertSecretsReadable(pool: Pool, box: SecretBox): Promise<void> {
  const { rows } = await pool.query<{ encrypted: string; endpoint_id: string }>(
    `select encrypted, endpoint_id from postrider.endpoint_secret order by id desc limit ${NEWEST_SECRETS}`,
  )
  const isReadable = ({ encrypted, endpoint_id }: (typeof rows)[number]) => {
    try {
      return box.decrypt(encrypted, endpoint_id) !== ''
    } catch {
      return false
    }
  }
  if (rows.length === 0 || rows.some(isReadable)) return
  throw new ConfigError([
    'SECRET_ENCRYPTION_KEY opens none of the newest endpoint secrets; give the key that the API has, or list the old one second',
  ])
}
