import { z } from '@hono/zod-openapi'
import { inputsOf } from '../fields.ts'
import { pageQuery, pageSchema, readPage, timeRange } from '../http/pages.ts'
import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { type DeliveryId, deliveryId } from '../ids.ts'
import { type Deliveries, DeliveryNotFound } from './deliveries.ts'
import {
  deliveryFilters,
  deliverySchema,
  deliveryWithAttemptsSchema,
  presentDelivery,
  presentDeliveryWithAttempts,
} from './delivery.fields.ts'

const tags = ['Deliveries']
const listQuery = pageQuery(deliveryId).extend({ ...timeRange, ...inputsOf(deliveryFilters) })

/** Up to 16 KiB an attempt, and 200 attempts. */
export const answersQuery = z.enum(['true', 'false']).optional().openapi({
  description: 'false leaves out the responses: `responseHeaders` and `responseBody` are null.',
})

interface Options {
  deliveries: Deliveries
}

export const deliveryOf = idOfPath(deliveryId, DeliveryNotFound)
const route = routesFor<Options>()

const list = route({
  method: 'get',
  path: '/api/tenants/{tenant}/deliveries',
  summary: 'List deliveries',
  description: 'Newest first; the filters combine.',
  tags,
  request: { params: z.object({ tenant: z.string() }), query: listQuery },
  responses: { 200: json(pageSchema(deliverySchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { deliveries }) {
    const { id } = c.get('tenant')
    const { limit, cursor, ...filter } = c.req.valid('query')
    const read = (page: { limit: number; before: DeliveryId | null }) =>
      deliveries.list(id, { ...filter, ...page })
    return c.json(await readPage({ limit, cursor }, read, presentDelivery), 200)
  },
})

const get = route({
  method: 'get',
  path: '/api/tenants/{tenant}/deliveries/{id}',
  summary: 'Get delivery',
  description: 'With every attempt and its response.',
  tags,
  request: {
    params: z.object({ tenant: z.string(), id: z.string() }),
    query: z.strictObject({ answers: answersQuery }),
  },
  responses: { 200: json(deliveryWithAttemptsSchema, 'The delivery.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { deliveries }) {
    const withAnswers = c.req.valid('query').answers !== 'false'
    const id = deliveryOf(c.req.valid('param'))
    const delivery = await deliveries.get(c.get('tenant').id, id, { withAnswers })
    return c.json(presentDeliveryWithAttempts(delivery, c.get('caller')), 200)
  },
})

export const addDeliveryRoutes = addingRoutes([list, get])
