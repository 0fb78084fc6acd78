import { z } from '@hono/zod-openapi'
import { CLASS_CHOICES } from '../attempts/attempt-words.ts'
import { eventTypesInput } from '../endpoints/endpoint-input.ts'
import { type Fields, inputsOf, outputsOf, type Shown, shownOf } from '../fields.ts'
import { endpointId } from '../ids.ts'
import type { Replay } from './replays.ts'

/** More would be a load test of the receiver. */
const RATE_MAX = 1_000
const ISO = 'ISO 8601, such as 2026-01-31T12:00:00Z'

const mode = z.enum(['redeliver', 'missed'])
const shownMode = z.enum(['redeliver', 'missed', 'retry', 'cancel', 'release']).openapi({
  description: 'retry, cancel and release: bulk jobs.',
})
const shownTime = z.iso.datetime()
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text))
const dateTime = { type: 'string', format: 'date-time' } as const

/** From which number on a count of deliveries says “at least”. */
export const COUNTED_MAX = 100_000

export const replayFields = {
  id: { column: 'id', output: z.uuid() },
  mode: {
    column: 'mode',
    input: mode.default('redeliver').openapi({
      description:
        'redeliver: finished deliveries are sent again. missed: events that match the endpoint and have no delivery to it get one.',
    }),
    output: shownMode,
    option: {
      name: 'missed',
      about: 'send events that match the endpoint, but have no delivery to it',
      on: 'missed',
    },
    form: {
      label: 'Type',
      choices: [
        ['redeliver', 'Redeliver finished deliveries'],
        ['missed', 'Deliver events that an endpoint missed'],
      ],
      empty: undefined,
    },
  },
  state: { column: 'state', output: z.enum(['running', 'done', 'cancelled']) },
  endpointId: {
    column: 'endpoint_id',
    input: endpointId.optional().openapi({
      ...{ type: 'string', format: 'uuid' },
      description: 'Only this endpoint.',
    }),
    output: z.uuid().nullable(),
    option: { name: 'endpoint', value: '<id>', about: 'only to this endpoint' },
    form: {
      label: 'Endpoint',
      isCode: true,
      hint: 'ID of the endpoint. Leave empty for all endpoints of the tenant; required for missed events.',
      empty: undefined,
    },
  },
  since: {
    column: 'since',
    input: time.openapi({ ...dateTime, description: 'Only what was created since then.' }),
    output: shownTime,
    example: '2026-01-31T00:00:00.000Z',
    option: {
      value: '<time>',
      about: `created since then; ${ISO}`,
      isRequired: true,
    },
    form: { label: 'Since (UTC)', isTime: true, required: true },
  },
  until: {
    column: 'until',
    input: time
      .optional()
      .openapi({ ...dateTime, description: 'Only what was created before. Default: now.' }),
    output: shownTime,
    example: '2026-02-01T00:00:00.000Z',
    option: { value: '<time>', about: `created before; ${ISO}; default: now` },
    form: { label: 'Until (UTC)', isTime: true, hint: 'Leave empty for now.', empty: undefined },
  },
  eventTypes: {
    column: 'event_types',
    input: eventTypesInput.optional(),
    output: z.array(z.string()),
    example: ['invoice.paid', 'order.*'],
    option: {
      name: 'type',
      value: '<types>',
      about: 'comma separated: names, or patterns such as order.*',
    },
    form: { label: 'Event types', isCode: true, placeholder: 'invoice.*', empty: undefined },
  },
  states: {
    column: 'states',
    input: z
      .array(z.enum(['delivered', 'failed', 'cancelled', 'collapsed']))
      .min(1)
      .optional()
      .openapi({ description: 'redeliver: only deliveries that ended so. Default: failed.' }),
    output: z.array(z.string()),
    example: ['failed'],
    option: {
      name: 'state',
      value: '<states>',
      about: 'comma separated: delivered, failed, cancelled, collapsed; default: failed',
    },
    form: {
      label: 'Final state',
      choices: [
        ['failed', 'Failed'],
        ['cancelled', 'Cancelled'],
        ['delivered', 'Delivered'],
        ['collapsed', 'Collapsed'],
      ],
    },
  },
  statusClass: {
    column: 'status_class',
    input: z.int().min(2).max(5).optional().openapi({
      description: 'redeliver: only if the last response was of this class: 4 for 4xx.',
    }),
    output: z.int().nullable(),
    example: 5,
    option: { value: '<n>', about: '5 for deliveries whose last response was 5xx' },
    form: {
      label: 'Last response',
      choices: CLASS_CHOICES,
      empty: undefined,
    },
  },
  ratePerSecond: {
    column: 'rate_per_second',
    input: z.number().gt(0).max(RATE_MAX).default(50),
    output: z.number(),
    example: 10,
    show: ({ rate_per_second: rate }) => Number(rate),
    option: { name: 'rate', value: '<n>', about: 'deliveries per second; default: 50' },
    form: { label: 'Deliveries per second', required: true },
  },
  preview: {
    input: z.boolean().default(false).openapi({ description: 'Only count.' }),
    option: { about: 'only count' },
  },
  total: {
    column: 'total',
    output: z
      .int()
      .openapi({ description: 'How many there were when it began; 100,000 = at least.' }),
  },
  done: { column: 'done', output: z.int().openapi({ description: 'How many it has made due.' }) },
  skipped: {
    column: 'skipped',
    output: z.int().openapi({
      description: 'How many it passed over: in flight, endpoint accepts no work, or data gone.',
    }),
  },
  oneAttempt: {
    output: z.boolean().openapi({
      description: 'Whether what had ended is tried once, without its retry schedule: a recovery.',
    }),
    show: ({ one_attempt: oneAttempt }) => oneAttempt ?? false,
  },
  createdAt: { column: 'created_at', output: shownTime },
  finishedAt: { column: 'finished_at', output: shownTime.nullable() },
} as const satisfies Fields<Replay>

/** What a list of replays has in columns. */
export const REPLAY_COLUMNS: (keyof Shown<typeof replayFields>)[] = [
  ...(['id', 'state', 'mode', 'done', 'total', 'since', 'until', 'createdAt'] as const),
]

export const replayInput = z
  .strictObject(inputsOf(replayFields))
  .refine((given) => given.mode === 'redeliver' || given.endpointId !== undefined, {
    path: ['endpointId'],
    message: 'is required for mode missed',
  })
  .refine(({ since, until }) => until === undefined || until > since, {
    path: ['until'],
    message: 'is not after since',
  })
  .openapi('NewReplay')

export const replaySchema = z.object(outputsOf(replayFields)).openapi('Replay')

export const presentReplay = (replay: Replay): z.output<typeof replaySchema> =>
  shownOf(replayFields, replay)
