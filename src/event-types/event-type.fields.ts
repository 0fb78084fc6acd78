import { z } from '@hono/zod-openapi'
import { type Fields, inputsOf, outputsOf, type Shown, shownOf } from '../fields.ts'
import { visibleText } from '../http/validation.ts'
import type { EventType, EventTypeVersion } from './event-types.ts'

const DESCRIPTION_LENGTH_MAX = 1000
const time = z.iso.datetime()
const MASKED_MAX = 50
/** Names of members, or all of the data. */
const maskPath = visibleText(200, 'name').regex(
  /^(?:\*|[^\s,.*]+(?:\.[^\s,.*]+)*)$/,
  'is not a path such as customer.email, nor *',
)

export const eventTypeFields = {
  name: {
    column: 'name',
    output: z.string(),
    example: 'invoice.paid',
    form: { label: 'Name', required: true, isCode: true, placeholder: 'invoice.paid' },
  },
  description: {
    column: 'description',
    input: visibleText(DESCRIPTION_LENGTH_MAX, 'prose').optional(),
    output: z.string(),
    example: 'An invoice was paid',
    option: {
      value: '<text>',
      about: 'shown in the console and the portal',
      off: 'no description',
    },
    form: { label: 'Description', placeholder: 'An invoice was paid' },
  },
  schema: {
    column: 'schema',
    input: z
      .union([z.record(z.string(), z.unknown()), z.boolean()])
      .nullable()
      .optional()
      .openapi({
        description: 'JSON Schema 2020-12 of the data, with local references only; null = none.',
        type: ['object', 'boolean', 'null'],
      }),
    output: z.unknown(),
    example: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
    option: {
      value: '<file>',
      about: 'JSON Schema 2020-12 of the data; - reads stdin',
      off: 'no schema: any data',
    },
    form: {
      label: 'JSON Schema of the data',
      rows: 10,
      isCode: true,
      isJson: true,
      hint: 'JSON Schema 2020-12. Events published over HTTP must match it. Leave empty to accept any data.',
    },
  },
  mask: {
    column: 'mask',
    input: z
      .array(maskPath)
      .max(MASKED_MAX)
      .optional()
      .openapi({
        description:
          'Members of the data that the API and the console show as `***`: paths such as `customer.email`, through arrays; ' +
          '`*` = all of it. Receivers get them. A key with `reveal` sees them, one event at a time, in the audit log.',
      }),
    output: z.array(z.string()),
    example: ['customer.email'],
    option: {
      value: '<paths>',
      about: 'mask these members of the data, comma separated, such as customer.email; * = all',
      off: 'nothing is masked',
    },
    form: {
      label: 'Masked data',
      isCode: true,
      placeholder: 'customer.email, card',
      hint: 'Paths in the data that the console and the API show as `***`; `*` masks all of it. Receivers get everything.',
    },
  },
  deprecated: {
    input: z.boolean().optional(),
    example: false,
    option: { about: 'mark it as deprecated', off: 'remove the deprecation' },
  },
  deprecatedAt: { column: 'deprecated_at', output: time.nullable() },
  archivedAt: {
    column: 'archived_at',
    output: time.nullable().openapi({
      description:
        'Since when lists of the Svix-compatible API leave it out; it is still published and delivered.',
    }),
    example: null,
  },
  createdAt: { column: 'created_at', output: time },
  updatedAt: { column: 'updated_at', output: time },
} as const satisfies Fields<EventType>

/** What a list of event types has in columns. */
export const EVENT_TYPE_COLUMNS: (keyof Shown<typeof eventTypeFields>)[] = [
  ...(['name', 'deprecatedAt', 'description'] as const),
]

export const eventTypeInput = z.strictObject(inputsOf(eventTypeFields)).openapi('EventTypeChange')
export const eventTypeSchema = z.object(outputsOf(eventTypeFields)).openapi('EventType')

export const presentEventType = (eventType: EventType): z.output<typeof eventTypeSchema> =>
  shownOf(eventTypeFields, eventType)

const versionFields = {
  version: { column: 'version', output: z.int(), example: 2 },
  schema: { column: 'schema', output: z.unknown(), example: eventTypeFields.schema.example },
  createdAt: { column: 'created_at', output: time },
} as const satisfies Fields<EventTypeVersion>

export const versionSchema = z.object(outputsOf(versionFields)).openapi('EventTypeVersion')

export const presentVersion = (version: EventTypeVersion): z.output<typeof versionSchema> =>
  shownOf(versionFields, version)
