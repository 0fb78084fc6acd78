import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { auditName } from '../access/caller.ts'
import type { UrlRules } from '../endpoints/endpoint-input.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { svixAppParams } from './svix-application.routes.ts'
import type { SvixEnv } from './svix-caller.ts'
import {
  presentSvixEndpoint,
  svixEndpointInput,
  svixEndpointSchema,
} from './svix-endpoint.fields.ts'
import type { SvixEndpoints } from './svix-endpoints.ts'
import { readSvixPage, svixPageQuery, svixPageSchema } from './svix-page.ts'
import {
  type AddSvixRoutes,
  addingSvixRoutes,
  svixBody,
  svixJson,
  svixNothing,
  svixRoutesFor,
} from './svix-route.ts'

interface Options extends UrlRules {
  endpoints: Pick<Endpoints, 'list' | 'get' | 'delete'>
  svixEndpoints: SvixEndpoints
}

const route = svixRoutesFor<Options>()

/** Of every path about an endpoint. */
export const svixEndpointParams = svixAppParams.extend({
  endpoint_id: z.string().openapi({ description: 'Its id or uid.' }),
})

/** What a path about an endpoint is about. @throws EndpointNotFound */
export async function endpointOfPath(
  c: Context<SvixEnv>,
  { svixEndpoints }: { svixEndpoints: Pick<SvixEndpoints, 'find'> },
): Promise<{ tenantId: TenantId; id: EndpointId }> {
  const { id: tenantId } = c.get('app')
  return { tenantId, id: await svixEndpoints.find(tenantId, c.req.param('endpoint_id') ?? '') }
}

const collection = { path: '/app/{app_id}/endpoint', of: 'app' } as const
const single = { path: '/app/{app_id}/endpoint/{endpoint_id}', of: 'app' } as const
const shown = (description: string) => svixJson(svixEndpointSchema, description)

type Input = ReturnType<typeof svixEndpointInput>

const list = route({
  ...collection,
  method: 'get',
  operationId: 'v1.endpoint.list',
  summary: 'List endpoints',
  scope: 'read',
  request: { params: svixAppParams, query: svixPageQuery({ order: 'descending' }) },
  responses: { 200: svixJson(svixPageSchema(svixEndpointSchema), 'A page.') },
  async answer(c, { endpoints }) {
    const { id } = c.get('app')
    const read = (range: Parameters<Endpoints['list']>[1]) => endpoints.list(id, range)
    const query = c.req.valid('query')
    const page = await readSvixPage<Read, Shown, EndpointId>('ep', query, read, presentSvixEndpoint)
    return c.json(page, 200)
  },
})
type Read = Awaited<ReturnType<Endpoints['list']>>[number]
type Shown = ReturnType<typeof presentSvixEndpoint>

const create = (input: Input['create']) =>
  route({
    ...collection,
    method: 'post',
    operationId: 'v1.endpoint.create',
    summary: 'Create endpoint',
    description: 'Requests to it look like those of Svix. `GET …/secret` shows its secret.',
    scope: 'manage',
    request: { params: svixAppParams, body: svixBody(input) },
    responses: { 201: shown('The endpoint.') },
    async answer(c, { svixEndpoints }) {
      const who = auditName(c.get('caller'))
      const made = await svixEndpoints.create(c.get('app').id, c.req.valid('json'), who)
      return c.json(presentSvixEndpoint(made), 201)
    },
  })

const get = route({
  ...single,
  method: 'get',
  operationId: 'v1.endpoint.get',
  summary: 'Get endpoint',
  scope: 'read',
  request: { params: svixEndpointParams },
  responses: { 200: shown('The endpoint.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    return c.json(presentSvixEndpoint(await options.endpoints.get(tenantId, id)), 200)
  },
})

const replace = (input: Input['replace']) =>
  route({
    ...single,
    method: 'put',
    operationId: 'v1.endpoint.update',
    summary: 'Update endpoint',
    description:
      'Replaces all settings: what is left out gets its default. The secret and the headers stay.',
    scope: 'manage',
    request: { params: svixEndpointParams, body: svixBody(input) },
    responses: {
      200: shown('The endpoint.'),
      201: shown('Created, as there was no such endpoint. Its id is new.'),
    },
    async answer(c, { svixEndpoints }) {
      const { id: tenantId } = c.get('app')
      const [values, who] = [c.req.valid('json'), auditName(c.get('caller'))]
      const { endpoint_id: named } = c.req.valid('param')
      const id = await svixEndpoints.find(tenantId, named).catch(nullUnlessOther)
      if (id === null) {
        const made = await svixEndpoints.create(tenantId, values, who)
        return c.json(presentSvixEndpoint(made), 201)
      }
      const changed = await svixEndpoints.replace(tenantId, id, values, who)
      return c.json(presentSvixEndpoint(changed), 200)
    },
  })

const patch = (input: Input['patch']) =>
  route({
    ...single,
    method: 'patch',
    operationId: 'v1.endpoint.patch',
    summary: 'Patch endpoint',
    description: 'Changes the members that are given; null removes a value.',
    scope: 'manage',
    request: { params: svixEndpointParams, body: svixBody(input) },
    responses: { 200: shown('The endpoint.') },
    async answer(c, { svixEndpoints }) {
      const { tenantId, id } = await endpointOfPath(c, { svixEndpoints })
      const who = auditName(c.get('caller'))
      const changed = await svixEndpoints.patch(tenantId, id, c.req.valid('json'), who)
      return c.json(presentSvixEndpoint(changed), 200)
    },
  })

const remove = route({
  ...single,
  method: 'delete',
  operationId: 'v1.endpoint.delete',
  summary: 'Delete endpoint',
  description: 'Cancels its open deliveries. Its uid is free at once.',
  scope: 'manage',
  request: { params: svixEndpointParams },
  responses: { 204: svixNothing('Deleted.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    await options.endpoints.delete(tenantId, id)
    return c.body(null, 204)
  },
})

export const addSvixEndpointRoutes: AddSvixRoutes<Options> = (app, options) => {
  const input = svixEndpointInput(options)
  const routes = [
    list,
    create(input.create),
    get,
    replace(input.replace),
    patch(input.patch),
    remove,
  ]
  addingSvixRoutes(routes)(app, options)
}

function nullUnlessOther(error: unknown): null {
  if (error instanceof EndpointNotFound) return null
  throw error
}
