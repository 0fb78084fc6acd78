import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { auditName } from '../access/caller.ts'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import { rotateInput } from '../endpoints/endpoint-input.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { presentSecrets } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { secretsSchema } from '../http/schemas.ts'
import type { EndpointSecrets, ShowSecrets } from './endpoint-secrets.ts'

export function addEndpointSecretRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    secrets: Pick<EndpointSecrets, 'rotate'>
    showSecrets: ShowSecrets
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { secrets, showSecrets, authenticate, tenantOfPath } = options
  // Who knows the secret can forge requests, so reading it takes more than `read`.
  const managing = [authenticate('manage'), tenantOfPath]

  const show = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/endpoints/{id}/secret',
    summary: 'Show the signing secrets of an endpoint',
    tags: endpointTags,
    middleware: managing,
    request: { params: endpointParams },
    responses: { 200: json(secretsSchema, 'The secrets that sign now.'), ...problems(404) },
  })
  app.openapi(show, async (c) => {
    const id = endpointOf(c.req.valid('param'))
    const live = await showSecrets(c.get('tenant').id, id, auditName(c.get('caller')))
    return c.json(presentSecrets(live), 200)
  })

  const rotate = createRoute({
    method: 'post',
    path: '/api/tenants/{tenant}/endpoints/{id}/secret/rotate',
    summary: 'Replace the signing secret; the old one signs as well for a while',
    tags: endpointTags,
    middleware: [...managing, settingsBody],
    request: {
      params: endpointParams,
      body: { content: { 'application/json': { schema: rotateInput } } },
    },
    responses: {
      200: json(secretsSchema, 'The secrets that sign now.'),
      ...problems(404, 409, ...OF_BODY),
    },
  })
  app.openapi(rotate, async (c) => {
    const id = endpointOf(c.req.valid('param'))
    const live = await secrets.rotate(c.get('tenant').id, id, c.req.valid('json'))
    return c.json(presentSecrets(live), 200)
  })
}
