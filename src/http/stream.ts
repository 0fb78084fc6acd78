import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import {
  type LiveAttempts,
  type LiveReader,
  NoReaderFree,
  TooManyReaders,
} from '../attempts/live.ts'
import type { LiveMessage } from '../attempts/live-reader.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { endpointId } from '../ids.ts'
import type { Log } from '../log.ts'
import type { ApiKeys, Caller } from '../tenants/api-keys.ts'
import type { ApiEnv, Authenticate } from './authenticate.ts'
import { eventTypePattern } from './endpoint-input.ts'
import { presentAttempt, presentDelivery } from './present.ts'
import { Problem } from './problem.ts'
import { problems } from './responses.ts'
import { attemptSchema, deliverySchema } from './schemas.ts'

/** Shorter than the minute after which common balancers cut what is silent. */
const HEARTBEAT_MS = 15_000
/** With the time that a query takes, a revoked key reads no longer than five seconds. */
const KEY_CHECK_MS = 4_000
/** What browsers wait before they connect again. */
const RECONNECT_MS = 1_000
/** For the last words to get through; a client that does not read would keep its socket for ever. */
const FAREWELL_MS_MAX = 1_000
/** Streams end when their readers go, or a process does: it may take a while, or an instant. */
const RETRY_AFTER_SECONDS = 5

const DESCRIPTION = `Attempts of the tenant as server-sent events, each within a second of its end.

A message \`attempt\` holds \`{attempt, delivery, event}\` in the shapes of the API; with \`include=request\` also \`request.body\`, the text as it was sent. Comments keep the connection alive.

Its \`id\` is what a client that connects again sends as \`Last-Event-ID\`: first comes what ended meanwhile, up to 15 minutes and 1,000 attempts; some may come again. When there was more, a message \`gap\` comes first. A message \`end\` says why the stream ends (\`too_slow\`, \`stopped\`, \`key_over\`).`

const streamQuery = z.strictObject({
  endpointId: endpointId.optional().openapi({ type: 'string', format: 'uuid' }),
  type: eventTypePattern.optional().openapi({
    description: 'Type of the event: a name, or a pattern such as order.*',
  }),
  outcome: attemptSchema.shape.outcome.exclude(['started']).optional(),
  statusClass: z
    .enum(['2', '3', '4', '5'])
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', description: '4: answered 4xx.' }),
  include: z.enum(['request']).optional().openapi({ description: 'With the body of the request.' }),
})

export const streamedSchema = z
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

export interface StreamTimes {
  heartbeatMs?: number
  keyCheckMs?: number
}

export function addStreamRoute(
  app: OpenAPIHono<ApiEnv>,
  options: {
    liveAttempts: Pick<LiveAttempts, 'open'>
    endpoints: Pick<Endpoints, 'get'>
    apiKeys: Pick<ApiKeys, 'isLive'>
    log: Pick<Log, 'error'>
    streamTimes?: StreamTimes
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
  },
): void {
  const { liveAttempts, endpoints, authenticate, tenantOfPath } = options
  // Named in the document, so that generated clients have their type.
  app.openAPIRegistry.register('StreamedAttempt', streamedSchema)

  const stream = createRoute({
    method: 'get',
    path: '/api/tenants/{tenant}/stream',
    operationId: 'streamAttempts',
    summary: 'Follow attempts as they happen',
    description: DESCRIPTION,
    tags: ['Deliveries'],
    middleware: [authenticate('read'), tenantOfPath],
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
  })
  app.openapi(stream, async (c) => {
    const { id: tenantId } = c.get('tenant')
    const { include, ...filter } = c.req.valid('query')
    if (filter.endpointId) await endpoints.get(tenantId, filter.endpointId)
    const after = c.req.valid('header')['last-event-id']
    const withBody = include === 'request'
    const reader = await opened(liveAttempts, { ...filter, tenantId, withBody, after })
    return serve(c, reader, { ...options, withBody }) as never
  })
}

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

interface Serving {
  apiKeys: Pick<ApiKeys, 'isLive'>
  log: Pick<Log, 'error'>
  streamTimes?: StreamTimes
  withBody: boolean
}

function serve(c: Context<ApiEnv>, reader: LiveReader, options: Serving): Response {
  c.header('x-accel-buffering', 'no') // nginx would keep messages until a page of them is full
  const requestId = c.get('requestId')
  hangUp(c, reader)
  return streamSSE(c, async (stream) => {
    stream.onAbort(reader.close)
    const watch = watchOver(stream, reader, c.get('caller'), options)
    try {
      await write(stream, reader, options.withBody)
      const end = watch.isKeyOver() ? 'key_over' : await reader.ended
      await stream.writeSSE({ event: 'end', data: JSON.stringify({ reason: end }) })
    } catch (error) {
      // Never to the client, which connects again and misses nothing.
      options.log.error({ err: error, requestId }, 'stream.failed')
    } finally {
      watch.stop()
      reader.close()
    }
  })
}

async function write(stream: SSEStreamingApi, reader: LiveReader, withBody: boolean) {
  await stream.write(`retry: ${RECONNECT_MS}\n\n`)
  if (reader.hasGap) await stream.writeSSE({ event: 'gap', data: '{}' })
  for await (const message of reader.messages()) {
    await stream.writeSSE({
      id: message.cursor,
      event: 'attempt',
      data: JSON.stringify(present(message, withBody)),
    })
  }
}

/** Heartbeats, and an end for a key that is revoked or has expired. */
function watchOver(
  stream: SSEStreamingApi,
  reader: LiveReader,
  { apiKeyId }: Caller,
  { apiKeys, streamTimes: { heartbeatMs = HEARTBEAT_MS, keyCheckMs = KEY_CHECK_MS } = {} }: Serving,
) {
  let isKeyOver = false
  let isBeating = false
  const beat = async () => {
    // A client that does not read would make them pile up.
    const cursor = reader.cursor()
    if (cursor === null || isBeating) return
    isBeating = true
    await stream.write(`: still here\nid: ${cursor}\n\n`)
    isBeating = false
  }
  const check = async () => {
    if (apiKeyId === null) return
    // While the database cannot be asked, it has nothing to show either.
    if (await apiKeys.isLive(apiKeyId).catch(() => true)) return
    isKeyOver = true
    reader.close()
  }
  const timers = [
    setInterval(() => void beat(), heartbeatMs),
    setInterval(() => void check(), keyCheckMs),
  ]
  return { isKeyOver: () => isKeyOver, stop: () => timers.forEach(clearInterval) }
}

/** Cuts a connection whose client does not read, once there is nothing more for it. */
function hangUp(c: Context, reader: LiveReader): void {
  const { outgoing } = (c.env ?? {}) as {
    outgoing?: { destroy(): void; writableFinished: boolean }
  }
  if (!outgoing) return
  void reader.ended.then(() => {
    const timer = setTimeout(
      () => void (outgoing.writableFinished || outgoing.destroy()),
      FAREWELL_MS_MAX,
    )
    timer.unref()
  })
}

function present(message: LiveMessage, withBody: boolean): z.output<typeof streamedSchema> {
  const { attempt, delivery, event, body } = message
  return {
    attempt: presentAttempt(attempt),
    delivery: presentDelivery(delivery),
    event: event && {
      id: event.id,
      type: event.type,
      occurredAt: event.occurred_at.toISOString(),
    },
    ...(withBody && { request: { body } }),
  }
}
