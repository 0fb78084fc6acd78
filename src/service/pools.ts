import type { Pool } from 'pg'
import type { ServiceConfig } from '../config/config.ts'
import { LANES } from '../events/publish-batch.ts'
import { createOutageNews } from '../postgres/outage.ts'
import { createPool } from '../postgres/pool.ts'
import type { Servers } from '../postgres/servers.ts'
import { watchQueue } from '../queue/queue-metrics.ts'
import type { SharedParts } from './shared-parts.ts'

/** Reads and settings take milliseconds; more would only queue in Postgres instead of here. */
export const API_CONNECTIONS = 8
/**
 * Two lanes each for events with an idempotency key, without, and for the first ones of tenants; three for those that
 * go alone.
 */
const PUBLISH_CONNECTIONS = 9
/** One a lane; a batch of a thousand may take seconds. */
const BATCH_CONNECTIONS = LANES
/** Apart from those of the API, so that somebody who looks through everything slows no producer. */
export const PAGE_CONNECTIONS = 3
/** Requests share a statement: when it takes longer, each is tried again alone. */
const PUBLISH_STATEMENT_MS_MAX = 3_000
const STATEMENT_MS_MAX = 10_000
/** By then a server that is there has at least said that the statement took too long. */
const SILENCE_MS_MAX = 15_000

/** Connections by what they are for, so that one kind of work does not wait for another; tests give one pool to all. */
export interface Pools {
  api: Pool
  publish: Pool
  batch: Pool
  pages: Pool
}

/** The pools of an API; nothing connects before there is a query. */
export function openPools(config: ServiceConfig, shared: SharedParts & { servers?: Servers }) {
  const isNews = createOutageNews()
  const open = (name: string, max: number, options: OwnOptions = {}) =>
    openPool(config, shared, { name, max, isNews, ...options })
  const pools: Pools = {
    api: open('api', API_CONNECTIONS, { pipeline: true }),
    publish: open('publish', PUBLISH_CONNECTIONS, { statementTimeoutMs: PUBLISH_STATEMENT_MS_MAX }),
    batch: open('batch', BATCH_CONNECTIONS),
    pages: open('pages', PAGE_CONNECTIONS, { pipeline: true }),
  }
  watchQueue(shared.metrics.registry, pools.api)
  const end = () => Promise.all(Object.values(pools).map((pool: Pool) => pool.end()))
  return { pools, end }
}

interface OwnOptions {
  pipeline?: true
  statementTimeoutMs?: number
}

interface PoolOptions extends OwnOptions {
  name: string
  max: number
  isNews: (error: unknown) => boolean
}

function openPool(
  config: ServiceConfig,
  { log, metrics, servers }: SharedParts & { servers?: Servers },
  { name, max, isNews, ...options }: PoolOptions,
): Pool {
  const pool = createPool({
    connectionString: config.databaseUrl,
    servers,
    pooled: config.databaseDirectUrl !== undefined,
    max,
    applicationName: name === 'api' ? 'postrider api' : `postrider api ${name}`,
    statementTimeoutMs: STATEMENT_MS_MAX,
    silenceMsMax: SILENCE_MS_MAX,
    // A connection that is closing may still hear that the server is stopping as well.
    onError: (err) => {
      if (!pool.ending && isNews(err)) log.warn({ err }, 'database.connection_lost')
    },
    ...options,
  })
  metrics.watchPool(name, pool)
  return pool
}
