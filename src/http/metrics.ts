import type { Metrics } from '../metrics.ts'
import type { App } from './server.ts'

export type HttpMetrics = Pick<Metrics, 'eventAccepted' | 'requestAnswered' | 'render'>

/**
 * Counts every answer by method, route pattern and status, and serves /metrics. It needs no key, as probes do
 * not: there is no id, URL or tenant in it.
 */
export function addMetrics(app: App, metrics: HttpMetrics): void {
  app.use(async (c, next) => {
    await next()
    const { method, routePath } = c.req
    metrics.requestAnswered({ method, route: routePath, status: c.res.status })
  })
  app.get('/metrics', async (c) => {
    const { contentType, text } = await metrics.render()
    return c.body(text, 200, { 'content-type': contentType })
  })
}
