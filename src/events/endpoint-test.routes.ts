import { z } from '@hono/zod-openapi'
import { attemptSchema, presentAttempt } from '../attempts/attempt.fields.ts'
import { deliverySchema, presentDelivery } from '../deliveries/delivery.fields.ts'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { eventType } from './event-input.ts'
import { TEST_TYPE, type TestEndpoint } from './test-endpoint.ts'

const input = z
  .strictObject({
    type: eventType.optional().openapi({ default: TEST_TYPE, example: TEST_TYPE }),
    data: z
      .unknown()
      .optional()
      .refine((data) => data !== null, 'is null')
      .openapi({ description: 'Any JSON except null. Default: an example.' }),
  })
  .openapi('TestEvent')

const outcomeSchema = attemptSchema
  .extend({ eventId: z.uuid(), deliveryId: z.uuid() })
  .openapi('TestAttempt')

interface Options {
  testEndpoint: TestEndpoint
}

const route = routesFor<Options>()

const test = route({
  method: 'post',
  path: '/api/tenants/{tenant}/endpoints/{id}/test',
  summary: 'Send test event',
  tags: endpointTags,
  request: {
    params: endpointParams,
    body: jsonBody(input),
  },
  responses: {
    200: json(outcomeSchema, 'The attempt, whatever came of it; there is only this one.'),
    202: json(deliverySchema, 'In progress: look at the delivery.'),
    ...problems(404, 409, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  async answer(c, { testEndpoint }) {
    const tenantId = c.get('tenant').id
    const id = endpointOf(c.req.valid('param'))
    const { type, data } = c.req.valid('json')
    const of = { type, data, signal: c.req.raw.signal }
    const { delivery, attempt } = await testEndpoint(tenantId, id, of)
    if (!attempt) return c.json(presentDelivery(delivery), 202)
    const ids = { eventId: delivery.event_id, deliveryId: delivery.id }
    return c.json({ ...presentAttempt(attempt, c.get('caller')), ...ids }, 200)
  },
})

export const addEndpointTestRoute = addingRoutes([test])
