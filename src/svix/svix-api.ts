import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { ApiEnv, App, Authenticate } from '../http/authenticate.ts'
import type { TenantScope } from '../postgres/tenant-scope.ts'
import { addSvixAttemptRoutes } from './messages/svix-attempt.routes.ts'
import { addSvixMessageRoutes } from './messages/svix-message.routes.ts'
import { addSvixPortalRoutes } from './messages/svix-portal.routes.ts'
import { type RepeatedAnswers, repeatAnswer } from './repeated-answers.ts'
import { addSvixApplicationRoutes } from './svix-application.routes.ts'
import type { SvixApplications } from './svix-applications.ts'
import { createApplicationOfPath, type SvixEnv } from './svix-caller.ts'
import { addSvixDocument } from './svix-document.ts'
import { addSvixEndpointRoutes } from './svix-endpoint.routes.ts'
import { addSvixEndpointHeaderRoutes } from './svix-endpoint-headers.routes.ts'
import { addSvixEndpointOperationRoutes } from './svix-endpoint-operations.routes.ts'
import { addSvixEndpointSecretRoutes } from './svix-endpoint-secret.routes.ts'
import {
  answerSvixError,
  refuseSvixInvalid,
  SvixError,
  SvixInvalid,
  svixNotFound,
  svixNotSupported,
} from './svix-error.ts'
import { addSvixEventTypeRoutes } from './svix-event-type.routes.ts'
import { addSvixHealthRoutes } from './svix-health.routes.ts'
import { refusedAt } from './svix-refusals.ts'
import { addingSvixRoutes, SVIX_PATH, type SvixApp, withoutTrailingSlashes } from './svix-route.ts'

/** Every noun adds its routes here. */
const NOUNS = [
  addSvixApplicationRoutes,
  addSvixEventTypeRoutes,
  addSvixEndpointRoutes,
  addSvixEndpointHeaderRoutes,
  addSvixEndpointSecretRoutes,
  addSvixEndpointOperationRoutes,
  addSvixMessageRoutes,
  addSvixAttemptRoutes,
  addSvixPortalRoutes,
  addSvixHealthRoutes,
] as const

type OptionsOf<Add> = Add extends (app: never, options: infer Options) => void
  ? (options: Options) => void
  : never
type All =
  OptionsOf<(typeof NOUNS)[number]> extends (options: infer Options) => void ? Options : never

/** What the routes need, and what their frame is made of. */
export type SvixApiOptions = Omit<All, 'applicationOfPath' | 'repeatAnswer'> & {
  version: string
  authenticate: Authenticate
  limitHeavy: MiddlewareHandler<ApiEnv>
  inTenant: TenantScope['inTenant']
  svixApplications: SvixApplications
  repeatedAnswers: RepeatedAnswers
}

/** Where a request came from, and what it is called in the log: the API knows, and hands it on. */
interface Handed {
  svix: Pick<ApiEnv['Variables'], 'client' | 'requestId'>
}

/** Serves SDKs of Svix below /api/v1. */
export function addSvixApi(app: App, options: SvixApiOptions): void {
  const svix = createSvixApp(options)
  app.all(`${SVIX_PATH}/*`, async (c) => {
    const handed: Handed = { svix: { client: c.get('client'), requestId: c.get('requestId') } }
    const response = await svix.fetch(c.req.raw, { ...(c.env as object), ...handed })
    // A new one, as the headers of an answer may not be changed by who is before.
    return new Response(response.body, response)
  })
}

function createSvixApp(options: SvixApiOptions): SvixApp {
  const app = new OpenAPIHono<SvixEnv>({
    defaultHook: refuseSvixInvalid,
    getPath: (request) => withoutTrailingSlashes(new URL(request.url).pathname),
  })
  app.use(takeOver)
  app.use(refuseNul)
  const frame = {
    ...options,
    applicationOfPath: createApplicationOfPath(options),
    repeatAnswer: repeatAnswer(options.repeatedAnswers),
  }
  addingSvixRoutes<SvixApiOptions>([...NOUNS])(app, frame as never)
  addSvixDocument(app, options.version)
  app.notFound((c) => answerSvixError(refusalOf(c.req.path), c))
  app.onError(answerSvixError)
  return app
}

/** No name, and nothing that is stored, has a NUL: Postgres takes none. */
const refuseNul: MiddlewareHandler<SvixEnv> = async (c, next) => {
  const { pathname, searchParams } = new URL(c.req.url)
  if (pathname.includes('%00')) throw svixNotFound()
  for (const [name, value] of searchParams) {
    if (!value.includes('\0')) continue
    throw new SvixInvalid([{ loc: ['query', name], msg: 'has a NUL', type: 'value_error' }])
  }
  await next()
}

function refusalOf(path: string): SvixError {
  const what = refusedAt(path.slice(SVIX_PATH.length))
  return what === null
    ? new SvixError(404, 'not_found', 'Nothing is found at this path.')
    : svixNotSupported(what)
}

const takeOver: MiddlewareHandler<SvixEnv> = async (c: Context<SvixEnv>, next) => {
  const { svix } = c.env as Handed
  c.set('client', svix.client)
  c.set('requestId', svix.requestId)
  await next()
}
