import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { bulkInput, bulkPreviewSchema, presentPreview } from './bulk.fields.ts'
import type { Bulk, BulkRequest } from './bulk.ts'
import { presentReplay, replaySchema } from './replay.fields.ts'

interface Options {
  bulk: Bulk
}

const route = routesFor<Options>()

const start = route({
  method: 'post',
  path: '/api/tenants/{tenant}/deliveries/bulk',
  summary: 'Start bulk job',
  description:
    'Retries, cancels, releases or redelivers the deliveries that you name, or all that match. It runs as a replay: follow and cancel it at `/api/tenants/{tenant}/replays/{id}`.',
  tags: ['Deliveries'],
  request: {
    params: z.object({ tenant: z.string() }),
    body: { required: true, ...jsonBody(bulkInput) },
  },
  responses: {
    200: json(bulkPreviewSchema, 'The count and the first ten, for a preview.'),
    201: json(replaySchema, 'It has begun.'),
    ...problems(404, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  isHeavy: true,
  async answer(c, { bulk }) {
    const { key } = c.get('tenant')
    const { preview, ...request } = c.req.valid('json')
    if (preview) return c.json(presentPreview(await bulk.preview(key, request as BulkRequest)), 200)
    const job = await bulk.start(key, request as BulkRequest, auditName(c.get('caller')))
    return c.json(presentReplay(job), 201)
  },
})

export const addBulkRoutes = addingRoutes([start])
