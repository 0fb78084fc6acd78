import { z } from '@hono/zod-openapi'
import { visibleText, withHidden } from '../http/validation.ts'
import type { Refusal } from '../problem.ts'
import { isReservedHeader } from '../sending/request-headers.ts'
import { anySigns, mistakeInTemplate } from '../sending/signature-headers.ts'
import { HEADER_NAME } from './endpoint-input.ts'

/** What an endpoint can be sent of an event; sql/functions/endpoints/shapes.sql makes it. */
export const SHAPES = [
  ...(['standard', 'raw', 'thin', 'fields', 'cloudevents', 'cloudevents-binary'] as const),
  ...(['slack', 'teams', 'discord', 'svix'] as const),
] as const

/** For a form. */
export const SHAPE_CHOICES = [
  ['standard', 'Type, time and data (Standard Webhooks)'],
  ['raw', 'The data alone'],
  ['thin', 'ID, type, time and a link to the rest'],
  ['fields', 'Type, time and chosen fields of the data'],
  ['cloudevents', 'CloudEvents 1.0, structured'],
  ['cloudevents-binary', 'CloudEvents 1.0, binary'],
  ['slack', 'A message for Slack'],
  ['teams', 'A message for Microsoft Teams'],
  ['discord', 'A message for Discord'],
  ['svix', 'As Svix sends it'],
] as const

const PATHS_MAX = 50
const PATH_LENGTH_MAX = 200
const TEMPLATE_LENGTH_MAX = 2000
const SIGNATURE_HEADERS_MAX = 5
const TEMPLATE_OF_HEADER_LENGTH_MAX = 200
/** `$.a."b c"[0]`: what postrider.path_steps reads. Each step costs a pass over the data. */
const PATH = /^\$(?:\."[^"\\]+"|\.[A-Za-z_][A-Za-z0-9_]*|\[\d{1,4}\]){1,10}$/

/** What stands between {{ and }} in a message, and what postrider.message reads there. */
const PLACE = /\{\{(.*?)\}\}/gs
const STEP = /(?:\."[^"\\]+"|\.[^."'[\]\s{}()|\\]+|\[\d{1,4}\])/
const NAME = new RegExp(`^ *(?:type|id|timestamp|data${STEP.source}{0,10}) *$`)

export const shapeInput = z.enum(SHAPES).openapi({
  description:
    'What it is sent of an event: `standard` ({type, timestamp, data}), `raw` (the data alone), `thin` ({id, type, timestamp, link}), `fields` (standard, with the members of the data that `shapeFields` names), `cloudevents` or `cloudevents-binary` (CloudEvents 1.0), a message of `shapeTemplate` for `slack`, `teams` or `discord`, or `svix` (the data alone, with the headers and ids that Svix sends).',
})

export const shapeFieldsInput = z
  .array(
    z
      .string()
      .max(PATH_LENGTH_MAX)
      .regex(
        PATH,
        'is not a path like $.customer.id, $.items[0] or $."first name", of up to 10 steps',
      ),
  )
  .min(1)
  .max(PATHS_MAX)
  .nullable()
  .openapi({
    description: `With the shape \`fields\`: paths of the members of the data that are sent; at most ${PATHS_MAX}. What an event does not have is left out.`,
  })

export const shapeTemplateInput = visibleText(TEMPLATE_LENGTH_MAX, 'prose')
  .min(1)
  .superRefine((text, context) => {
    const message = mistakeInMessage(text)
    if (message) context.addIssue(message)
  })
  .nullable()
  .openapi({
    description:
      'With the shapes `slack`, `teams` and `discord`: the text. {{type}}, {{id}}, {{timestamp}}, {{data}} and paths such as {{data.customer.name}} stand for what the event has. null = {{type}} {{data}}.',
  })

