import { z } from '@hono/zod-openapi'
import { reasonSchema } from '../attempts/attempt.fields.ts'
import { deliveryFilters } from '../deliveries/delivery.fields.ts'
import { eventTypesInput } from '../endpoints/endpoint-input.ts'
import { type Fields, inputsOf, shownId } from '../fields.ts'
import { deliveryId } from '../ids.ts'
import { BULK_ACTIONS, type BulkPreview, CHOSEN_MAX } from './bulk.ts'
import { replayFields } from './replay.fields.ts'

const uuid = { type: 'string', format: 'uuid' } as const
export const DELIVERY_STATES = [
  ...(['pending', 'delivering', 'held', 'delivered', 'failed', 'cancelled', 'collapsed'] as const),
] as const
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const dateTime = { type: 'string', format: 'date-time' } as const

export const bulkFields = {
  action: {
    input: z.enum(BULK_ACTIONS).openapi({
      description: [
        '- `retry`: failed, cancelled and pending deliveries get their next attempt.',
        '- `cancel`: open deliveries end.',
        '- `release`: deliveries that a circuit holds are sent.',
        '- `redeliver`: finished deliveries are sent again.',
      ].join('\n'),
    }),
  },
  deliveryIds: {
    input: z
      .array(deliveryId)
      .min(1)
      .max(CHOSEN_MAX)
      .optional()
      .openapi({
        ...{ type: 'array', items: uuid, minItems: 1, maxItems: CHOSEN_MAX },
        description: 'Only these deliveries. Left out: all that match.',
      }),
    option: {
      name: 'delivery',
      value: '<ids>',
      about: 'comma separated; default: all that match',
    },
  },
  endpointId: deliveryFilters.endpointId,
  eventId: deliveryFilters.eventId,
  eventTypes: {
    input: eventTypesInput.optional(),
    example: replayFields.eventTypes.example,
    option: replayFields.eventTypes.option,
  },
  states: {
    input: z.array(z.enum(DELIVERY_STATES)).min(1).optional().openapi({
      description:
        'Only deliveries in these states. Left out: all that the action applies to, except collapsed ones.',
    }),
    example: replayFields.states.example,
    option: {
      name: 'state',
      value: '<states>',
      about: 'comma separated; default: all that it applies to',
    },
  },
  statusClass: {
    input: z.int().min(2).max(5).optional().openapi({
      description: '5: the last attempt returned 5xx.',
    }),
    example: replayFields.statusClass.example,
    option: replayFields.statusClass.option,
  },
  reason: {
    input: reasonSchema.optional(),
    option: { value: '<reason>', about: 'such as timeout_answer or tls_certificate' },
  },
  since: {
    input: time
      .optional()
      .openapi({ ...dateTime, description: 'Only what was created since then.' }),
    example: replayFields.since.example,
    option: { value: '<time>', about: 'created since then; ISO 8601' },
  },
  until: {
    input: time.optional().openapi({ ...dateTime, description: 'Only what was created before.' }),
    example: replayFields.until.example,
    option: { value: '<time>', about: 'created before; ISO 8601' },
  },
  ratePerSecond: {
    input: z.number().gt(0).max(1_000).optional().openapi({
      description: 'Deliveries per second. Default: 50, and 1,000 to cancel.',
    }),
    example: replayFields.ratePerSecond.example,
    option: { name: 'rate', value: '<n>', about: 'deliveries per second; 50, or 1,000 to cancel' },
    form: replayFields.ratePerSecond.form,
  },
  preview: {
    input: z
      .boolean()
      .default(false)
      .openapi({ description: 'Only count, and show the first ten.' }),
    option: { about: 'only count, and show the first ten' },
  },
} as const satisfies Fields

export const bulkInput = z
  .strictObject(inputsOf(bulkFields))
  .refine(({ since, until }) => !since || !until || until > since, {
    path: ['until'],
    message: 'is not after since',
  })
  .openapi('NewBulkJob')

export const bulkPreviewSchema = z
  .object({
    count: z.int().openapi({ description: '100,000 = at least.' }),
    sample: z.array(
      z.object({
        id: shownId,
        state: z.enum(DELIVERY_STATES),
        endpointId: shownId,
        url: z.string().openapi({ example: 'https://example.com/webhooks' }),
        eventType: z.string().nullable(),
      }),
    ),
  })
  .openapi('BulkPreview')

export const presentPreview = ({
  count,
  sample,
}: BulkPreview): z.output<typeof bulkPreviewSchema> => ({
  count,
  sample: sample.map(({ description: _, ...shown }) => shown),
})
