import { z } from '@hono/zod-openapi'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { type AddRoutes, addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { endpointId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { presentNewSecret } from '../secrets/endpoint-secret.fields.ts'
import {
  endpointInput,
  endpointSchema,
  newEndpointSchema,
  presentEndpoint,
} from './endpoint.fields.ts'
import type { UrlRules } from './endpoint-input.ts'
import type { Endpoints } from './endpoints.ts'

export const endpointTags = ['Endpoints']
export const endpointParams = z.object({ tenant: z.string(), id: z.string() })
const tenantParams = z.object({ tenant: z.string() })

interface Options extends UrlRules {
  endpoints: Endpoints
}

export const endpointOf = idOfPath(endpointId, EndpointNotFound)
const route = routesFor<Options>()
const collection = { path: '/api/tenants/{tenant}/endpoints', tags: endpointTags } as const
const single = { path: '/api/tenants/{tenant}/endpoints/{id}', tags: endpointTags } as const

type Input = ReturnType<typeof endpointInput>

const create = (input: Input['create']) =>
  route({
    ...collection,
    method: 'post',
    summary: 'Create endpoint',
    description: 'The signing secret is in the response.',
    request: { params: tenantParams, body: { required: true, ...jsonBody(input) } },
    responses: {
      201: json(newEndpointSchema, 'The endpoint, with its signing secret.'),
      ...problems(404, ...OF_BODY),
    },
    guards: ofTenant('manage'),
    async answer(c, { endpoints }) {
      const { endpoint, secret } = await endpoints.create(c.get('tenant').id, c.req.valid('json'))
      return c.json({ ...presentEndpoint(endpoint), ...presentNewSecret(secret) }, 201)
    },
  })

const list = route({
  ...collection,
  method: 'get',
  summary: 'List endpoints',
  description: 'Newest first.',
  request: { params: tenantParams, query: pageQuery(endpointId) },
  responses: { 200: json(pageSchema(endpointSchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  async answer(c, { endpoints }) {
    const { id } = c.get('tenant')
    const read = (page: Parameters<Endpoints['list']>[1]) => endpoints.list(id, page)
    return c.json(await readPage(c.req.valid('query'), read, presentEndpoint), 200)
  },
})

const show = route({
  ...single,
  method: 'get',
  summary: 'Get endpoint',
  request: { params: endpointParams },
  responses: { 200: json(endpointSchema, 'The endpoint.'), ...problems(404) },
  guards: ofTenant('read'),
  async answer(c, { endpoints }) {
    const endpoint = await endpoints.get(c.get('tenant').id, endpointOf(c.req.valid('param')))
    return c.json(presentEndpoint(endpoint), 200)
  },
})

const change = (input: Input['change']) =>
  route({
    ...single,
    method: 'patch',
    summary: 'Update endpoint',
    description: 'Changes the members that are given.',
    request: { params: endpointParams, body: { required: true, ...jsonBody(input) } },
    responses: { 200: json(endpointSchema, 'As it is now.'), ...problems(404, ...OF_BODY) },
    guards: ofTenant('manage'),
    async answer(c, { endpoints }) {
      const id = endpointOf(c.req.valid('param'))
      const endpoint = await endpoints.change(c.get('tenant').id, id, c.req.valid('json'))
      return c.json(presentEndpoint(endpoint), 200)
    },
  })

const remove = route({
  ...single,
  method: 'delete',
  summary: 'Delete endpoint',
  description: 'Cancels its open deliveries.',
  request: { params: endpointParams },
  responses: { 204: { description: 'Deleted.' }, ...problems(404) },
  guards: ofTenant('manage'),
  async answer(c, { endpoints }) {
    await endpoints.delete(c.get('tenant').id, endpointOf(c.req.valid('param')))
    return c.body(null, 204)
  },
})

export const addEndpointRoutes: AddRoutes<Options> = (app, options) => {
  const input = endpointInput(options)
  const routes = [create(input.create), list, show, change(input.change), remove]
  addingRoutes(routes)(app, options)
}
