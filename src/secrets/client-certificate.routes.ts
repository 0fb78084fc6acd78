import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { Problem } from '../problem.ts'
import {
  certificateSchema,
  newCertificateInput,
  presentCertificate,
} from './client-certificate.fields.ts'
import type { ClientCertificates } from './client-certificates.ts'

const path = '/api/tenants/{tenant}/endpoints/{id}/client-certificate'
const tags = endpointTags
interface Options {
  clientCertificates: ClientCertificates
}

const route = routesFor<Options>()

const show = route({
  method: 'get',
  path,
  summary: 'Get client certificate',
  description: 'The certificate that attempts present (mTLS); its key is never returned.',
  tags,
  request: { params: endpointParams },
  responses: { 200: json(certificateSchema, 'What is public of it.'), ...problems(404) },
  guards: ofTenant('read'),
  async answer(c, { clientCertificates }) {
    const id = endpointOf(c.req.valid('param'))
    const found = await clientCertificates.get(c.get('tenant').id, id)
    if (!found) throw new Problem('client_certificate_not_found')
    return c.json(presentCertificate(found), 200)
  },
})

const put = route({
  method: 'put',
  path,
  summary: 'Set client certificate',
  description: 'Sets or replaces the client certificate of an endpoint (mTLS).',
  tags,
  request: {
    params: endpointParams,
    body: { required: true, ...jsonBody(newCertificateInput) },
  },
  responses: {
    200: json(certificateSchema, 'New attempts present it.'),
    ...problems(404, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  async answer(c, { clientCertificates }) {
    const id = endpointOf(c.req.valid('param'))
    return c.json(
      presentCertificate(await clientCertificates.set(c.get('tenant').id, id, c.req.valid('json'))),
      200,
    )
  },
})

const remove = route({
  method: 'delete',
  path,
  summary: 'Delete client certificate',
  description: 'New attempts present no client certificate.',
  tags,
  request: { params: endpointParams },
  responses: { 204: { description: 'Deleted.' }, ...problems(404) },
  guards: ofTenant('manage'),
  async answer(c, { clientCertificates }) {
    await clientCertificates.clear(c.get('tenant').id, endpointOf(c.req.valid('param')))
    return c.body(null, 204)
  },
})

export const addClientCertificateRoutes = addingRoutes([show, put, remove])
