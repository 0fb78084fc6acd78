import { z } from '@hono/zod-openapi'
import { type Readiness, withinTime } from '../http/health.ts'
import { addingSvixRoutes, svixJson, svixNothing, svixRoutesFor } from './svix-route.ts'

interface Options {
  ready: () => Promise<Readiness>
}

const route = svixRoutesFor<Options>()

const part = z.object({ status: z.string().openapi({ example: 'ok' }) })
const healthSchema = z
  .object({ database: part, queue: part, cache: part })
  .openapi('HealthCheckOut')

const health = route({
  method: 'get',
  path: '/health',
  operationId: 'v1.health.get',
  summary: 'Get health',
  scope: null,
  of: 'any',
  request: {},
  responses: {
    200: svixJson(healthSchema, 'The service accepts requests.'),
    503: svixJson(healthSchema, 'Not now.'),
  },
  async answer(c, { ready }) {
    const { ready: isReady, checks } = await withinTime(ready())
    const { redis = 'off' } = checks
    const status = isReady ? 'ok' : 'error'
    const cache = redis === 'down' ? 'error' : 'ok'
    // The queue is in the database.
    const shown = { database: { status }, queue: { status }, cache: { status: cache } }
    return c.json(shown, isReady ? 200 : 503)
  },
})

const ping = route({
  method: 'get',
  path: '/health/ping',
  operationId: 'v1.health.ping',
  summary: 'Ping',
  scope: null,
  of: 'any',
  request: {},
  responses: { 204: svixNothing('The service responds.') },
  answer: async (c) => c.body(null, 204),
})

export const addSvixHealthRoutes = addingSvixRoutes([health, ping])
