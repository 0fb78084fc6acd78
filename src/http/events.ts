import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { EventNotFound, type Events } from '../events/events.ts'
import type { Routing } from '../events/routing.ts'
import { type EventId, eventId, type TenantId } from '../ids.ts'
import type { ApiEnv, Authenticate } from './authenticate.ts'
import { pageQuery, readPage } from './pages.ts'
import { eventText, presentRoute } from './present.ts'
import { json, jsonText, problems } from './responses.ts'
import { eventSchema, eventWithRoutingSchema, pageSchema } from './schemas.ts'

const tags = ['Events']

export function addEventRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    events: Events
    routing: Pick<Routing, 'explain'>
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { events, routing, authenticate, tenantOfPath } = options
  const middleware = [authenticate('read'), tenantOfPath]

  const list = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/events',
    summary: 'List events, newest first',
    tags,
    middleware,
    request: { params: z.object({ tenant: z.string() }), query: pageQuery(eventId) },
    responses: { 200: json(pageSchema(eventSchema), 'A page.'), ...problems(404, 422) },
  })
  app.openapi(list, async (c) => {
    const { id } = c.get('tenant')
    const read = (page: Parameters<Events['list']>[1]) => events.list(id, page)
    const { data, nextCursor } = await readPage(c.req.valid('query'), read, eventText)
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
