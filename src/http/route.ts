import { createRoute, type RouteConfig, type RouteHandler } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { Scope } from '../postgres/schema.ts'
import { type ApiEnv, type App, type Authenticate, ofNoTenant } from './authenticate.ts'
import { settingsBody } from './request-body.ts'

/** What every route has in common: who asks, about which tenant, and how many at once. */
export interface Frame {
  authenticate: Authenticate
  tenantOfPath: MiddlewareHandler<ApiEnv>
  /** Lets a request that reads a lot wait for its turn. */
  limitHeavy: MiddlewareHandler<ApiEnv>
}

/** What is asked before a route. */
type Guards = (frame: Frame) => MiddlewareHandler<ApiEnv>[]

/** Keys with this scope, about the tenant of the path. */
export const ofTenant =
  (scope: Scope): Guards =>
  ({ authenticate, tenantOfPath }) => [authenticate(scope), tenantOfPath]

/** Keys with this scope. */
export const ofScope =
  (scope: Scope): Guards =>
  ({ authenticate }) => [authenticate(scope)]

/** Keys with this scope that are not of one tenant, about the tenant of the path. */
export const ofOperatorsAbout =
  (scope: Scope): Guards =>
  ({ authenticate, tenantOfPath }) => [authenticate(scope), ofNoTenant, tenantOfPath]

/** Keys with this scope that are not of one tenant. */
export const ofOperators =
  (scope: Scope): Guards =>
  ({ authenticate }) => [authenticate(scope), ofNoTenant]

type Described = Omit<RouteConfig, 'path' | 'request' | 'responses' | 'middleware'>

type Requested = NonNullable<RouteConfig['request']>

type Handler<Path extends string, Request extends Requested, Responses> = RouteHandler<
  Described & { path: Path; request: Request; responses: Responses & RouteConfig['responses'] },
  ApiEnv
>

interface Answered<Path extends string, Request extends Requested, Responses, Options> {
  path: Path
  request: Request
  responses: Responses
  guards: Guards
  /** Whether it reads a lot, and waits for its turn. */
  isHeavy?: boolean
  answer(
    c: Parameters<Handler<Path, Request, Responses>>[0],
    options: Options,
  ): ReturnType<Handler<Path, Request, Responses>>
}

/** Adds routes to the API. */
export type AddRoutes<Options> = (app: App, options: Options & Frame) => void

/**
 * Makes the routes of a noun: each says who may call it, what the document says of it, and how it is answered. What
 * comes in has been parsed by the schemas of the document before.
 */
export function routesFor<Options>() {
  return <
    const Path extends string,
    Request extends Requested,
    Responses extends RouteConfig['responses'],
  >({
    guards,
    isHeavy = false,
    answer,
    ...config
  }: Described & Answered<Path, Request, Responses, Options>): AddRoutes<Options> =>
    (app, options) => {
      // In this order: a body that comes slowly holds up nobody.
      const middleware = [
        ...guards(options),
        ...(config.request.body ? [settingsBody] : []),
        ...(isHeavy ? [options.limitHeavy] : []),
      ]
      const route = createRoute({ ...config, middleware } as RouteConfig)
      app.openapi(route, ((c: never) => answer(c, options)) as never)
    }
}

interface AnsweredFromText<Options, Env extends ApiEnv> extends Described {
  path: string
  request: Requested
  responses: RouteConfig['responses']
  /** All that comes before the answer, in order. */
  guards: (
    options: Options & Frame,
  ) => readonly (MiddlewareHandler<ApiEnv> | MiddlewareHandler<Env>)[]
  answer(c: Context<Env>, options: Options): Promise<Response>
}

/**
 * Routes that read the body themselves, because the text as it came is what is stored or matched. The document
 * describes the body; the framework does not parse it a second time.
 */
export function textRoutesFor<Options, Env extends ApiEnv = ApiEnv>() {
  return ({ guards, answer, ...config }: AnsweredFromText<Options, Env>): AddRoutes<Options> =>
    (app, options) => {
      const route = createRoute(config)
      app.openAPIRegistry.registerPath(route)
      const handlers = [...guards(options), (c: Context<Env>) => answer(c, options)]
      app.on(route.method, [route.getRoutingPath()], ...(handlers as MiddlewareHandler[]))
    }
}

/** The routes of a noun as one. */
export const addingRoutes =
  <Options>(routes: readonly AddRoutes<Options>[]): AddRoutes<Options> =>
  (app, options) => {
    for (const add of routes) add(app, options)
  }
