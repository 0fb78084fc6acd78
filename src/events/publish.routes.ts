import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Caller } from '../access/caller.ts'
import type { CheckedEvent, EventTypeCheck } from '../event-types/event-type-check.ts'
import { refuseUnfit } from '../event-types/event-violations.ts'
import { type JsonBody, readJsonBody, tooLarge } from '../http/request-body.ts'
import { json, KEY_BUSY, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofScope, textRoutesFor } from '../http/route.ts'
import { fieldErrors } from '../http/validation.ts'
import { type FieldError, Problem } from '../problem.ts'
import { type Accept, traceHeaders } from './accept.ts'
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
import type { Published, Publisher, PublishItem } from './publisher.ts'

/** Room around `data` for the other members at their longest, and for blanks. */
export const ENVELOPE_BYTES = 4_096
export const PUBLISH_PATH = '/api/events'
const IDEMPOTENCY_HEADER = 'Idempotency-Key'

/** What both ways to publish need. */
export interface PublishOptions {
  eventTypeCheck: Pick<EventTypeCheck, 'check'>
  accept: Accept
  /** Bytes of `data` at most. */
  eventBytesMax: number
}

interface Options extends PublishOptions {
  publisher: Pick<Publisher, 'publish'>
}

const route = textRoutesFor<Options>()

const publish = route({
  method: 'post',
  path: PUBLISH_PATH,
  operationId: 'publishEvent',
  summary: 'Publish event',
  description: 'Stores the event, its deliveries and their jobs in one commit.',
  tags: ['Events'],
  request: {
    headers: z.object({
      [IDEMPOTENCY_HEADER]: z.string().optional().openapi({
        description: 'Up to 255 characters. A repeat within 7 days returns the first event.',
      }),
      ...traceHeaders,
    }),
    body: { required: true, content: { 'application/json': { schema: eventInput } } },
  },
  responses: {
    202: json(publishedSchema, 'Stored: event, deliveries and jobs in one commit.'),
    ...problems(...OF_BODY),
    ...KEY_BUSY,
  },
  guards: ofScope('publish'),
  async answer(c, { publisher, eventTypeCheck, accept, eventBytesMax }) {
    const body = await readEvent(c, eventBytesMax)
    const readAt = performance.now()
    const item = toItem(body, c.req.header(IDEMPOTENCY_HEADER) ?? null, c.get('caller'))
    const event = { ...(body.value as CheckedEvent), tenant: item.tenant }
    await refuseUnfit(eventTypeCheck, [event], () => '')
    const request = { kind: 'event', readAt, header: (name: string) => c.req.header(name) } as const
    const [published] = await accept(request, async (trace): Promise<[Published]> => {
      return [await publisher.publish({ ...item, trace })]
    }).catch(refusalFor(c.get('caller')))
    return c.json(published, 202)
  },
})

export const addPublishRoute = addingRoutes([publish])

async function readEvent(c: Context, eventBytesMax: number): Promise<JsonBody> {
  const tooLargeData = () => tooLarge(eventBytesMax, 'data')
  const body = await readJsonBody(c, eventBytesMax + ENVELOPE_BYTES, tooLargeData)
  if (hasMoreData(body.bytes, body.value, eventBytesMax)) throw tooLargeData()
  return body
}

/** @throws Problem with every invalid field, the header among them */
function toItem(
  { text, value }: JsonBody,
  idempotencyKey: string | null,
  caller: Caller,
): PublishItem {
  const parsed = eventInput.safeParse(value)
  const errors: FieldError[] = parsed.error ? fieldErrors(parsed.error) : []
  if (idempotencyKey !== null && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
    errors.push({ field: IDEMPOTENCY_HEADER, message: IDEMPOTENCY_KEY_MISTAKE })
  }
  if (lacksTenant(value, caller)) errors.push({ field: 'tenant', message: 'is required' })
  if (errors.length > 0) throw new Problem('request_invalid', { errors })
  return {
    body: text,
    tenant: tenantToPublishFor(parsed.data?.tenant, caller),
    idempotencyKey,
    isOrdered: (parsed.data?.orderingKey ?? null) !== null,
  }
}
