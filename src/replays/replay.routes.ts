import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { auditName } from '../access/caller.ts'
import { eventTypesInput } from '../endpoints/endpoint-input.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { endpointId, type ReplayId, replayId } from '../ids.ts'
import { type Replay, ReplayNotFound, type ReplayRequest, type Replays } from './replays.ts'

const tags = ['Replays']
/** More would be a load test of the receiver. */
const RATE_MAX = 1_000

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const uuid = { type: 'string', format: 'uuid' } as const
const dateTime = { type: 'string', format: 'date-time' } as const

export const replayInput = z
  .strictObject({
    mode: z.enum(['redeliver', 'missed']).default('redeliver').openapi({
      description:
        'redeliver: finished deliveries are made again. missed: events that match the endpoint and have no delivery to it get one.',
    }),
    endpointId: endpointId.optional().openapi({ ...uuid, description: 'Only this endpoint.' }),
    eventTypes: eventTypesInput.optional(),
    states: z
      .array(z.enum(['delivered', 'failed', 'cancelled']))
      .min(1)
      .optional()
      .openapi({
        description: 'redeliver: only deliveries that ended so. Default: failed.',
      }),
    statusClass: z.int().min(2).max(5).optional().openapi({
      description: 'redeliver: only where the last answer was of this class: 4 for 4xx.',
    }),
    since: time.openapi({ ...dateTime, description: 'Only what was made from then on.' }),
    until: time
      .optional()
      .openapi({ ...dateTime, description: 'Only what was made before. Default: now.' }),
    ratePerSecond: z.number().gt(0).max(RATE_MAX).default(50),
    preview: z.boolean().default(false).openapi({ description: 'Only count.' }),
  })
  .refine(({ mode, endpointId }) => mode === 'redeliver' || endpointId !== undefined, {
    path: ['endpointId'],
    message: 'is required for mode missed',
  })
  .refine(({ since, until }) => until === undefined || until > since, {
    path: ['until'],
    message: 'is not after since',
  })
  .openapi('NewReplay')

const replaySchema = z
  .object({
    id: z.uuid(),
    mode: z.enum(['redeliver', 'missed']),
    state: z.enum(['running', 'done', 'cancelled']),
    endpointId: z.uuid().nullable(),
    eventTypes: z.array(z.string()),
    states: z.array(z.string()),
    statusClass: z.int().nullable(),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    ratePerSecond: z.number(),
    total: z
      .int()
      .openapi({ description: 'How many there were when it began; 100,000 = at least.' }),
    done: z.int().openapi({ description: 'How many it has made due.' }),
    createdAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .openapi('Replay')
const previewSchema = z.object({ count: z.int() }).openapi('ReplayPreview')

export function addReplayRoutes(
  app: OpenAPIHono<ApiEnv>,
  options: {
    replays: Replays
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
    inTurn: MiddlewareHandler<ApiEnv>
  },
): void {
  const { replays, authenticate, tenantOfPath, inTurn } = options
  const ofTenant = { params: z.object({ tenant: z.string() }) }
  const ofReplay = { params: z.object({ tenant: z.string(), id: z.string() }) }
  const reading = [authenticate('read'), tenantOfPath]
  const managing = [authenticate('manage'), tenantOfPath]

  const start = createRoute({
    method: 'post',
    path: '/api/tenants/{tenant}/replays',
    summary: 'Deliver again, or count what would be',
    tags,
    // In this order: a body that comes slowly holds up nobody.
    middleware: [...managing, settingsBody, inTurn],
    request: {
      ...ofTenant,
      body: { required: true, content: { 'application/json': { schema: replayInput } } },
    },
    responses: {
      200: json(previewSchema, 'The count, for a preview.'),
      201: json(replaySchema, 'It has begun.'),
      ...problems(404, ...OF_BODY),
    },
  })
  app.openapi(start, async (c) => {
    const { key } = c.get('tenant')
    const { preview, ...request } = c.req.valid('json')
    if (preview) return c.json({ count: await replays.preview(key, request as ReplayRequest) }, 200)
    const replay = await replays.start(key, request as ReplayRequest, auditName(c.get('caller')))
    return c.json(present(replay), 201)
  })

  const list = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/replays',
    summary: 'List replays, newest first',
    tags,
    middleware: reading,
    request: { ...ofTenant, query: pageQuery(replayId) },
    responses: { 200: json(pageSchema(replaySchema), 'A page.'), ...problems(404, 422) },
  })
  app.openapi(list, async (c) => {
    const read = (page: { limit: number; before: ReplayId | null }) =>
      replays.list(c.get('tenant').id, page)
    return c.json(await readPage(c.req.valid('query'), read, present), 200)
  })

  const get = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/replays/{id}',
    summary: 'Show how far a replay is',
    tags,
    middleware: reading,
    request: ofReplay,
    responses: { 200: json(replaySchema, 'The replay.'), ...problems(404) },
  })
  app.openapi(get, async (c) => {
    const replay = await replays.get(c.get('tenant').id, replayOf(c.req.valid('param')))
    return c.json(present(replay), 200)
  })

  const cancel = createRoute({
    method: 'post',
    path: '/api/tenants/{tenant}/replays/{id}/cancel',
    summary: 'End a replay; what is due already is delivered',
    tags,
    middleware: managing,
    request: ofReplay,
    responses: { 200: json(replaySchema, 'It is over.'), ...problems(404) },
  })
  app.openapi(cancel, async (c) => {
    const id = replayOf(c.req.valid('param'))
    const replay = await replays.cancel(c.get('tenant').id, id, auditName(c.get('caller')))
    return c.json(present(replay), 200)
  })
}

/** What is no id at all names no replay either. */
function replayOf({ id }: { id: string }): ReplayId {
  const parsed = replayId.safeParse(id)
  if (!parsed.success) throw new ReplayNotFound()
  return parsed.data
}

function present(replay: Replay) {
  return {
    id: replay.id,
    mode: replay.mode,
    state: replay.state,
    endpointId: replay.endpoint_id,
    eventTypes: replay.event_types,
    states: replay.states,
    statusClass: replay.status_class,
    since: replay.since.toISOString(),
    until: replay.until.toISOString(),
    ratePerSecond: Number(replay.rate_per_second),
    total: replay.total,
    done: replay.done,
    createdAt: replay.created_at.toISOString(),
    finishedAt: replay.finished_at?.toISOString() ?? null,
  }
}
