import type { Endpoints } from '../endpoints/endpoints.ts'
import {
  presentSvixHeaders,
  svixHeadersInput,
  svixHeadersPatch,
  svixHeadersSchema,
} from './svix-endpoint.fields.ts'
import { endpointOfPath, svixEndpointParams } from './svix-endpoint.routes.ts'
import type { SvixEndpoints } from './svix-endpoints.ts'
import { addingSvixRoutes, svixBody, svixJson, svixNothing, svixRoutesFor } from './svix-route.ts'

interface Options {
  endpoints: Pick<Endpoints, 'get' | 'change'>
  svixEndpoints: Pick<SvixEndpoints, 'find'>
}

const route = svixRoutesFor<Options>()
const headers = { path: '/app/{app_id}/endpoint/{endpoint_id}/headers', of: 'app' } as const

const get = route({
  ...headers,
  method: 'get',
  operationId: 'v1.endpoint.get-headers',
  summary: 'Get endpoint headers',
  scope: 'read',
  request: { params: svixEndpointParams },
  responses: { 200: svixJson(svixHeadersSchema, 'The headers.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    return c.json(presentSvixHeaders(await options.endpoints.get(tenantId, id)), 200)
  },
})

const replace = route({
  ...headers,
  method: 'put',
  operationId: 'v1.endpoint.update-headers',
  summary: 'Update endpoint headers',
  description: 'Replaces all headers.',
  scope: 'manage',
  request: { params: svixEndpointParams, body: svixBody(svixHeadersInput) },
  responses: { 204: svixNothing('Changed.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    await options.endpoints.change(tenantId, id, { headers: c.req.valid('json').headers })
    return c.body(null, 204)
  },
})

const patch = route({
  ...headers,
  method: 'patch',
  operationId: 'v1.endpoint.patch-headers',
  summary: 'Patch endpoint headers',
  scope: 'manage',
  request: { params: svixEndpointParams, body: svixBody(svixHeadersPatch) },
  responses: { 204: svixNothing('Changed.') },
  async answer(c, options) {
    const { tenantId, id } = await endpointOfPath(c, options)
    const { headers: set, deleteHeaders } = c.req.valid('json')
    const removed = Object.fromEntries((deleteHeaders ?? []).map((name) => [name, null]))
    await options.endpoints.change(tenantId, id, {}, { mergeHeaders: { ...removed, ...set } })
    return c.body(null, 204)
  },
})

export const addSvixEndpointHeaderRoutes = addingSvixRoutes([get, replace, patch])
