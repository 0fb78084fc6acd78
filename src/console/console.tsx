import { Hono } from 'hono'
import { csrf } from 'hono/csrf'
import type { createAttemptRates } from '../attempts/attempt-rates.ts'
import type { createRunnerList } from '../database/runner-list.ts'
import type { createTroubledEndpoints } from '../endpoints/troubled-endpoints.ts'
import type { createBacklog } from '../events/backlog.ts'
import type { AttemptLimiter } from '../limits/request-limiter.ts'
import type { Log } from '../log.ts'
import type { ApiKeys } from '../tenants/api-keys.ts'
import type { Sessions } from '../tenants/sessions.ts'
import { loadAssets } from './assets.ts'
import { CONSOLE_PATH } from './console-path.ts'
import { createRenderPage, type Place } from './layout.tsx'
import { answerMistakes } from './mistakes.tsx'
import { addOverviewPage } from './pages/overview.tsx'
import { securityHeaders } from './security-headers.ts'
import { addSignInRoutes } from './sign-in.tsx'
import { type CallApi, type PageEnv, requireViewer, sessionCookie } from './viewer.ts'

const PLACES: readonly Place[] = [{ name: 'Overview', path: CONSOLE_PATH }]

/** Services see every tenant: whoever signs in is an operator. */
export interface ConsoleOptions {
  log: Pick<Log, 'error'>
  callApi: CallApi
  apiKeys: Pick<ApiKeys, 'verify'>
  sessions: Sessions
  signInLimiter: AttemptLimiter
  ratesOf: ReturnType<typeof createAttemptRates>
  backlogOf: ReturnType<typeof createBacklog>
  listRunners: ReturnType<typeof createRunnerList>
  troubledEndpoints: ReturnType<typeof createTroubledEndpoints>
}

/** The pages of operators, to be mounted at `CONSOLE_PATH`. */
export function createConsole(options: ConsoleOptions): Hono<PageEnv> {
  const app = new Hono<PageEnv>()
  const assets = loadAssets(`${CONSOLE_PATH}/assets`)
  const render = createRenderPage({
    assets,
    label: 'console',
    home: CONSOLE_PATH,
    places: PLACES,
    signOut: `${CONSOLE_PATH}/sign-out`,
  })
  const cookie = sessionCookie('console')
  const shared = { ...options, render }

  app.use(securityHeaders())
  app.use(csrf())
  assets.addRoutes(app)
  addSignInRoutes(app, { ...shared, cookie })
  app.use(requireViewer({ ...options, area: 'console', cookie, signIn: `${CONSOLE_PATH}/sign-in` }))
  addOverviewPage(app, shared)
  answerMistakes(app, shared)
  return app
}
