import packageJson from '../../package.json' with { type: 'json' }
import type { Config } from '../config/config.ts'
import type { Log } from '../log.ts'
import { createMetrics, type Metrics } from '../metrics.ts'
import { connectRedis, type Redis } from '../redis/redis.ts'
import type { Tracing, TracingOptions } from '../tracing/tracing.ts'

/** What there is one of in a process, whatever it serves. */
export interface SharedParts {
  log: Log
  redis: Redis
  metrics: Metrics
  /** Null = nothing is traced. */
  tracing: Tracing | null
  /** Last of all: what stops before may still log, count and trace. */
  stop(): Promise<void>
}

export async function createSharedParts(config: Config, log: Log): Promise<SharedParts> {
  const redis = await connectRedis({ url: config.redisUrl, log })
  const { version } = packageJson
  const metrics = createMetrics({ version })
  metrics.watchRedis(redis)
  const { otlpEndpoint: endpoint, traceSampleRatio: sampleRatio } = config
  const onLost = (err: Error) => log.warn({ err }, 'traces.lost')
  const tracing = await startTracing({ endpoint, sampleRatio, version, onLost })
  const stop = async () => {
    await Promise.all([redis.stop(), tracing?.stop()])
  }
  return { log, redis, metrics, tracing, stop }
}

/** Null where no receiver is configured: nothing of OpenTelemetry is loaded then, and no span costs anything. */
export async function startTracing(
  options: Omit<TracingOptions, 'endpoint'> & { endpoint: string | undefined },
): Promise<Tracing | null> {
  const { endpoint } = options
  if (endpoint === undefined) return null
  const { createTracing } = await import('../tracing/otlp.ts')
  return createTracing({ ...options, endpoint })
}
