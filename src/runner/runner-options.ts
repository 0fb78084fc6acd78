import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Servers } from '../postgres/servers.ts'
import type { Redis } from '../redis/redis.ts'
import type { Purpose } from '../secrets/secrets.ts'
import type { ParsedCidr } from '../sending/egress.ts'
import type { ThinLinks } from '../sending/thin-link.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface RunnerOptions {
  /** A direct connection: LISTEN and the session of its presence do not pass a transaction pooler. */
  connectionString: string
  /** Watched: one that turns read-only or is overtaken is left at once. */
  servers?: Servers | undefined
  /** What this process belongs to: it sends from no database of another environment. */
  environment?: string | undefined
  /** HTTP requests in flight at most. */
  concurrency: number
  /** Networks that may be dialled although not public. */
  allow: readonly ParsedCidr[]
  /** All receivers but those on loopback are reached through it. */
  proxy?: URL | undefined
  /** Blocks what would go out unencrypted. */
  httpsOnly?: boolean | undefined
  /** Seconds before the 2nd, 3rd, … attempt, for endpoints without their own schedule. */
  retrySchedule: readonly number[]
  /** For endpoints without their own timeout. */
  timeoutMs: number
  /** Attempts that have not ended so long after `stop` are cut off, audited, and handed on. */
  shutdownMs: number
  /** An endpoint that failed for so long without a success is disabled. */
  disableAfterSeconds: number
  /** How long what receivers answered is kept while the database is away; default ten minutes. */
  outageMsMax?: number | undefined
  /** Events, deliveries and attempts are kept so long. */
  retentionDays: number
  decryptSecret(encrypted: string, endpointId: string, purpose: Purpose): string
  /** Where the receiver of a thin event gets the rest. @throws PublicUrlMissing */
  linkOf: ThinLinks['linkOf']
  metrics: Metrics
  /** Null = nothing is traced. */
  tracing: Tracing | null
  /** Shares limits with the other runners, while it is there. */
  redis: Redis
  log: Log
}
