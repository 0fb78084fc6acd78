import { z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { Caller } from '../access/caller.ts'
import type { CheckedEvent } from '../event-types/event-type-check.ts'
import { refuseUnfit } from '../event-types/event-violations.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { elementsOf } from '../http/json-text.ts'
import { type JsonBody, readJsonBody, tooLarge } from '../http/request-body.ts'
import { json, KEY_BUSY, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, textRoutesFor } from '../http/route.ts'
import { fieldErrors } from '../http/validation.ts'
import { ERRORS_MAX, type FieldError, Problem } from '../problem.ts'
import { traceHeaders } from './accept.ts'
import { publishedSchema } from './event.fields.ts'
import {
  eventInput,
  hasMoreData,
  IDEMPOTENCY_KEY,
  IDEMPOTENCY_KEY_MISTAKE,
  lacksTenant,
  refusalFor,
  tenantToPublishFor,
} from './event-input.ts'
import { ENVELOPE_BYTES, type PublishOptions } from './publish.routes.ts'
import type { BatchPublisher } from './publish-batch.ts'
import type { PublishItem } from './publisher.ts'

/** Bounds the transaction: with ten endpoints each, some 10,000 deliveries and jobs in one commit. */
const EVENTS_MAX = 1_000
/** Parsed at once, which holds up every other request of the process for some 50 ms. */
const BATCH_BYTES_MAX = 8_388_608
export const BATCH_PATH = '/api/events/batch'
/** What a batch has at most, where an event may be so large. */
export const batchBytesMax = (eventBytesMax: number): number =>
  Math.max(BATCH_BYTES_MAX, eventBytesMax + ENVELOPE_BYTES)

// Not `extend`, which OpenAPI shows as `allOf` of two schemas that refuse each other's members.
const batchedEvent = z
  .strictObject({
    ...eventInput.shape,
    idempotencyKey: z.string().regex(IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_MISTAKE).nullish().openapi({
      description: 'Up to 255 characters. A repeat within 7 days returns the first event.',
      example: 'invoice-1-paid',
    }),
  })
  .openapi('BatchedEvent')

const batchInput = z
  .strictObject({ events: z.array(batchedEvent).min(1).max(EVENTS_MAX) })
  .openapi('NewBatch')

interface Options extends PublishOptions {
  batchPublisher: Pick<BatchPublisher, 'publishAll'>
  /** Lets batches wait before they are read: one may be large, and has to fit into memory next to others. */
  limitBatches: MiddlewareHandler<ApiEnv>
}

const route = textRoutesFor<Options>()

const publishBatch = route({
  method: 'post',
  path: BATCH_PATH,
  operationId: 'publishEvents',
  summary: 'Publish events in a batch',
  description: `Publishes up to ${EVENTS_MAX} events in one transaction: all of them or none.`,
  tags: ['Events'],
  request: {
    headers: z.object(traceHeaders),
    body: { required: true, content: { 'application/json': { schema: batchInput } } },
  },
  responses: {
    202: json(z.object({ data: z.array(publishedSchema) }), 'Stored, in the order given.'),
    ...problems(...OF_BODY),
    ...KEY_BUSY,
  },
  guards: ({ authenticate, limitBatches }) => [authenticate('publish'), limitBatches],
  async answer(c, { batchPublisher, eventTypeCheck, accept, eventBytesMax }) {
    const body = await readJsonBody(c, batchBytesMax(eventBytesMax))
    const readAt = performance.now()
    refuseHeader(c.req.header('idempotency-key'))
    const items = toItems(body, c.get('caller'), eventBytesMax)
    const { events } = body.value as { events: CheckedEvent[] }
    const checked = items.map(({ tenant }, n) => ({ ...(events[n] as CheckedEvent), tenant }))
    await refuseUnfit(eventTypeCheck, checked, (index) => `events[${index}].`)
    const request = { kind: 'batch', readAt, header: (name: string) => c.req.header(name) } as const
    const data = await accept(request, (trace) =>
      batchPublisher.publishAll(items.map((item) => ({ ...item, trace }))),
    ).catch(refusalFor(c.get('caller')))
    return c.json({ data }, 202)
  },
})

export const addPublishBatchRoute = addingRoutes([publishBatch])

/** A key for the whole would be mistaken for protection. */
function refuseHeader(value: string | undefined): void {
  if (value === undefined) return
  const message = 'is for a single event; give each event of a batch its own idempotencyKey'
  throw new Problem('request_invalid', { errors: [{ field: 'Idempotency-Key', message }] })
}

/** @throws Problem with every invalid field of every event */
function toItems({ bytes, value }: JsonBody, caller: Caller, bytesMax: number): PublishItem[] {
  const parsed = batchInput.safeParse(value)
  const errors = [
    ...(parsed.error ? fieldErrors(parsed.error) : []),
    ...(parsed.data ? missingTenants(parsed.data.events, caller) : []),
  ]
  if (!parsed.data || errors.length > 0) {
    throw new Problem('request_invalid', { errors: errors.slice(0, ERRORS_MAX) })
  }
  const { events } = parsed.data
  const texts = elementsOf(bytes, 'events')
  refuseLarge(texts, events, bytesMax)
  return events.map((event, index) => ({
    body: String(texts[index]),
    tenant: tenantToPublishFor(event.tenant, caller),
    idempotencyKey: event.idempotencyKey ?? null,
    isOrdered: (event.orderingKey ?? null) !== null,
  }))
}

function missingTenants(events: readonly unknown[], caller: Caller): FieldError[] {
  return events.flatMap((event, index) =>
    lacksTenant(event, caller)
      ? [{ field: `events[${index}].tenant`, message: 'is required' }]
      : [],
  )
}

function refuseLarge(texts: readonly Buffer[], events: readonly unknown[], bytesMax: number): void {
  const large = texts.findIndex((text, index) => hasMoreData(text, events[index], bytesMax))
  if (large !== -1) throw tooLarge(bytesMax, `events[${large}].data`)
}
