import { createRoute, type RouteConfig, type RouteHandler } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { Scope } from '../postgres/schema.ts'
import { type ApiEnv, type App, type Authenticate, ofNoTenant } from './authenticate.ts'
import { settingsBody } from './request-body.ts'

/** What every route has in common: who asks, about which tenant, and when it is their turn. */
export interface Frame {
  authenticate: Authenticate
  tenantOfPath: MiddlewareHandler<ApiEnv>
  inTurn: MiddlewareHandler<ApiEnv>
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
        ...(isHeavy ? [options.inTurn] : []),
      ]
      const route = createRoute({ ...config, middleware } as RouteConfig)
      app.openapi(route, ((c: never) => answer(c, options)) as never)
    }
}

/** The routes of a noun as one. */
export const addingRoutes =
  <Options>(routes: readonly AddRoutes<Options>[]): AddRoutes<Options> =>
  (app, options) => {
    for (const add of routes) add(app, options)
  }
