import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { eventTypePattern } from '../endpoints/endpoint-input.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage, timeRange } from '../http/pages.ts'
import { presentDelivery, presentDeliveryWithAttempts } from '../http/present.ts'
import { json, problems } from '../http/responses.ts'
import { deliverySchema, deliveryWithAttemptsSchema, reasonSchema } from '../http/schemas.ts'
import { type DeliveryId, deliveryId, endpointId, eventId } from '../ids.ts'
import { type Deliveries, DeliveryNotFound } from './deliveries.ts'

const tags = ['Deliveries']
const uuid = { type: 'string', format: 'uuid' } as const
const listQuery = pageQuery(deliveryId).extend({
  ...timeRange,
  state: deliverySchema.shape.state.optional(),
  endpointId: endpointId.optional().openapi(uuid),
  eventId: eventId.optional().openapi(uuid),
  type: eventTypePattern.optional().openapi({
    description: 'Type of the event: a name, or a pattern such as order.*',
  }),
  statusClass: z
    .enum(['2', '3', '4', '5'])
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', description: '4: the last attempt was answered 4xx.' }),
  reason: reasonSchema
    .optional()
    .openapi({ param: { description: 'Why the last attempt did not deliver.' } }),
})

/** Up to 16 KiB an attempt, and 200 attempts. */
export const answersQuery = z.enum(['true', 'false']).optional().openapi({
  description:
    'false leaves out what receivers answered: `responseHeaders` and `responseBody` are null.',
})

export function addDeliveryRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    deliveries: Deliveries
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
    inTurn: MiddlewareHandler<ApiEnv>
  },
): void {
  const { deliveries, authenticate, tenantOfPath, inTurn } = options
  const middleware = [authenticate('read'), tenantOfPath, inTurn]

  const list = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/deliveries',
    summary: 'List or filter deliveries, newest first',
    tags,
    middleware,
    request: { params: z.object({ tenant: z.string() }), query: listQuery },
    responses: { 200: json(pageSchema(deliverySchema), 'A page.'), ...problems(404, 422) },
  })
  app.openapi(list, async (c) => {
    const { id } = c.get('tenant')
    const { limit, cursor, ...filter } = c.req.valid('query')
    const read = (page: { limit: number; before: DeliveryId | null }) =>
      deliveries.list(id, { ...filter, ...page })
    return c.json(await readPage({ limit, cursor }, read, presentDelivery), 200)
  })

  const get = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/deliveries/{id}',
    summary: 'Show a delivery with its attempts',
    tags,
    middleware,
    request: {
      params: z.object({ tenant: z.string(), id: z.string() }),
      query: z.strictObject({ answers: answersQuery }),
    },
    responses: { 200: json(deliveryWithAttemptsSchema, 'The delivery.'), ...problems(404, 422) },
  })
  app.openapi(get, async (c) => {
    const withAnswers = c.req.valid('query').answers !== 'false'
    const id = deliveryOf(c.req.valid('param'))
    const delivery = await deliveries.get(c.get('tenant').id, id, { withAnswers })
    return c.json(presentDeliveryWithAttempts(delivery, c.get('caller')), 200)
  })
}

/** What is no id at all names no delivery either. */
export function deliveryOf({ id }: { id: string }): DeliveryId {
  const parsed = deliveryId.safeParse(id)
  if (!parsed.success) throw new DeliveryNotFound()
  return parsed.data
}
