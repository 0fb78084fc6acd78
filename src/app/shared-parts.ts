import packageJson from '../../package.json' with { type: 'json' }
import type { Config } from '../config.ts'
import { connectRedis, type Redis } from '../limits/redis.ts'
import type { Log } from '../log.ts'
import { createMetrics, type Metrics } from '../metrics.ts'

/** What there is one of in a process, whatever it serves. */
export interface SharedParts {
  log: Log
  redis: Redis
  metrics: Metrics
}

export async function createSharedParts(config: Config, log: Log): Promise<SharedParts> {
  const redis = await connectRedis({ url: config.redisUrl, log })
  const metrics = createMetrics({ version: packageJson.version })
  metrics.watchRedis(redis)
  return { log, redis, metrics }
}
