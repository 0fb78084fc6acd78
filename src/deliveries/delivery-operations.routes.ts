import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import type { Deliveries } from './deliveries.ts'
import { deliverySchema, presentDelivery } from './delivery.fields.ts'
import { deliveryOf } from './delivery.routes.ts'
import type { DeliveryOperations } from './delivery-operations.ts'

const tags = ['Deliveries']

interface Options {
  deliveries: Pick<Deliveries, 'find'>
  deliveryOperations: DeliveryOperations
}

const route = routesFor<Options>()
const request = { params: z.object({ tenant: z.string(), id: z.string() }) }

const retry = route({
  method: 'post',
  tags,
  request,
  path: '/api/tenants/{tenant}/deliveries/{id}/retry',
  summary: 'Retry delivery',
  description: 'Retries now. A finished delivery is reopened, and its schedule restarts.',
  responses: {
    202: json(deliverySchema, 'The attempt is due now.'),
    ...problems(404, 409),
  },
  guards: ofTenant('manage'),
  async answer(c, { deliveries, deliveryOperations }) {
    const id = deliveryOf(c.req.valid('param'))
    const tenantId = c.get('tenant').id
    await deliveryOperations.retry(tenantId, id, auditName(c.get('caller')))
    return c.json(presentDelivery(await deliveries.find(tenantId, id)), 202)
  },
})

const cancel = route({
  method: 'post',
  tags,
  request,
  path: '/api/tenants/{tenant}/deliveries/{id}/cancel',
  summary: 'Cancel delivery',
  description: 'Cancels an open delivery. An attempt in progress still finishes.',
  responses: {
    200: json(deliverySchema, 'Cancelled. An attempt can be in progress.'),
    ...problems(404, 409),
  },
  guards: ofTenant('manage'),
  async answer(c, { deliveries, deliveryOperations }) {
    const id = deliveryOf(c.req.valid('param'))
    const tenantId = c.get('tenant').id
    await deliveryOperations.cancel(tenantId, id, auditName(c.get('caller')))
    return c.json(presentDelivery(await deliveries.find(tenantId, id)), 200)
  },
})

export const addDeliveryOperationRoutes = addingRoutes([retry, cancel])
