import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { eventTypePattern } from '../endpoints/endpoint-input.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage, timeRange } from '../http/pages.ts'
import { eventText, presentRoute } from '../http/present.ts'
import { json, jsonText, problems } from '../http/responses.ts'
import { deliverySchema, eventSchema, eventWithRoutingSchema } from '../http/schemas.ts'
import { storableText } from '../http/validation.ts'
import { type EventId, endpointId, eventId, type TenantId } from '../ids.ts'
import { EventNotFound, type Events } from './events.ts'
import type { Routing } from './routing.ts'

const tags = ['Events']
const SEARCH_LENGTH_MAX = 200
const listQuery = pageQuery(eventId).extend({
  ...timeRange,
  type: eventTypePattern
    .optional()
    .openapi({ description: 'A name, or a pattern such as order.*' }),
  endpointId: endpointId.optional().openapi({
    type: 'string',
    format: 'uuid',
    description: 'Only events with a delivery to this endpoint.',
  }),
  state: deliverySchema.shape.state.optional().openapi({
    description: 'Only events with a delivery in this state.',
  }),
  search: storableText(SEARCH_LENGTH_MAX)
    .min(1)
    .optional()
    .openapi({
      description:
        'An id of an event or delivery, or an idempotency key, whenever it was; otherwise text in the data of ' +
        'the time from since to until, by default the last day, at most 31.',
    }),
})

export function addEventRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    events: Events
    routing: Pick<Routing, 'explain'>
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
    inTurn: MiddlewareHandler<ApiEnv>
  },
): void {
  const { events, routing, authenticate, tenantOfPath, inTurn } = options
  const middleware = [authenticate('read'), tenantOfPath, inTurn]

  const list = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/events',
    summary: 'List, filter or search events, newest first',
    tags,
    middleware,
    request: { params: z.object({ tenant: z.string() }), query: listQuery },
    responses: { 200: json(pageSchema(eventSchema), 'A page.'), ...problems(404, 422) },
  })
  app.openapi(list, async (c) => {
    const { id } = c.get('tenant')
    const { limit, cursor, ...filter } = c.req.valid('query')
    const read = (page: { limit: number; before: EventId | null }) =>
      events.list(id, { ...filter, ...page })
    const { data, nextCursor } = await readPage({ limit, cursor }, read, eventText)
    const text = `{"data":[${data.join(',')}],"nextCursor":${JSON.stringify(nextCursor)}}`
    return jsonText(c, text, 200)
  })

  const get = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/events/{id}',
    summary: 'Show an event with its deliveries, and why each endpoint got it or not',
    tags,
    middleware,
    request: { params: z.object({ tenant: z.string(), id: z.string() }) },
    responses: { 200: json(eventWithRoutingSchema, 'The event.'), ...problems(404) },
  })
  app.openapi(get, async (c) => {
    const event = await events.get(c.get('tenant').id, eventOf(c.req.valid('param')))
    const routes = await routing.explain(event.tenant_id as TenantId, event.id)
    return jsonText(c, eventText(event, { routing: routes.map(presentRoute) }), 200)
  })
}

/** What is no id at all names no event either. */
function eventOf({ id }: { id: string }): EventId {
  const parsed = eventId.safeParse(id)
  if (!parsed.success) throw new EventNotFound()
  return parsed.data
}
