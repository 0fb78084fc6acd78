import { auditName } from '../access/caller.ts'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { presentSecrets, rotateInput, secretsSchema } from './endpoint-secret.fields.ts'
import type { EndpointSecrets, ShowSecrets } from './endpoint-secrets.ts'

interface Options {
  secrets: Pick<EndpointSecrets, 'rotate'>
  showSecrets: ShowSecrets
}

const route = routesFor<Options>()
/** Who knows the secret can forge requests, so reading it takes more than `read`. */
const show = route({
  method: 'get',
  path: '/api/tenants/{tenant}/endpoints/{id}/secret',
  summary: 'List signing secrets',
  description: 'Every secret that signs for the endpoint at present.',
  tags: endpointTags,
  request: { params: endpointParams },
  responses: { 200: json(secretsSchema, 'The secrets that sign now.'), ...problems(404, 409) },
  guards: ofTenant('manage'),
  async answer(c, { showSecrets }) {
    const id = endpointOf(c.req.valid('param'))
    const live = await showSecrets(c.get('tenant').id, id, auditName(c.get('caller')))
    return c.json(presentSecrets(live), 200)
  },
})

const rotate = route({
  method: 'post',
  path: '/api/tenants/{tenant}/endpoints/{id}/secret/rotate',
  summary: 'Rotate signing secret',
  description:
    'Replaces the signing secret. The old one also signs for a while, so that receivers have time to change. One that no key of the service opens ends at once.',
  tags: endpointTags,
  request: { params: endpointParams, body: jsonBody(rotateInput) },
  responses: {
    200: json(secretsSchema, 'The secrets that sign now.'),
    ...problems(404, 409, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  async answer(c, { secrets }) {
    const id = endpointOf(c.req.valid('param'))
    const live = await secrets.rotate(c.get('tenant').id, id, c.req.valid('json'))
    return c.json(presentSecrets(live), 200)
  },
})

export const addEndpointSecretRoutes = addingRoutes([show, rotate])
