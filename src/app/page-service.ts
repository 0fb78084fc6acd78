import type { Kysely } from 'kysely'
import { createAttemptRates } from '../attempts/attempt-rates.ts'
import type { ServiceConfig } from '../config.ts'
import { createConsole } from '../console/console.tsx'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { createDatabase, createPool } from '../database/pool.ts'
import { createRunnerList } from '../database/runner-list.ts'
import type { Database } from '../database/schema.ts'
import { createTroubledEndpoints } from '../endpoints/troubled-endpoints.ts'
import { createBacklog } from '../events/backlog.ts'
import { createSignInLimiter } from '../limits/request-limiter.ts'
import { createSessions } from '../tenants/sessions.ts'
import type { createApi } from './api-service.ts'
import type { SharedParts } from './shared-parts.ts'

/** Apart from those of the API, so that somebody who looks through everything slows no producer. */
const PAGE_CONNECTIONS = 3
const PAGE_STATEMENT_MS_MAX = 10_000
const PAGE_SILENCE_MS_MAX = 15_000
/** Nobody mistypes what they paste more often; a key has too many bits to be guessed at any rate. */
const SIGN_INS = { limit: 10, windowSeconds: 60 }

/** Adds the pages for people to the API. A runner never loads this. */
export function addPages(
  config: ServiceConfig,
  { log, redis, metrics }: SharedParts,
  api: ReturnType<typeof createApi>,
) {
  const pool = createPool({
    connectionString: config.databaseUrl,
    max: PAGE_CONNECTIONS,
    applicationName: 'postrider api pages',
    pipeline: true,
    statementTimeoutMs: PAGE_STATEMENT_MS_MAX,
    silenceMsMax: PAGE_SILENCE_MS_MAX,
    onError: (error) => {
      if (!pool.ending) log.warn({ err: error }, 'database.connection_lost')
    },
  })
  metrics.watchPool('pages', pool)
  const database = createDatabase(pool)
  const { app, apiKeys, ownRequests } = api
  app.route(
    CONSOLE_PATH,
    createConsole({
      log,
      callApi: (request, caller) => {
        ownRequests.set(request, caller)
        return app.fetch(request)
      },
      apiKeys,
      sessions: createSessions({ database, apiKeys }),
      signInLimiter: createSignInLimiter({ redis, ...SIGN_INS }),
      ...createReads(database),
    }),
  )
  return { stop: () => pool.end() }
}

/** What the pages of operators show, of every tenant. */
export function createReads(database: Kysely<Database>) {
  return {
    ratesOf: createAttemptRates({ database }),
    backlogOf: createBacklog({ database }),
    listRunners: createRunnerList({ database }),
    troubledEndpoints: createTroubledEndpoints({ database }),
  }
}
