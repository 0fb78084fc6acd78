import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { pageQuery, readPage } from '../http/pages.ts'
import { presentEndpoint, presentNewSecret } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { endpointSchema, newEndpointSchema, pageSchema } from '../http/schemas.ts'
import { type EndpointId, endpointId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import type { ParsedCidr } from '../sending/egress.ts'
import { endpointInput } from './endpoint-input.ts'
import type { Endpoints } from './endpoints.ts'

export const endpointTags = ['Endpoints']
export const endpointParams = z.object({ tenant: z.string(), id: z.string() })
const ofTenant = z.object({ tenant: z.string() })

export interface EndpointRouteOptions {
  endpoints: Endpoints
  authenticate: Authenticate
  tenantOfPath: MiddlewareHandler<ApiEnv>
  /** Networks that may be dialled although not public. */
  egressAllow: readonly ParsedCidr[]
  /** Whether endpoints with an http URL are refused. */
  httpsOnly: boolean
}

export function addEndpointRoutes(
  app: OpenAPIHono<ApiEnv>,
  { endpoints, authenticate, tenantOfPath, egressAllow, httpsOnly }: EndpointRouteOptions,
): void {
  const input = endpointInput({ egressAllow, httpsOnly })
  const reading = [authenticate('read'), tenantOfPath]
  const managing = [authenticate('manage'), tenantOfPath]
  const collection = { path: '/api/tenants/{tenant}/endpoints', tags: endpointTags } as const
  const single = { path: '/api/tenants/{tenant}/endpoints/{id}', tags: endpointTags } as const

  const create = createRoute({
    ...collection,
    method: 'post',
    summary: 'Create an endpoint',
    middleware: [...managing, settingsBody],
    request: {
      params: ofTenant,
      body: { required: true, content: { 'application/json': { schema: input.create } } },
    },
    responses: {
      201: json(newEndpointSchema, 'The endpoint, with its signing secret.'),
      ...problems(404, ...OF_BODY),
    },
  })
  app.openapi(create, async (c) => {
    const { endpoint, secret } = await endpoints.create(c.get('tenant').id, c.req.valid('json'))
    return c.json({ ...presentEndpoint(endpoint), ...presentNewSecret(secret) }, 201)
  })

  const list = createRoute({
    ...collection,
    method: 'get',
    summary: 'List endpoints, newest first',
    middleware: reading,
    request: { params: ofTenant, query: pageQuery(endpointId) },
    responses: { 200: json(pageSchema(endpointSchema), 'A page.'), ...problems(404, 422) },
  })
  app.openapi(list, async (c) => {
    const { id } = c.get('tenant')
    const read = (page: Parameters<Endpoints['list']>[1]) => endpoints.list(id, page)
    return c.json(await readPage(c.req.valid('query'), read, presentEndpoint), 200)
  })

  const get = createRoute({
    ...single,
    method: 'get',
    summary: 'Show an endpoint',
    middleware: reading,
    request: { params: endpointParams },
    responses: { 200: json(endpointSchema, 'The endpoint.'), ...problems(404) },
  })
  app.openapi(get, async (c) => {
    const endpoint = await endpoints.get(c.get('tenant').id, endpointOf(c.req.valid('param')))
    return c.json(presentEndpoint(endpoint), 200)
  })

  const change = createRoute({
    ...single,
    method: 'patch',
    summary: 'Change an endpoint',
    middleware: [...managing, settingsBody],
    request: {
      params: endpointParams,
      body: { required: true, content: { 'application/json': { schema: input.change } } },
    },
    responses: { 200: json(endpointSchema, 'As it is now.'), ...problems(404, ...OF_BODY) },
  })
  app.openapi(change, async (c) => {
    const id = endpointOf(c.req.valid('param'))
    const endpoint = await endpoints.change(c.get('tenant').id, id, c.req.valid('json'))
    return c.json(presentEndpoint(endpoint), 200)
  })

  const remove = createRoute({
    ...single,
    method: 'delete',
    summary: 'Delete an endpoint and cancel its open deliveries',
    middleware: managing,
    request: { params: endpointParams },
    responses: { 204: { description: 'It is gone.' }, ...problems(404) },
  })
  app.openapi(remove, async (c) => {
    await endpoints.delete(c.get('tenant').id, endpointOf(c.req.valid('param')))
    return c.body(null, 204)
  })
}

/** What is no id at all names no endpoint either. */
export function endpointOf({ id }: { id: string }): EndpointId {
  const parsed = endpointId.safeParse(id)
  if (!parsed.success) throw new EndpointNotFound()
  return parsed.data
}
