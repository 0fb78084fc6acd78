import { z } from '@hono/zod-openapi'
import type { EventType } from '../event-types/event-types.ts'
import { storableText } from '../http/validation.ts'
import { svixUnsupported } from './svix-application.fields.ts'

const NAME_LENGTH_MAX = 128
const DESCRIPTION_LENGTH_MAX = 1_000
const GROUP_LENGTH_MAX = 256

export const svixEventTypeName = z
  .string()
  .max(NAME_LENGTH_MAX)
  .regex(
    /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
    'is not a name such as invoice.paid: letters, digits, _ and -, in parts with a dot between them',
  )
  .openapi({ example: 'invoice.paid' })

const description = storableText(DESCRIPTION_LENGTH_MAX)
  .refine((text) => !/(?![\n\r\t])\p{Cc}/u.test(text), 'contains a control character')
  .openapi({ example: 'An invoice was paid' })
const schemas = z
  .record(storableText(GROUP_LENGTH_MAX), z.unknown())
  .openapi({ description: 'JSON Schemas by version. They are kept, and validate nothing.' })
const groupName = storableText(GROUP_LENGTH_MAX)
const NO_FLAGS = 'Postrider has no feature flags, and everyone would see what they hide'
const featureFlags = z
  .unknown()
  .optional()
  .refine(
    (value) =>
      value === undefined || value === null || (Array.isArray(value) && value.length === 0),
    NO_FLAGS,
  )
  .openapi({ description: 'Not supported.' })

const settings = {
  archived: z.boolean().nullish(),
  deprecated: z.boolean().nullish(),
  schemas: schemas.nullish(),
  groupName: groupName.nullish(),
  featureFlag: svixUnsupported(NO_FLAGS),
  featureFlags,
}

export const svixEventTypeInput = z
  .object({ name: svixEventTypeName, description, ...settings })
  .openapi('EventTypeIn')

export const svixEventTypeUpdate = z.object({ description, ...settings }).openapi('EventTypeUpdate')

export const svixEventTypePatch = z
  .object({ description: description.optional(), ...settings })
  .openapi('EventTypePatch')

export const svixEventTypeSchema = z
  .object({
    name: z.string().openapi({ example: 'invoice.paid' }),
    description: z.string(),
    archived: z.boolean(),
    deprecated: z.boolean(),
    schemas: z.record(z.string(), z.unknown()).nullable(),
    groupName: z.string().optional(),
    featureFlag: z.null(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi('EventTypeOut')

/** @param withContent whether schemas are shown */
export const presentSvixEventType = (
  eventType: EventType,
  { withContent = true } = {},
): z.output<typeof svixEventTypeSchema> => ({
  name: eventType.name,
  description: eventType.description,
  archived: eventType.archived_at !== null,
  deprecated: eventType.deprecated_at !== null,
  schemas: withContent ? schemasOf(eventType) : null,
  ...(eventType.group_name !== null && { groupName: eventType.group_name }),
  featureFlag: null,
  createdAt: eventType.created_at.toISOString(),
  updatedAt: eventType.updated_at.toISOString(),
})

/** The schema of one that was described in another way is its only version. */
function schemasOf({ svix_schemas: given, schema }: EventType): Record<string, unknown> | null {
  if (given !== null) return JSON.parse(given)
  return schema === null ? null : { 1: schema }
}
