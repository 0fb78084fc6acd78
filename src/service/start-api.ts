import { once } from '../clock.ts'
import {
  type Config,
  isShortAdminKey,
  type ServiceConfig,
  STRONG_ADMIN_KEY_LENGTH,
} from '../config/config.ts'
import type { Log } from '../log.ts'
import { assertRights } from '../postgres/migrate/assert-rights.ts'
import { assertSchema } from '../postgres/migrate/migrate.ts'
import { openServers, type Servers } from '../postgres/servers.ts'
import { createApi } from './api-app.ts'
import { listen } from './listen.ts'
import { startMetricsPort } from './metrics-port.ts'
import { addPages } from './page-service.ts'
import { openPools } from './pools.ts'
import { createSharedParts, type SharedParts } from './shared-parts.ts'

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
  const servers = await openServers(config.databaseUrl, log)
  starting.defer(() => servers.stop())
  const api = openApi(config, { ...parts, servers })
  starting.defer(api.stop)
  await assertRights(api.pool, 'postrider_api')
  await assertSchema(api.pool)
  const watching = await api.services.adoption.watch()
  starting.defer(watching.stop)
  const http = await listen(config, api.app)
  starting.defer(http.stop)
  starting.defer(() => api.services.liveAttempts.stop())
  starting.defer((await startMetricsPort(config, parts, api.services)).stop)
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

/** API and pages with separate pools, without a port. */
export function openApi(config: ServiceConfig, shared: SharedParts & { servers?: Servers }) {
  const { pools, end } = openPools(config, shared)
  const parts = { ...shared, pools }
  const api = createApi(config, parts)
  addPages(config, parts, api)
  const stop = async () => {
    await Promise.all([api.services.published(), api.services.apiKeys.idle()])
    await end()
  }
  return { ...api, pool: pools.api, stop }
}

/** Production refuses it (NODE_ENV); here somebody may have a reason. */
function warnOfShortKey({ adminKey }: Pick<Config, 'adminKey'>, log: Log): void {
  if (adminKey === undefined || !isShortAdminKey(adminKey)) return
  log.warn({ atLeast: STRONG_ADMIN_KEY_LENGTH }, 'config.admin_key_short')
}
