import { z } from '@hono/zod-openapi'
import type { Caller } from '../access/caller.ts'
import { attemptSchema, presentAttempt, reasonSchema } from '../attempts/attempt.fields.ts'
import type { Attempt } from '../attempts/attempts.ts'
import { eventTypePattern } from '../endpoints/endpoint-input.ts'
import { type Fields, outputsOf, type Shown, shownId, shownOf, shownTime } from '../fields.ts'
import { endpointId, eventId } from '../ids.ts'
import type { HeldReason } from '../postgres/schema.ts'
import { type Delivery, isOneAttempt, nextAttemptAt } from './deliveries.ts'

/** What the reasons say for which deliveries are held. */
export const HELD_REASONS: Record<HeldReason, string> = {
  disabled: 'The endpoint is disabled.',
  paused: 'The endpoint is paused, or all deliveries are.',
  suspended: 'The tenant is suspended.',
  secret: 'No key of the service opens the secret or the client key of the endpoint.',
  circuit: 'The endpoint is failing: only a probe is sent now and then.',
  order: 'An earlier event with the same ordering key has not ended.',
}

const heldReasonSchema = z
  .enum(Object.keys(HELD_REASONS) as [HeldReason, ...HeldReason[]])
  .openapi('HeldReason', {
    description: [
      'Why a delivery is held at this moment. Null while it is not held.',
      ...Object.entries(HELD_REASONS).map(([reason, meaning]) => `- \`${reason}\`: ${meaning}`),
    ].join('\n'),
  })
const state = z.enum([
  ...(['pending', 'delivering', 'delivered', 'failed', 'held', 'cancelled', 'collapsed'] as const),
])

const deliveryFields = {
  id: { column: 'id', output: shownId },
  eventId: { column: 'event_id', output: shownId },
  endpointId: { column: 'endpoint_id', output: shownId },
  state: { column: 'state', output: state },
  heldReason: { column: 'held_reason', output: z.union([heldReasonSchema, z.null()]) },
  orderingKey: {
    column: 'ordering_key',
    output: z
      .string()
      .nullable()
      .openapi({ description: 'Where its endpoint orders by key or collapses.' }),
  },
  collapsedBy: {
    column: 'collapsed_by',
    output: shownId.nullable().openapi({
      description:
        'Where it is collapsed: the newer event of its ordering key that replaced it. That one can be collapsed in turn.',
    }),
    example: null,
  },
  attemptCount: { column: 'attempt_count', output: z.int() },
  oneAttempt: {
    output: z.boolean().openapi({
      description:
        'Whether one attempt ends it, whatever the outcome: a test event, an event that was sent again, or a recovery. False: retried on the schedule of its endpoint.',
    }),
    show: isOneAttempt,
  },
  nextAttemptAt: {
    output: shownTime.nullable().openapi({
      description:
        'ISO 8601, in UTC; in the past when it is due and runners are busy. Where a limit of the endpoint has put it off, when its turn is.',
    }),
    show: nextAttemptAt,
  },
  createdAt: { column: 'created_at', output: shownTime },
  finishedAt: { column: 'finished_at', output: shownTime.nullable() },
} as const satisfies Fields<Delivery>

/** What a list of deliveries has in columns. */
export const DELIVERY_COLUMNS: (keyof Shown<typeof deliveryFields>)[] = [
  ...(['id', 'state', 'heldReason', 'attemptCount', 'nextAttemptAt', 'eventId'] as const),
  'endpointId',
]

const uuid = { type: 'string', format: 'uuid' } as const

/** What deliveries are chosen by. */
export const deliveryFilters = {
  state: {
    input: state.optional(),
    option: {
      value: '<state>',
      about: 'pending, delivering, delivered, failed, held, cancelled or collapsed',
    },
  },
  endpointId: {
    input: endpointId.optional().openapi(uuid),
    option: { name: 'endpoint', value: '<id>', about: 'only to this endpoint' },
  },
  eventId: {
    input: eventId.optional().openapi(uuid),
    option: { name: 'event', value: '<id>', about: 'only of this event' },
  },
  type: {
    input: eventTypePattern.optional().openapi({
      description: 'Type of the event: a name, or a pattern such as order.*',
    }),
    option: { value: '<type>', about: 'only of events of this type or pattern, such as order.*' },
  },
  statusClass: {
    input: z
      .enum(['2', '3', '4', '5'])
      .transform(Number)
      .optional()
      .openapi({ type: 'integer', description: '4: the last response was 4xx.' }),
    option: { value: '<n>', about: '5 for deliveries whose last response was 5xx' },
  },
  reason: {
    input: reasonSchema
      .optional()
      .openapi({ param: { description: 'Why the last attempt did not deliver.' } }),
    option: { value: '<reason>', about: 'such as timeout_answer or tls_certificate' },
  },
} as const satisfies Fields

export const deliverySchema = z.object(outputsOf(deliveryFields)).openapi('Delivery')
export const deliveryWithAttemptsSchema = deliverySchema
  .extend({ attempts: z.array(attemptSchema) })
  .openapi('DeliveryWithAttempts')

export const presentDelivery = (delivery: Delivery): z.output<typeof deliverySchema> =>
  shownOf(deliveryFields, delivery)

export const presentDeliveryWithAttempts = (
  delivery: Delivery & { attempts: Attempt[] },
  caller: Pick<Caller, 'tenant'>,
): z.output<typeof deliveryWithAttemptsSchema> => ({
  ...presentDelivery(delivery),
  attempts: delivery.attempts.map((attempt) => presentAttempt(attempt, caller)),
})
