import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import type { EndpointId } from '../ids.ts'
import { endpointSchema, presentEndpoint } from './endpoint.fields.ts'
import { endpointOf, endpointParams, endpointTags } from './endpoint.routes.ts'
import type { Enabled, EndpointOperations } from './endpoint-operations.ts'
import type { Endpoints } from './endpoints.ts'

const enableInput = z
  .strictObject({
    deliverHeld: z.boolean().optional().openapi({
      default: true,
      description: 'Whether held deliveries are sent; false cancels them.',
    }),
  })
  .openapi('EnableEndpoint')

const time = z.iso.datetime()

const enabledSchema = endpointSchema
  .extend({
    missed: z
      .object({
        since: time.openapi({ description: 'When it was disabled.' }),
        until: time.openapi({ description: 'When it was enabled.' }),
        how: z.string().openapi({ description: 'How to deliver them, for people.' }),
        replay: z
          .object({
            mode: z.literal('missed'),
            endpointId: z.uuid(),
            since: time,
            until: time,
          })
          .openapi({ description: 'The body of `POST …/replays` that delivers them.' }),
      })
      .nullable()
      .openapi({
        description:
          'Events that were published while it was disabled have no delivery to it. Null when it was not disabled, or is not enabled yet.',
      }),
  })
  .openapi('EnabledEndpoint')

interface Options {
  endpoints: Pick<Endpoints, 'get'>
  endpointOperations: EndpointOperations
}

const route = routesFor<Options>()
const common = { method: 'post', tags: endpointTags } as const
const params = endpointParams

const pause = route({
  ...common,
  path: '/api/tenants/{tenant}/endpoints/{id}/pause',
  summary: 'Pause endpoint',
  description: 'Holds its deliveries. Events are still accepted for it.',
  request: { params },
  responses: { 200: json(endpointSchema, 'It is paused.'), ...problems(404, 409) },
  guards: ofTenant('manage'),
  async answer(c, { endpoints, endpointOperations }) {
    const [tenantId, id] = [c.get('tenant').id, endpointOf(c.req.valid('param'))]
    await endpointOperations.pause(tenantId, id, auditName(c.get('caller')))
    return c.json(presentEndpoint(await endpoints.get(tenantId, id)), 200)
  },
})

const resume = route({
  ...common,
  path: '/api/tenants/{tenant}/endpoints/{id}/resume',
  summary: 'Resume endpoint',
  description: 'Resumes a paused endpoint and sends its held deliveries.',
  request: { params },
  responses: { 200: json(endpointSchema, 'It is active.'), ...problems(404, 409) },
  guards: ofTenant('manage'),
  async answer(c, { endpoints, endpointOperations }) {
    const [tenantId, id] = [c.get('tenant').id, endpointOf(c.req.valid('param'))]
    await endpointOperations.resume(tenantId, id, auditName(c.get('caller')))
    return c.json(presentEndpoint(await endpoints.get(tenantId, id)), 200)
  },
})

const enable = route({
  ...common,
  path: '/api/tenants/{tenant}/endpoints/{id}/enable',
  summary: 'Enable endpoint',
  description: 'Enables a disabled endpoint.',
  request: { params, body: jsonBody(enableInput) },
  responses: {
    200: json(enabledSchema, 'It is active.'),
    202: json(enabledSchema, 'Some of what was held is cancelled; call again for the rest.'),
    ...problems(404, 409, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  async answer(c, { endpoints, endpointOperations }) {
    const [tenantId, id] = [c.get('tenant').id, endpointOf(c.req.valid('param'))]
    const who = auditName(c.get('caller'))
    // A request without a body is not parsed, so the schema cannot fill in the default.
    const { deliverHeld = true } = c.req.valid('json')
    const { isDone, missed } = await endpointOperations.enable(tenantId, id, who, { deliverHeld })
    const endpoint = presentEndpoint(await endpoints.get(tenantId, id))
    const answer = { ...endpoint, missed: missed && presentMissed(c.get('tenant').key, id, missed) }
    return c.json(answer, isDone ? 200 : 202)
  },
})

export const addEndpointOperationRoutes = addingRoutes([pause, resume, enable])

function presentMissed(
  tenant: string,
  endpointId: EndpointId,
  missed: NonNullable<Enabled['missed']>,
) {
  const [since, until] = [missed.since.toISOString(), missed.until.toISOString()]
  return {
    since,
    until,
    how: `Events published meanwhile were not kept for it. POST \`replay\` to /api/tenants/${encodeURIComponent(tenant)}/replays to deliver them; with "preview": true it only counts them.`,
    replay: { mode: 'missed' as const, endpointId, since, until },
  }
}
