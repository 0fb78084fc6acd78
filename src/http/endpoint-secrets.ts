import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import type { Act } from '../database/audit-log.ts'
import type { EndpointSecrets } from '../endpoints/endpoint-secrets.ts'
import { auditName } from '../tenants/audit-name.ts'
import type { ApiEnv, Authenticate } from './authenticate.ts'
import { rotateInput } from './endpoint-input.ts'
import { endpointOf, endpointParams, endpointTags } from './endpoints.ts'
import { presentSecrets } from './present.ts'
import { settingsBody } from './request-body.ts'
import { json, OF_BODY, problems } from './responses.ts'
import { secretsSchema } from './schemas.ts'

export function addEndpointSecretRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    secrets: EndpointSecrets
    audit: (act: Act) => Promise<void>
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { secrets, audit, authenticate, tenantOfPath } = options
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
    const live = await secrets.list(c.get('tenant').id, id)
    // Before the answer: nobody sees a secret without leaving a trace.
    await audit(actOf(c, id, 'show_secret'))
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

const actOf = (c: Context<ApiEnv>, endpointId: string, action: string): Act => ({
  who: auditName(c.get('caller')),
  action,
  targetKind: 'endpoint',
  targetId: endpointId,
  tenantId: c.get('tenant').id,
})
