import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Caller } from '../access/caller.ts'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import { deliverySchema, presentDelivery } from '../deliveries/delivery.fields.ts'
import { answersQuery } from '../deliveries/delivery.routes.ts'
import { eventTypePattern } from '../endpoints/endpoint-input.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { problems } from '../http/responses.ts'
import { type AddRoutes, addingRoutes, ofTenant, routesFor } from '../http/route.ts'
import { endpointId } from '../ids.ts'
import type { Log } from '../log.ts'
import { Problem } from '../problem.ts'
import { completeBody, type ThinLinks } from '../sending/thin-link.ts'
import { attemptSchema, presentAttempt, reasonSchema } from './attempt.fields.ts'
import { NO_ANSWER } from './attempts.ts'
import { type LiveAttempts, type LiveReader, NoReaderFree, TooManyReaders } from './live.ts'
import type { Wanted } from './live-details.ts'
import type { LiveMessage } from './live-reader.ts'
import { type StreamTimes, serveLive } from './serve-live.ts'

/** Streams end when their readers go, or a process does: it may take a while, or an instant. */
const RETRY_AFTER_SECONDS = 5

const DESCRIPTION = `Attempts of the tenant as server-sent events, each within a second of its end.

A message \`attempt\` holds \`{attempt, delivery, event}\` in the shapes of the API; with \`include=request\` also \`request.body\`, the text as it was sent. Comments keep the connection alive.

Its \`id\` is what a client that connects again sends as \`Last-Event-ID\`: attempts that ended meanwhile come first, up to 15 minutes and 1,000 attempts; some can come again. If there was more, a message \`gap\` comes first. A message \`end\` says why the stream ends: \`too_slow\`, \`stopped\`, \`key_over\`, or \`max_age\` after an hour; connect again then.`

const streamQuery = z.strictObject({
  endpointId: endpointId.optional().openapi({ type: 'string', format: 'uuid' }),
  type: eventTypePattern.optional().openapi({
    description: 'Type of the event: a name, or a pattern such as order.*',
  }),
  outcome: attemptSchema.shape.outcome.exclude(['started']).optional(),
  reason: reasonSchema.optional(),
  statusClass: z
    .enum(['2', '3', '4', '5'])
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', description: '4: the response was 4xx.' }),
  answers: answersQuery,
  include: z.enum(['request']).optional().openapi({ description: 'With the body of the request.' }),
})

const streamedSchema = z
  .object({
    attempt: attemptSchema,
    delivery: deliverySchema,
    event: z
      .object({ id: z.uuid(), type: z.string(), occurredAt: z.iso.datetime() })
      .nullable()
      .openapi({ description: 'Null when it was erased.' }),
    request: z
      .object({ body: z.string().nullable() })
      .optional()
      .openapi({ description: 'With include=request.' }),
  })
  .openapi('StreamedAttempt')

const messages = z.string().openapi({
  description: 'The schema of the content is that of `data` of the messages `attempt`.',
  // A keyword of JSON Schema that the types of the generator do not know.
  ...{
    contentMediaType: 'application/json',
    contentSchema: { $ref: '#/components/schemas/StreamedAttempt' },
  },
})

interface Options {
  liveAttempts: Pick<LiveAttempts, 'open'>
  endpoints: Pick<Endpoints, 'get'>
  apiKeys: Pick<ApiKeys, 'isLive'>
  log: Pick<Log, 'error'>
  thinLinks: Pick<ThinLinks, 'linkOf'>
  streamTimes?: StreamTimes
}

const route = routesFor<Options>()

/** Names the schema in the document, so that generated clients have its type. */
const nameSchema: AddRoutes<Options> = (app) => {
  app.openAPIRegistry.register('StreamedAttempt', streamedSchema)
}

const stream = route({
  method: 'get',
  path: '/api/tenants/{tenant}/stream',
  operationId: 'streamAttempts',
  summary: 'Stream attempts',
  description: DESCRIPTION,
  tags: ['Deliveries'],
  request: {
    params: z.object({ tenant: z.string() }),
    query: streamQuery,
    headers: z.object({
      'last-event-id': z.string().max(64).optional().openapi({
        description: '`id` of the last message that was received.',
      }),
    }),
  },
  responses: {
    200: {
      description: 'Messages, until one side closes the connection.',
      content: { 'text/event-stream': { schema: messages } },
    },
    ...problems(404, 422),
  },
  guards: ofTenant('read'),
  async answer(c, { liveAttempts, endpoints, ...serving }) {
    const { id: tenantId } = c.get('tenant')
    const { include, answers, ...filter } = c.req.valid('query')
    if (filter.endpointId) await endpoints.get(tenantId, filter.endpointId)
    const after = c.req.valid('header')['last-event-id']
    const wanted = { withBody: include === 'request', withAnswers: answers !== 'false' }
    const open = () => opened(liveAttempts, { ...filter, ...wanted, tenants: tenantId, after })
    return (await serve(c, open, { ...serving, wanted })) as never
  },
})

export const addStreamRoute = addingRoutes([nameSchema, stream])

async function opened(
  liveAttempts: Pick<LiveAttempts, 'open'>,
  options: Parameters<LiveAttempts['open']>[0],
): Promise<LiveReader> {
  try {
    return await liveAttempts.open(options)
  } catch (error) {
    if (!(error instanceof TooManyReaders || error instanceof NoReaderFree)) throw error
    const headers = { 'retry-after': String(RETRY_AFTER_SECONDS) }
    throw new Problem(error.code, { detail: error.message, headers, cause: error })
  }
}

type Serving = Pick<Options, 'apiKeys' | 'log' | 'streamTimes' | 'thinLinks'> & { wanted: Wanted }

function serve(
  c: Context<ApiEnv>,
  open: () => Promise<LiveReader>,
  options: Serving,
): Promise<Response> {
  const { apiKeys, log, streamTimes, wanted, thinLinks } = options
  const caller = c.get('caller')
  const { apiKeyId } = caller
  const requestId = c.get('requestId')
  return serveLive(c, open, {
    ...streamTimes,
    present: (message) => JSON.stringify(present(message, wanted, caller, thinLinks)),
    isAllowed: async () => apiKeyId === null || (await apiKeys.isLive(apiKeyId)),
    onError: (error) => log.error({ err: error, requestId }, 'stream.failed'),
  })
}

/** Readers share what is read: there may be more of it than this one asked for. */
function present(
  message: LiveMessage,
  { withBody, withAnswers }: Wanted,
  caller: Caller,
  thinLinks: Pick<ThinLinks, 'linkOf'>,
): z.output<typeof streamedSchema> {
  const { attempt, delivery, event } = message
  return {
    attempt: presentAttempt(withAnswers ? attempt : { ...attempt, ...NO_ANSWER }, caller),
    delivery: presentDelivery(delivery),
    event: event && {
      id: event.id,
      type: event.type,
      occurredAt: event.occurred_at.toISOString(),
    },
    ...(withBody && { request: { body: bodyOf(message, thinLinks) } }),
  }
}

function bodyOf(
  { attempt, delivery, body, shape }: LiveMessage,
  { linkOf }: Pick<ThinLinks, 'linkOf'>,
): string | null {
  const headers: Record<string, string> = JSON.parse(attempt.request_headers ?? '{}')
  const timestampSeconds = Number(
    headers['webhook-timestamp'] ?? attempt.started_at.getTime() / 1000,
  )
  const { tenant_id: tenantId, endpoint_id: endpointId, event_id: eventId } = delivery
  return completeBody(
    { shape, body },
    { tenantId, endpointId, eventId },
    { linkOf, timestampSeconds },
  )
}
