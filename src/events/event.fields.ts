import { z } from '@hono/zod-openapi'
import { deliverySchema, presentDelivery } from '../deliveries/delivery.fields.ts'
import { eventTypePattern } from '../endpoints/endpoint-input.ts'
import { type Fields, outputsOf, type Shown, shownId, shownOf, shownTime } from '../fields.ts'
import { storableText } from '../http/validation.ts'
import { endpointId } from '../ids.ts'
import type { EventWithDeliveries } from './events.ts'
import { REASONS, type Route } from './routing.ts'

const SEARCH_LENGTH_MAX = 200

const eventFields = {
  id: { column: 'id', output: shownId },
  type: { column: 'type', output: z.string(), example: 'invoice.paid' },
  data: {
    column: 'data',
    output: z
      .unknown()
      .openapi({ description: 'As published, to the byte, unless members of it are masked.' }),
    example: { id: 1, amount: 100 },
  },
  masked: {
    column: 'isMasked',
    output: z.boolean().openapi({ description: 'Whether the event type masks members of `data`.' }),
    example: false,
  },
  occurredAt: { column: 'occurred_at', output: shownTime },
  createdAt: { column: 'created_at', output: shownTime },
  idempotencyKey: {
    column: 'idempotency_key',
    output: z.string().nullable(),
    example: 'invoice-1-paid',
  },
  orderingKey: {
    column: 'ordering_key',
    output: z.string().nullable(),
    example: 'invoice:1',
  },
  channels: {
    column: 'channels',
    output: z.array(z.string()).nullable(),
    example: ['project-1'],
  },
  deliveries: {
    output: z.array(deliverySchema),
    show: (event) => event.deliveries.map(presentDelivery),
  },
} as const satisfies Fields<EventWithDeliveries>

/** What events are chosen by. */
export const eventFilters = {
  type: {
    input: eventTypePattern
      .optional()
      .openapi({ description: 'A name, or a pattern such as order.*' }),
    option: { value: '<type>', about: 'only of this type or pattern, such as order.*' },
  },
  endpointId: {
    input: endpointId.optional().openapi({
      type: 'string',
      format: 'uuid',
      description: 'Only events with a delivery to this endpoint.',
    }),
    option: { name: 'endpoint', value: '<id>', about: 'only with a delivery to this endpoint' },
  },
  state: {
    input: deliverySchema.shape.state.optional().openapi({
      description: 'Only events with a delivery in this state.',
    }),
    option: { value: '<state>', about: 'with a delivery that is pending, failed, …' },
  },
  search: {
    input: storableText(SEARCH_LENGTH_MAX)
      .min(1)
      .optional()
      .openapi({
        description:
          'An id of an event or delivery, or an idempotency key, whenever it was; otherwise an ordering key, or text in the data, of ' +
          'the time from since to until, by default the last day, at most 31.',
      }),
    option: {
      value: '<text>',
      about:
        'an id or idempotency key, otherwise an ordering key or text in the data of the last day (--since, --until)',
    },
  },
} as const satisfies Fields

/** How one is shown. */
export const eventShowFields = {
  reveal: {
    input: z
      .enum(['true', 'false'])
      .transform((text) => text === 'true')
      .optional()
      .openapi({
        description:
          'Shows masked members of the data; takes a key with the scope `reveal`, and is written to the audit log.',
      }),
    option: { about: 'show masked data; needs the scope reveal, and is audited' },
  },
} as const satisfies Fields

/** Whether an endpoint got an event, and why not. */
const routeFields = {
  endpointId: { column: 'endpointId', output: shownId },
  url: { column: 'url', output: z.string(), example: 'https://example.com/webhooks' },
  matched: { output: z.boolean(), show: ({ reason }) => reason === null },
  reason: {
    column: 'reason',
    output: z
      .enum([
        ...(['type', 'channel', 'filter', 'filter_waiting', 'disabled', 'created_later'] as const),
        ...(['changed_later', 'erased', 'test'] as const),
      ])
      .nullable(),
    example: null,
  },
  detail: {
    output: z.string().nullable().openapi({ description: 'The reason in words.' }),
    show: ({ reason }) => reason && REASONS[reason],
  },
  changedSince: {
    column: 'changedSince',
    output: z.boolean().openapi({
      description: 'The endpoint was changed after the event; the reason is about how it is now.',
    }),
  },
  deliveryId: { column: 'deliveryId', output: shownId.nullable() },
} as const satisfies Fields<Route>

/** What the routes of an event have in columns. */
export const ROUTE_COLUMNS: (keyof Shown<typeof routeFields>)[] = [
  ...(['endpointId', 'matched', 'detail', 'url'] as const),
]

export const eventSchema = z.object(outputsOf(eventFields)).openapi('Event')
const routeSchema = z.object(outputsOf(routeFields)).openapi('Route')
export const eventWithRoutingSchema = eventSchema
  .extend({
    routing: z.array(routeSchema).openapi({
      description: 'Up to 100 endpoints of the tenant; the ones that got the event come first.',
    }),
  })
  .openapi('EventWithRouting')

export const publishedSchema = z
  .object({
    id: shownId,
    deliveries: z.int().openapi({ description: 'Endpoints that it goes to.' }),
    duplicate: z.boolean().openapi({
      description: 'Stored by an earlier request with the same idempotency key.',
    }),
  })
  .openapi('Published')

export const presentRoute = (route: Route): z.output<typeof routeSchema> =>
  shownOf(routeFields, route)

/**
 * The JSON text of an event. `data` goes in as the text that was published, since parsing it and
 * writing it again would round large numbers.
 *
 * @param more members that go behind the others
 */
export function eventText(event: EventWithDeliveries, more: object = {}): string {
  const { id, type, data: _, ...rest } = shownOf(eventFields, event)
  const [before, after] = [JSON.stringify({ id, type }), JSON.stringify({ ...rest, ...more })]
  return `${before.slice(0, -1)},"data":${event.data},${after.slice(1)}`
}
