import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { Attempts } from '../attempts/attempts.ts'
import type { Deliveries } from '../deliveries/deliveries.ts'
import { endpointOf, endpointParams, endpointTags } from '../endpoints/endpoint.routes.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { EventTypeNotFound } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { ApiEnv, Authenticate } from '../http/authenticate.ts'
import { presentAttempt, presentDelivery } from '../http/present.ts'
import { settingsBody } from '../http/request-body.ts'
import { json, OF_BODY, problems } from '../http/responses.ts'
import { attemptSchema, deliverySchema } from '../http/schemas.ts'
import { eventType } from './event-input.ts'
import type { TestEvents } from './test-events.ts'

/** Next to the time that the receiver has: to be claimed and written down, and a limit of the endpoint. */
const WAIT_MS = 3_000
/** Each asks the database a few times a second. Anyone who comes on top looks at the delivery later. */
const WAITING_MAX = 50

/** Of events that say no type. */
const TYPE = 'postrider.test'

const input = z
  .strictObject({
    type: eventType.optional().openapi({ default: TYPE, example: TYPE }),
    data: z
      .unknown()
      .optional()
      .refine((data) => data !== null, 'is null')
      .openapi({ description: 'Any JSON except null; an example when left out.' }),
  })
  .openapi('TestEvent')

const outcomeSchema = attemptSchema
  .extend({ eventId: z.uuid(), deliveryId: z.uuid() })
  .openapi('TestAttempt')

export function addEndpointTestRoute(
  app: OpenAPIHono<ApiEnv>,
  options: {
    endpoints: Pick<Endpoints, 'get'>
    deliveries: Pick<Deliveries, 'find'>
    attempts: Pick<Attempts, 'get'>
    testEvents: TestEvents
    exampleOf: ExampleOf
    authenticate: Authenticate
    tenantOfPath: MiddlewareHandler<ApiEnv>
    /** For endpoints without a timeout of their own. */
    deliveryTimeoutSeconds: number
  },
): void {
  const { endpoints, deliveries, attempts, testEvents, exampleOf, authenticate, tenantOfPath } =
    options
  const route = createRoute({
    method: 'post',
    path: '/api/tenants/{tenant}/endpoints/{id}/test',
    summary: 'Send a signed example event and return the attempt',
    tags: endpointTags,
    middleware: [authenticate('manage'), tenantOfPath, settingsBody],
    request: {
      params: endpointParams,
      body: { content: { 'application/json': { schema: input } } },
    },
    responses: {
      200: json(outcomeSchema, 'The attempt, whatever came of it; there is only this one.'),
      202: json(deliverySchema, 'It is under way: look at the delivery.'),
      ...problems(404, 409, ...OF_BODY),
    },
  })
  const wait = bounded(WAITING_MAX, testEvents.finished)

  app.openapi(route, async (c) => {
    const tenantId = c.get('tenant').id
    const endpoint = await endpoints.get(tenantId, endpointOf(c.req.valid('param')))
    const { type = TYPE, data = await dataFor(type, endpoint.id, exampleOf) } = c.req.valid('json')
    const event = { type, data: JSON.stringify(data) }
    const id = await testEvents.publish(tenantId, endpoint.id, event)

    const timeoutSeconds = endpoint.timeout_seconds ?? options.deliveryTimeoutSeconds
    await wait(id, { forMs: timeoutSeconds * 1000 + WAIT_MS, signal: c.req.raw.signal })
    const delivery = await deliveries.find(tenantId, id)
    const isOver = delivery.finished_at !== null
    const attempt = isOver ? await attempts.get(id, delivery.attempt_count) : undefined
    if (!attempt) return c.json(presentDelivery(delivery), 202)
    const ids = { eventId: delivery.event_id, deliveryId: delivery.id }
    return c.json({ ...presentAttempt(attempt, c.get('caller')), ...ids }, 200)
  })
}

/** What fits the type if that is described. */
async function dataFor(type: string, endpointId: string, exampleOf: ExampleOf): Promise<unknown> {
  const example = await exampleOf(type).catch((error: unknown) => {
    if (error instanceof EventTypeNotFound) return null
    throw error
  })
  return example?.data ?? { message: 'A test of this endpoint, sent by hand.', endpointId }
}

/** Does not call when so many calls are under way. */
function bounded<Args extends unknown[]>(max: number, call: (...args: Args) => Promise<unknown>) {
  let running = 0
  return async (...args: Args): Promise<void> => {
    if (running >= max) return
    running += 1
    try {
      await call(...args)
    } finally {
      running -= 1
    }
  }
}
