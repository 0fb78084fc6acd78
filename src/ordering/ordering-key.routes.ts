import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { endpointSchema, presentEndpoint } from '../endpoints/endpoint.fields.ts'
import { endpointOf } from '../endpoints/endpoint.routes.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { inputsOf } from '../fields.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, ofTenant, routesFor } from '../http/route.ts'
import { type DeliveryId, deliveryId } from '../ids.ts'
import { listedFor } from '../tenants/listed-tenants.ts'
import type { Tenants } from '../tenants/tenants.ts'
import {
  orderingKeyFilterInputs,
  orderingKeySchema,
  orderingListFilters,
  presentOrderingKey,
  skipToFields,
} from './ordering-key.fields.ts'
import type { KeyOf, OrderingKeys } from './ordering-keys.ts'

interface Options {
  orderingKeys: OrderingKeys
  /** Of every tenant. */
  allOrderingKeys: Pick<OrderingKeys, 'list'>
  tenants: Pick<Tenants, 'reservedIds'>
  endpoints: Pick<Endpoints, 'get'>
}
type Paged = { limit: number; before: DeliveryId | null }

const route = routesFor<Options>()
const tags = ['Ordering']
const ENDPOINT = '/api/tenants/{tenant}/endpoints/{id}'
const ONE = `${ENDPOINT}/ordering-keys/{key}` as const
const endpointParams = z.object({ tenant: z.string(), id: z.string() })
const params = endpointParams.extend({ key: z.string() })
const managing = { method: 'post', tags, guards: ofTenant('manage') } as const
const listAllQuery = pageQuery(deliveryId).extend(inputsOf(orderingListFilters))
const skipToInput = z.strictObject(inputsOf(skipToFields)).openapi('SkipTo')

const skippedSchema = z
  .object({
    isDone: z.boolean().openapi({
      description: 'Whether all is done. If false, more is waiting: call it again.',
    }),
  })
  .openapi('Skipped')

const keyOf = (param: { id: string; key: string }): KeyOf => ({
  endpointId: endpointOf(param),
  key: param.key,
})

const listAll = route({
  method: 'get',
  path: '/api/ordering-keys',
  operationId: 'listAllOrderingKeys',
  summary: 'List all ordering keys',
  description: 'Of all tenants, those with open deliveries.',
  tags,
  request: { query: listAllQuery },
  responses: { 200: json(pageSchema(orderingKeySchema), 'A page.'), ...problems(422) },
  guards: ofOperators('read'),
  isHeavy: true,
  async answer(c, { allOrderingKeys, tenants }) {
    const { limit, cursor, ...filter } = c.req.valid('query')
    const listed = await listedFor(c.get('caller'), tenants)
    const read = (page: Paged) => allOrderingKeys.list(listed, { ...filter, ...page })
    return c.json(await readPage({ limit, cursor }, read, presentOrderingKey), 200)
  },
})

const list = route({
  method: 'get',
  path: `${ENDPOINT}/ordering-keys`,
  operationId: 'listOrderingKeys',
  summary: 'List ordering keys',
  description: 'Those with open deliveries to the endpoint, which orders by key.',
  tags,
  request: {
    params: endpointParams,
    query: pageQuery(deliveryId).extend(orderingKeyFilterInputs),
  },
  responses: { 200: json(pageSchema(orderingKeySchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { orderingKeys, endpoints }) {
    const { limit, cursor, ...filter } = c.req.valid('query')
    const [tenantId, endpointId] = [c.get('tenant').id, endpointOf(c.req.valid('param'))]
    await endpoints.get(tenantId, endpointId)
    const read = (page: Paged) => orderingKeys.list(tenantId, { ...filter, ...page, endpointId })
    return c.json(await readPage({ limit, cursor }, read, presentOrderingKey), 200)
  },
})

const get = route({
  method: 'get',
  path: ONE,
  operationId: 'getOrderingKey',
  summary: 'Get ordering key',
  description: 'Which event has its turn, which comes next, and how many wait.',
  tags,
  request: { params },
  responses: { 200: json(orderingKeySchema, 'The key.'), ...problems(404) },
  guards: ofTenant('read'),
  async answer(c, { orderingKeys }) {
    const one = await orderingKeys.get(c.get('tenant').id, keyOf(c.req.valid('param')))
    return c.json(presentOrderingKey(one), 200)
  },
})

const retry = route({
  ...managing,
  path: `${ONE}/retry`,
  operationId: 'retryOrderingKey',
  summary: 'Retry the event whose turn it is',
  description: 'When it is delivered, the next one follows.',
  request: { params },
  responses: { 202: { description: 'An attempt is due now.' }, ...problems(404, 409) },
  async answer(c, { orderingKeys }) {
    const of = keyOf(c.req.valid('param'))
    await orderingKeys.retry(c.get('tenant').id, of, auditName(c.get('caller')))
    return c.body(null, 202)
  },
})

const skip = route({
  ...managing,
  path: `${ONE}/skip`,
  operationId: 'skipOrderingKey',
  summary: 'Skip the event whose turn it is',
  description: 'A failed one stays failed, an open one is cancelled; the next one follows.',
  request: { params },
  responses: { 204: { description: 'Skipped.' }, ...problems(404) },
  async answer(c, { orderingKeys }) {
    const of = keyOf(c.req.valid('param'))
    await orderingKeys.skip(c.get('tenant').id, of, auditName(c.get('caller')))
    return c.body(null, 204)
  },
})

const skipTo = route({
  ...managing,
  path: `${ONE}/skip-to`,
  operationId: 'skipToEvent',
  summary: 'Skip up to an event',
  description: 'Cancels what waits before this event, and skips the one whose turn it is.',
  request: { params, body: { required: true, ...jsonBody(skipToInput) } },
  responses: {
    200: json(skippedSchema, 'Skipped, or a part of it.'),
    ...problems(404, ...OF_BODY),
  },
  async answer(c, { orderingKeys }) {
    const [of, { eventId }] = [keyOf(c.req.valid('param')), c.req.valid('json')]
    const who = auditName(c.get('caller'))
    const isDone = await orderingKeys.skipTo(c.get('tenant').id, of, eventId, who)
    return c.json({ isDone }, 200)
  },
})

const release = route({
  ...managing,
  path: `${ENDPOINT}/release-ordering`,
  operationId: 'releaseOrdering',
  summary: 'Release endpoint from ordering',
  description: 'Sets `ordering` to none and sends what waits, 100 a second.',
  request: { params: endpointParams },
  responses: { 200: json(endpointSchema, 'As it is now.'), ...problems(404) },
  async answer(c, { orderingKeys, endpoints }) {
    const [tenantId, id] = [c.get('tenant').id, endpointOf(c.req.valid('param'))]
    await orderingKeys.release(tenantId, id, auditName(c.get('caller')))
    return c.json(presentEndpoint(await endpoints.get(tenantId, id)), 200)
  },
})

export const addOrderingKeyRoutes = addingRoutes([
  ...[listAll, list, get, retry, skip, skipTo, release],
])
