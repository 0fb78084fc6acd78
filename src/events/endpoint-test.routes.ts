import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { presentAttempt, presentDelivery } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { attemptSchema, deliverySchema } from '../http/schemas.ts'
import { eventType } from './event-input.ts'
import { TEST_TYPE, type TestEndpoint } from './test-endpoint.ts'

const input = z
  .strictObject({
    type: eventType.optional().openapi({ default: TEST_TYPE, example: TEST_TYPE }),
    data: z
      .unknown()
      .optional()
      .refine((data) => data !== null, 'is null')
      .openapi({ description: 'Any JSON except null; an example when left out.' }),
  })
  .openapi('TestEvent')

const outcomeSchema = attemptSchema
  .extend({ eventId: z.uuid(), deliveryId: z.uuid() })
  .openapi('TestAttempt')

export function addEndpointTestRoute(
  app: OpenAPIHono<ApiEnv>,
  options: {
    testEndpoint: TestEndpoint
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { testEndpoint, authenticate, tenantOfPath } = options
  const route = createRoute({
    method: 'post',
    path: '/api/tenants/{tenant}/endpoints/{id}/test',
    summary: 'Send a signed example event and return the attempt',
    tags: endpointTags,
    middleware: [authenticate('manage'), tenantOfPath, settingsBody],
    request: {
      params: endpointParams,
      body: { content: { 'application/json': { schema: input } } },
    },
    responses: {
      200: json(outcomeSchema, 'The attempt, whatever came of it; there is only this one.'),
      202: json(deliverySchema, 'It is under way: look at the delivery.'),
      ...problems(404, 409, ...OF_BODY),
    },
  })

  app.openapi(route, async (c) => {
    const tenantId = c.get('tenant').id
    const id = endpointOf(c.req.valid('param'))
    const { type, data } = c.req.valid('json')
    const of = { type, data, signal: c.req.raw.signal }
    const { delivery, attempt } = await testEndpoint(tenantId, id, of)
    if (!attempt) return c.json(presentDelivery(delivery), 202)
    const ids = { eventId: delivery.event_id, deliveryId: delivery.id }
    return c.json({ ...presentAttempt(attempt, c.get('caller')), ...ids }, 200)
  })
}
