import { z } from '@hono/zod-openapi'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import { attemptSchema } from './attempt.fields.ts'
import type { EndpointStats } from './endpoint-stats.ts'

const milliseconds = z.number().nullable()
const period = z.object({
  attempts: z.int(),
  outcomes: z
    .partialRecord(attemptSchema.shape.outcome, z.int())
    .openapi({ description: 'Outcome → attempts; what did not happen is left out.' }),
  p50Ms: milliseconds,
  p95Ms: milliseconds,
  p99Ms: milliseconds,
})
const statsSchema = z
  .object({
    hour: period,
    day: period,
    countedSince: z.iso.datetime().nullable().openapi({
      description:
        'Set where a busy tenant had more attempts than are looked at: none before count.',
    }),
  })
  .openapi('EndpointStats')

interface Options {
  endpoints: Pick<Endpoints, 'get'>
  endpointStats: (tenantId: TenantId, id: EndpointId) => Promise<EndpointStats>
}

const route = routesFor<Options>()

const show = route({
  method: 'get',
  path: '/api/tenants/{tenant}/endpoints/{id}/stats',
  summary: 'Get endpoint statistics',
  description: 'Outcomes and latency of the last hour and day.',
  tags: endpointTags,
  request: { params: endpointParams },
  responses: { 200: json(statsSchema, 'Attempts that began in that time.'), ...problems(404) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { endpoints, endpointStats }) {
    const { id } = await endpoints.get(c.get('tenant').id, endpointOf(c.req.valid('param')))
    const stats = await endpointStats(c.get('tenant').id, id)
    return c.json({ ...stats, countedSince: stats.countedSince?.toISOString() ?? null }, 200)
  },
})

export const addEndpointStatsRoute = addingRoutes([show])
