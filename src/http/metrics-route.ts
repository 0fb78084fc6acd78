import { createRoute, z } from '@hono/zod-openapi'
import type { Metrics } from '../metrics.ts'
import type { App } from './authenticate.ts'

export type HttpMetrics = Pick<Metrics, 'eventsAccepted' | 'requestAnswered' | 'render'>

/**
 * Counts every answer by method, route pattern and status, and serves /metrics. It needs no key, as probes do
 * not: there is no id, URL or tenant in it.
 *
 * @param isServed here; otherwise it is on its own port
 */
export function addMetrics(app: App, metrics: HttpMetrics, isServed = true): void {
  app.use(async (c, next) => {
    await next()
    const { method, routePath } = c.req
    metrics.requestAnswered({ method, route: routePath, status: c.res.status })
  })

  if (!isServed) return
  const route = createRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Get metrics',
    description: 'Metrics of this process and of the queue, for Prometheus.',
    tags: ['Health'],
    security: [],
    responses: {
      200: {
        description: 'In the exposition format of Prometheus.',
        content: { 'text/plain': { schema: z.string(), example: 'postrider_database_up 1\n' } },
      },
    },
  })
  app.openapi(route, async (c) => {
    const { contentType, text } = await metrics.render()
    return c.text(text, 200, { 'content-type': contentType })
  })
}
