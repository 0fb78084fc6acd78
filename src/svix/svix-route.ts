import {
  createRoute,
  type OpenAPIHono,
  type RouteConfig,
  type RouteHandler,
  z,
} from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { Authenticate } from '../http/authenticate.ts'
import { settingsBody } from '../http/request-body.ts'
import { jsonBody } from '../http/responses.ts'
import type { Scope } from '../postgres/schema.ts'
import { ofOrganisation, type SvixEnv } from './svix-caller.ts'
import { svixErrorSchema, svixInvalidSchema } from './svix-refusal.fields.ts'

export const SVIX_PATH = '/api/v1'

export type SvixApp = OpenAPIHono<SvixEnv>

/**
 * Some callers end each path with a slash.
 *
 * Not by a pattern: one that ends with $ takes the square of the slashes in the middle.
 */
export function withoutTrailingSlashes(path: string): string {
  let end = path.length
  while (end > 1 && path[end - 1] === '/') end -= 1
  return path.slice(0, end)
}

/** What an idempotency key belongs to: the path and the query, the same with and without a slash at the end. */
export function keyedUrl(url: string): string {
  const { pathname, search } = new URL(url)
  return `${withoutTrailingSlashes(pathname)}${search}`
}

/** What every route has in common. */
interface SvixFrame {
  authenticate: Authenticate
  applicationOfPath: MiddlewareHandler<SvixEnv>
  /** Lets a request that reads a lot wait for its turn. */
  limitHeavy: MiddlewareHandler
  /** Gives the answer of a request with the same idempotency key again. */
  repeatAnswer: MiddlewareHandler<SvixEnv>
}

/** A body that has to be there. */
export const svixBody = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  ...jsonBody(schema),
})

export function svixJson<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

/** A switch in the query. */
export const svixFlag = z.enum(['true', 'false']).optional()

/** Without a body. */
export const svixNothing = (description: string) => ({ description })

type Requested = NonNullable<RouteConfig['request']>
type Described = Omit<RouteConfig, 'path' | 'request' | 'responses' | 'middleware' | 'tags'> & {
  operationId: string
  summary: string
}

type Handler<Path extends string, Request extends Requested, Responses> = RouteHandler<
  Described & { path: Path; request: Request; responses: Responses & RouteConfig['responses'] },
  SvixEnv
>

interface Who {
  /** What the API key has to be for; null = no key is asked for. */
  scope: Scope | null
  /** `app`: about the application of the path; `organisation`: refused to keys of one tenant; or both. */
  of: 'app' | 'app of the organisation' | 'organisation' | 'any'
  /** Whether it reads a lot, and waits for its turn. */
  isHeavy?: boolean
  /** Whether a POST with an idempotency key is repeated in another way, or not at all. */
  repeatsItself?: boolean
}

interface Answered<Path extends string, Request extends Requested, Responses, Options> extends Who {
  path: Path
  request: Request
  responses: Responses
  answer(
    c: Parameters<Handler<Path, Request, Responses>>[0],
    options: Options,
  ): ReturnType<Handler<Path, Request, Responses>>
}

export type AddSvixRoutes<Options> = (app: SvixApp, options: Options & SvixFrame) => void

/**
 * Makes the routes of a noun: who may call it, what the document says of it, and how it is answered. Schemas ignore
 * members that they do not know, as Svix does: its SDKs send some.
 */
export function svixRoutesFor<Options>() {
  return <
    const Path extends string,
    Request extends Requested,
    Responses extends RouteConfig['responses'],
  >({
    answer,
    ...config
  }: Described & Answered<Path, Request, Responses, Options>): AddSvixRoutes<Options> =>
    (app, options) => {
      const middleware = [
        ...guardsOf(config, options),
        ...(config.request.body ? [settingsBody] : []),
        ...(config.isHeavy ? [options.limitHeavy] : []),
      ]
      const route = createRoute({ ...documented(config), middleware } as RouteConfig)
      app.openapi(route, ((c: never) => answer(c, options)) as never)
    }
}

interface AnsweredFromText<Options> extends Described, Who {
  path: string
  request: Requested
  responses: RouteConfig['responses']
  answer(c: Context<SvixEnv>, options: Options): Promise<Response>
}

/** Routes that read the body themselves, because its text as it came is what is stored. */
export function svixTextRoutesFor<Options>() {
  return ({ answer, ...config }: AnsweredFromText<Options>): AddSvixRoutes<Options> =>
    (app, options) => {
      const route = createRoute(documented(config))
      app.openAPIRegistry.registerPath(route)
      const handlers = [...guardsOf(config, options), (c: Context<SvixEnv>) => answer(c, options)]
      app.on(route.method, [route.getRoutingPath()], ...(handlers as MiddlewareHandler[]))
    }
}

/** The routes of a noun as one. */
export const addingSvixRoutes =
  <Options>(routes: readonly AddSvixRoutes<Options>[]): AddSvixRoutes<Options> =>
  (app, options) => {
    for (const add of routes) add(app, options)
  }

function guardsOf(
  { method, scope, of, repeatsItself = false }: Who & { method: string },
  frame: SvixFrame,
): MiddlewareHandler[] {
  if (scope === null) return []
  return [
    frame.authenticate(scope) as MiddlewareHandler,
    ...(of.endsWith('organisation') ? [ofOrganisation] : []),
    ...(of.startsWith('app') ? [frame.applicationOfPath] : []),
    ...(method === 'post' && !repeatsItself ? [frame.repeatAnswer] : []),
  ] as MiddlewareHandler[]
}

const refusal = (description: string) => svixJson(svixErrorSchema, description)
const REFUSALS = {
  400: refusal('The body cannot be read, or asks for what is not supported.'),
  401: refusal('No valid API key.'),
  403: refusal('The API key does not allow this.'),
  404: refusal('Not found, or not visible to this key.'),
  409: refusal('In conflict with the current state.'),
  413: refusal('The body is too large.'),
  415: refusal('The content type is not JSON.'),
  422: svixJson(svixInvalidSchema, 'Fields are invalid; each is listed.'),
  429: refusal('Too many requests.'),
}

function documented<
  C extends Who & Described & { path: string; responses: RouteConfig['responses'] },
>(config: C): C {
  const { scope, of: _of, isHeavy: _isHeavy, repeatsItself: _repeatsItself, ...described } = config
  const responses = scope === null ? config.responses : { ...REFUSALS, ...config.responses }
  const path = `${SVIX_PATH}${config.path}`
  const tag = config.operationId.split('.').slice(1, -1).join(' ')
  return {
    ...described,
    ...(scope === null && { security: [] }),
    path,
    responses,
    tags: [tag],
  } as never
}
