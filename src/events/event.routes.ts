import { z } from '@hono/zod-openapi'
import { auditName, holds } from '../access/caller.ts'
import { inputsOf } from '../fields.ts'
import { pageQuery, pageSchema, readPage, timeRange } from '../http/pages.ts'
import { json, jsonText, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { type EventId, eventId, type TenantId } from '../ids.ts'
import { Problem } from '../problem.ts'
import {
  eventFilters,
  eventSchema,
  eventShowFields,
  eventText,
  eventWithRoutingSchema,
  presentRoute,
} from './event.fields.ts'
import { EventNotFound, type Events, type RevealEvent } from './events.ts'
import type { Routing } from './routing.ts'

const tags = ['Events']
const listQuery = pageQuery(eventId).extend({ ...timeRange, ...inputsOf(eventFilters) })

const NO_REVEAL = 'This needs the scope "reveal".'
const showQuery = z.strictObject(inputsOf(eventShowFields))

interface Options {
  events: Events
  routing: Pick<Routing, 'explain'>
  revealEvent: RevealEvent
}

const eventOf = idOfPath(eventId, EventNotFound)
const route = routesFor<Options>()

const list = route({
  method: 'get',
  path: '/api/tenants/{tenant}/events',
  summary: 'List events',
  description: 'Newest first; the filters combine, and `search` looks for text in the data.',
  tags,
  request: { params: z.object({ tenant: z.string() }), query: listQuery },
  responses: { 200: json(pageSchema(eventSchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { events }) {
    const { id } = c.get('tenant')
    const { limit, cursor, ...filter } = c.req.valid('query')
    const read = (page: { limit: number; before: EventId | null }) =>
      events.list(id, { ...filter, ...page })
    const { data, nextCursor } = await readPage({ limit, cursor }, read, eventText)
    const text = `{"data":[${data.join(',')}],"nextCursor":${JSON.stringify(nextCursor)}}`
    return jsonText(c, text, 200)
  },
})

const get = route({
  method: 'get',
  path: '/api/tenants/{tenant}/events/{id}',
  summary: 'Get event',
  description: 'With its deliveries, and the reason why each endpoint got it or not.',
  tags,
  request: { params: z.object({ tenant: z.string(), id: z.string() }), query: showQuery },
  responses: { 200: json(eventWithRoutingSchema, 'The event.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { events, routing, revealEvent }) {
    const caller = c.get('caller')
    const { reveal } = c.req.valid('query')
    if (reveal && !holds(caller, 'reveal'))
      throw new Problem('scope_missing', { detail: NO_REVEAL })
    const shown = await events.get(c.get('tenant').id, eventOf(c.req.valid('param')))
    const tenantId = shown.tenant_id as TenantId
    const event =
      reveal && shown.isMasked
        ? { ...shown, data: await revealEvent(tenantId, shown.id, auditName(caller)) }
        : shown
    const routes = await routing.explain(tenantId, event.id)
    return jsonText(c, eventText(event, { routing: routes.map(presentRoute) }), 200)
  },
})

export const addEventRoutes = addingRoutes([list, get])
