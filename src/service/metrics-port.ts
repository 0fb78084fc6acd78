import type { Config } from '../config/config.ts'
import { withinTime } from '../http/health.ts'
import { startProbes } from '../runner/probes.ts'
import { bind } from './listen.ts'
import type { Services } from './services.ts'
import type { SharedParts } from './shared-parts.ts'

/**
 * Serves the metrics of an API on a separate port, with the probes next to them, where METRICS_PORT says so: what
 * reaches `PORT` from outside then does not reach them.
 *
 * @throws ConfigError when the port is not to be had
 */
export async function startMetricsPort(
  { host, metricsPort: port }: Pick<Config, 'host' | 'metricsPort'>,
  { log, metrics }: Pick<SharedParts, 'log' | 'metrics'>,
  { ready }: Pick<Services, 'ready'>,
): Promise<{ stop: () => Promise<void> }> {
  if (port === undefined) return { stop: async () => undefined }
  const address = { host, port, variable: 'METRICS_PORT' }
  const probes = await bind(
    () => startProbes({ host, port, ready: () => withinTime(ready()), metrics }),
    address,
  )
  log.info({ url: probes.url }, 'metrics.served')
  return { stop: probes.stop }
}