export const signatureHeadersInput = z
  .record(z.string(), z.string().max(TEMPLATE_OF_HEADER_LENGTH_MAX))
  .superRefine((templates, context) => {
    for (const [name, template] of Object.entries(templates)) {
      const message = mistakeInName(name) ?? mistakeInTemplate(template)
      if (message) context.addIssue({ code: 'custom', path: [name], message })
    }
    const names = Object.keys(templates).map((name) => name.toLowerCase())
    if (new Set(names).size < names.length) {
      context.addIssue({ code: 'custom', message: 'have a name twice' })
    }
  })
  .refine(
    (templates) => Object.keys(templates).length <= SIGNATURE_HEADERS_MAX,
    `are more than ${SIGNATURE_HEADERS_MAX}`,
  )
  .openapi({
    description: `Headers in the form of other schemes, next to \`webhook-signature\` or instead of it (\`webhookSignature\`); at most ${SIGNATURE_HEADERS_MAX}. \`{hmac_hex}\` and \`{hmac_base64}\` are HMAC-SHA256 over what stands behind “ over ”; \`{timestamp}\`, \`{id}\` and \`{body}\` are those of the request. What is in brackets is there once for each live secret.`,
  })

function mistakeInMessage(template: string): string | null {
  const unknown = [...template.matchAll(PLACE)].find(([, name = '']) => !NAME.test(name))
  if (unknown) {
    return `has ${unknown[0]}, which stands for nothing: write {{type}}, {{id}}, {{timestamp}}, {{data}}, or a path of up to 10 steps like {{data.items[0].name}} or {{data."first name"}}`
  }
  const isOpen = template.replace(PLACE, ' ').includes('{{')
  return isOpen ? 'has {{ without }} behind it; close it, as in {{data.amount}}' : null
}

function mistakeInName(name: string): string | null {
  if (!HEADER_NAME.test(name)) return withHidden('is not the name of a header', name)
  return isReservedHeader(name) ? 'is set by Postrider' : null
}

/** What two settings together do not allow. */
class ShapeInvalid extends Error {
  override readonly name = 'ShapeInvalid'
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }

  get refusal(): Refusal {
    return { of: 'request_invalid', errors: [{ field: this.field, message: this.message }] }
  }
}

interface ShapeColumns {
  shape: string
  shape_fields: readonly string[] | null
  signature_headers: Readonly<Record<string, string>>
  webhook_signature: string
  batch_bounds: object | null
}

/** Where nobody knows what people reach the service by, no link leads to the rest of an event. @throws ShapeInvalid */
export function assertLinkable(shape: string | undefined, hasPublicUrl: boolean): void {
  if (shape === 'thin' && !hasPublicUrl) {
    throw new ShapeInvalid(
      'shape',
      'cannot be thin without PUBLIC_URL: its events have a link to the service',
    )
  }
}

/** @throws ShapeInvalid */
export function assertShape<Row extends ShapeColumns>(row: Row): Row {
  if (row.shape === 'fields' && row.shape_fields === null) {
    throw new ShapeInvalid('shapeFields', 'is required with the shape fields')
  }
  if (row.webhook_signature === 'omit' && !anySigns(row.signature_headers)) {
    throw new ShapeInvalid(
      'webhookSignature',
      'cannot be omitted without signature headers that sign',
    )
  }
  const isUsual = row.shape === 'standard' && Object.keys(row.signature_headers).length === 0
  if (row.batch_bounds !== null && !isUsual) {
    throw new ShapeInvalid(
      'batch',
      'goes with the shape standard only, and without signatureHeaders',
    )
  }
  return row
}

/** @throws ShapeInvalid */
export function assertMakesHmac(
  templates: Readonly<Record<string, string>> | undefined,
  isPrivateKey: boolean,
): void {
  if (isPrivateKey && anySigns(templates ?? {})) {
    throw new ShapeInvalid(
      'signatureHeaders',
      'cannot be signed with an ed25519 secret: use one of the kind hmac',
    )
  }
}
