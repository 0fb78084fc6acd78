import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { type ReplayId, replayId } from '../ids.ts'
import { presentReplay, replayInput, replaySchema } from './replay.fields.ts'
import { ReplayNotFound, type ReplayRequest, type Replays } from './replays.ts'

const tags = ['Replays']
const previewSchema = z.object({ count: z.int() }).openapi('ReplayPreview')

interface Options {
  replays: Replays
}

const replayOf = idOfPath(replayId, ReplayNotFound)
const route = routesFor<Options>()
const tenantParams = { params: z.object({ tenant: z.string() }) }
const ofReplay = { params: z.object({ tenant: z.string(), id: z.string() }) }

const start = route({
  method: 'post',
  path: '/api/tenants/{tenant}/replays',
  summary: 'Create replay',
  description: 'Delivers matching events again, or only counts them.',
  tags,
  request: {
    ...tenantParams,
    body: { required: true, ...jsonBody(replayInput) },
  },
  responses: {
    200: json(previewSchema, 'The count, for a preview.'),
    201: json(replaySchema, 'It has begun.'),
    ...problems(404, ...OF_BODY),
  },
  guards: ofTenant('manage'),
  isHeavy: true,
  async answer(c, { replays }) {
    const { key } = c.get('tenant')
    const { preview, ...request } = c.req.valid('json')
    if (preview) return c.json({ count: await replays.preview(key, request as ReplayRequest) }, 200)
    const replay = await replays.start(key, request as ReplayRequest, auditName(c.get('caller')))
    return c.json(presentReplay(replay), 201)
  },
})

const list = route({
  method: 'get',
  path: '/api/tenants/{tenant}/replays',
  summary: 'List replays',
  description: 'Newest first.',
  tags,
  request: { ...tenantParams, query: pageQuery(replayId) },
  responses: { 200: json(pageSchema(replaySchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  async answer(c, { replays }) {
    const read = (page: { limit: number; before: ReplayId | null }) =>
      replays.list(c.get('tenant').id, page)
    return c.json(await readPage(c.req.valid('query'), read, presentReplay), 200)
  },
})

const get = route({
  method: 'get',
  path: '/api/tenants/{tenant}/replays/{id}',
  summary: 'Get replay',
  description: 'With its progress.',
  tags,
  request: ofReplay,
  responses: { 200: json(replaySchema, 'The replay.'), ...problems(404) },
  guards: ofTenant('read'),
  async answer(c, { replays }) {
    const replay = await replays.get(c.get('tenant').id, replayOf(c.req.valid('param')))
    return c.json(presentReplay(replay), 200)
  },
})

const cancel = route({
  method: 'post',
  path: '/api/tenants/{tenant}/replays/{id}/cancel',
  summary: 'Cancel replay',
  description: 'Deliveries that are already due are still sent.',
  tags,
  request: ofReplay,
  responses: { 200: json(replaySchema, 'Finished.'), ...problems(404) },
  guards: ofTenant('manage'),
  async answer(c, { replays }) {
    const id = replayOf(c.req.valid('param'))
    const replay = await replays.cancel(c.get('tenant').id, id, auditName(c.get('caller')))
    return c.json(presentReplay(replay), 200)
  },
})

export const addReplayRoutes = addingRoutes([start, list, get, cancel])
