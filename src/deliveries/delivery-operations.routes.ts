import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { auditName } from '../access/caller.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { presentDelivery } from '../http/present.ts'
import { json, problems } from '../http/responses.ts'
import { deliverySchema } from '../http/schemas.ts'
import type { Deliveries } from './deliveries.ts'
import { deliveryOf } from './delivery.routes.ts'
import type { DeliveryOperations } from './delivery-operations.ts'

const tags = ['Deliveries']

export function addDeliveryOperationRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    deliveries: Pick<Deliveries, 'find'>
    deliveryOperations: DeliveryOperations
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { deliveries, deliveryOperations, authenticate, tenantOfPath } = options
  const middleware = [authenticate('manage'), tenantOfPath]
  const request = { params: z.object({ tenant: z.string(), id: z.string() }) }

  const retry = createRoute({
    method: 'post',
    tags,
    middleware,
    request,
    path: '/api/tenants/{tenant}/deliveries/{id}/retry',
    summary: 'Make the next attempt at once; a finished delivery is reopened',
    responses: {
      202: json(deliverySchema, 'The attempt is due now.'),
      ...problems(404, 409),
    },
  })
  app.openapi(retry, async (c) => {
    const id = deliveryOf(c.req.valid('param'))
    const tenantId = c.get('tenant').id
    await deliveryOperations.retry(tenantId, id, auditName(c.get('caller')))
    return c.json(presentDelivery(await deliveries.find(tenantId, id)), 202)
  })

  const cancel = createRoute({
    method: 'post',
    tags,
    middleware,
    request,
    path: '/api/tenants/{tenant}/deliveries/{id}/cancel',
    summary: 'End an open delivery; an attempt that has begun is finished anyway',
    responses: {
      200: json(deliverySchema, 'It is cancelled; an attempt may be on the wire.'),
      ...problems(404, 409),
    },
  })
  app.openapi(cancel, async (c) => {
    const id = deliveryOf(c.req.valid('param'))
    const tenantId = c.get('tenant').id
    await deliveryOperations.cancel(tenantId, id, auditName(c.get('caller')))
    return c.json(presentDelivery(await deliveries.find(tenantId, id)), 200)
  })
}
