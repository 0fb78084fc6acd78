import { z } from '@hono/zod-openapi'
import {
  type Fields,
  inputsOf,
  outputsOf,
  type Shown,
  shownId,
  shownOf,
  shownTime,
} from '../fields.ts'
import { endpointId, eventId } from '../ids.ts'
import type { OrderingKey } from './ordering-keys.ts'

const state = z.enum(['blocked', 'held', 'moving'])

const orderingKeyFields = {
  key: { column: 'ordering_key', output: z.string() },
  endpointId: { column: 'endpoint_id', output: shownId },
  state: {
    column: 'state',
    output: state.openapi({
      description:
        'blocked: the event whose turn it is has failed, and the others wait until it is retried with success, or skipped. held: the endpoint accepts no deliveries. moving: otherwise.',
    }),
  },
  blockedAt: { column: 'blocked_at', output: shownTime.nullable() },
  waiting: {
    column: 'waiting',
    output: z.int().openapi({ description: 'How many wait behind it; 10,000 = at least.' }),
  },
  eventId: {
    column: 'event_id',
    output: shownId.nullable().openapi({ description: 'The event whose turn it is.' }),
  },
  deliveryId: { column: 'id', output: shownId },
  deliveryState: { column: 'delivery_state', output: z.string().nullable() },
  nextAttemptAt: { column: 'next_attempt_at', output: shownTime.nullable() },
  lastAttemptAt: { column: 'last_attempt_at', output: shownTime.nullable() },
  lastStatusCode: { column: 'last_status_code', output: z.int().nullable() },
  lastError: { column: 'last_error', output: z.string().nullable() },
  nextEventId: {
    column: 'next_event_id',
    output: shownId.nullable().openapi({ description: 'The event that comes next.' }),
  },
} as const satisfies Fields<OrderingKey>

/** What a list of ordering keys has in columns. */
export const ORDERING_KEY_COLUMNS: (keyof Shown<typeof orderingKeyFields>)[] = [
  ...(['key', 'state', 'blockedAt', 'waiting', 'eventId', 'lastStatusCode', 'lastError'] as const),
  'nextEventId',
]

/** What ordering keys are chosen by. */
export const orderingKeyFilters = {
  state: {
    input: z.enum(['blocked']).optional().openapi({ description: 'Only blocked keys.' }),
    option: { value: '<state>', about: 'blocked: only keys that wait for a person' },
  },
} as const satisfies Fields
export const orderingKeyFilterInputs = inputsOf(orderingKeyFilters)

/** Of every endpoint. */
export const orderingListFilters = {
  ...orderingKeyFilters,
  endpointId: {
    input: endpointId.optional().openapi({ type: 'string', format: 'uuid' }),
    option: { name: 'endpoint', value: '<id>', about: 'only of this endpoint' },
  },
} as const satisfies Fields

export const skipToFields = {
  eventId: {
    input: eventId
      .clone()
      .openapi({ type: 'string', format: 'uuid', description: 'It is sent next.' }),
    option: {
      name: 'event',
      value: '<id>',
      about: 'the event that is sent next',
      isRequired: true,
    },
  },
} as const satisfies Fields

export const orderingKeySchema = z.object(outputsOf(orderingKeyFields)).openapi('OrderingKey')

export const presentOrderingKey = (one: OrderingKey): z.output<typeof orderingKeySchema> =>
  shownOf(orderingKeyFields, one)
