import type { Attempt, Attempts } from '../attempts/attempts.ts'
import type { Deliveries, Delivery } from '../deliveries/deliveries.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import { EventTypeNotFound } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import type { TestEvents } from './test-events.ts'

/** Next to the time that the receiver has: to be claimed and written down, and a limit of the endpoint. */
const WAIT_MS = 3_000
/** Each asks the database a few times a second. Anyone who comes on top looks at the delivery later. */
const WAITING_MAX = 50

/** Of events that say no type. */
export const TEST_TYPE = 'postrider.test'

interface TestOptions {
  type?: string | undefined
  /** Any JSON except null; left out: an example. */
  data?: unknown
  /** Nobody waits for the attempt any more. */
  signal: AbortSignal
}

/**
 * Sends an example event to an endpoint, and waits for its one attempt; without it where that is under way.
 *
 * @throws EndpointNotFound, OperationRefused, PublishRefused
 */
export type TestEndpoint = (
  tenantId: TenantId,
  id: EndpointId,
  options: TestOptions,
) => Promise<{ delivery: Delivery; attempt: Attempt | undefined }>

interface TestEndpointOptions {
  endpoints: Pick<Endpoints, 'get'>
  deliveries: Pick<Deliveries, 'find'>
  attempts: Pick<Attempts, 'get'>
  testEvents: TestEvents
  exampleOf: ExampleOf
  /** For endpoints without their own timeout. */
  deliveryTimeoutSeconds: number
}

export function createTestEndpoint(options: TestEndpointOptions): TestEndpoint {
  const { endpoints, deliveries, attempts, testEvents, exampleOf } = options
  const wait = bounded(WAITING_MAX, testEvents.finished)
  return async (tenantId, endpointId, { type = TEST_TYPE, data, signal }) => {
    const endpoint = await endpoints.get(tenantId, endpointId)
    const sent = data ?? (await dataFor(type, endpoint.id, exampleOf))
    const event = { type, data: JSON.stringify(sent) }
    const id = await testEvents.publish(tenantId, endpoint.id, event)

    const timeoutSeconds = endpoint.timeout_seconds ?? options.deliveryTimeoutSeconds
    await wait(id, { forMs: timeoutSeconds * 1000 + WAIT_MS, signal })
    const delivery = await deliveries.find(tenantId, id)
    const isOver = delivery.finished_at !== null
    const attempt = isOver ? await attempts.get(id, delivery.attempt_count) : undefined
    return { delivery, attempt }
  }
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
