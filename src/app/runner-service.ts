import type { ServiceConfig } from '../config.ts'
import { assertSchema } from '../database/migrate.ts'
import { createPool } from '../database/pool.ts'
import { parseCidrs } from '../delivery/egress.ts'
import { trustCertificates } from '../delivery/trust.ts'
import { createSecretBox } from '../endpoints/secrets.ts'
import { type RunnerHandle, startRunner } from '../runner/runner.ts'
import type { SharedParts } from './shared-parts.ts'

/** A runner on the parts that a process shares. */
export async function startRunnerOf(
  config: ServiceConfig,
  { log, redis, metrics }: SharedParts,
): Promise<RunnerHandle> {
  trustCertificates(config.egressCaCertificates)
  const { databaseUrl: connectionString } = config
  const pool = createPool({ connectionString, max: 1, applicationName: 'postrider runner start' })
  try {
    await assertSchema(pool)
  } finally {
    await pool.end()
  }
  return await startRunner({
    connectionString,
    concurrency: config.runnerConcurrency,
    allow: parseCidrs(config.egressAllow.join(',')),
    proxy: config.egressProxy,
    httpsOnly: config.httpsOnly,
    retrySchedule: config.retryScheduleSeconds,
    timeoutMs: config.deliveryTimeoutSeconds * 1000,
    shutdownMs: config.shutdownSeconds * 1000,
    retentionDays: config.retentionDays,
    disableAfterSeconds: config.endpointDisableAfterDays * 86_400,
    decryptSecret: createSecretBox(config.secretEncryptionKeys).decrypt,
    redis,
    metrics,
    log,
  })
}
