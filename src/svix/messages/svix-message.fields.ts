import { z } from '@hono/zod-openapi'
import { eventType } from '../../events/event-input.ts'
import { isDeeperThan } from '../../http/json-text.ts'
import { JSON_DEPTH_MAX } from '../../http/request-body.ts'
import { svixApplicationInput, svixUid, svixUnsupported } from '../svix-application.fields.ts'
import { svixId } from '../svix-id.ts'
import { svixTimeQuery } from '../svix-page.ts'
import { svixFlag } from '../svix-route.ts'
import type { NewSvixMessage, SvixMessage } from './svix-messages.ts'

const CHANNEL = /^[A-Za-z0-9._-]{1,128}$/
const CHANNELS_MAX = 5
const TAGS_MAX = 8
const RETENTION_DAYS = { min: 5, max: 90 }
const DAY_MS = 86_400_000

const channel = z.string().regex(CHANNEL, 'is not made of letters, digits and . _ -')
const names = (most: number) =>
  z
    .array(channel)
    .min(1)
    .max(most)
    .transform((all) => [...new Set(all)])

const isObjectText = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}

const transformationsParams = z
  .object({
    rawPayload: z
      .string()
      .refine(isObjectText, 'is supported only where it is a JSON object or array')
      .refine((text) => !isDeeperThan(Buffer.from(text), JSON_DEPTH_MAX), 'is nested too deeply')
      .nullish(),
    headers: svixUnsupported('set headers of the endpoint'),
  })
  .nullish()
  .openapi({
    type: ['object', 'null'],
    description: '`rawPayload`, where it is JSON, is sent in place of the payload.',
  })

const payload = z.record(z.string(), z.unknown())

export const svixMessageInput = z
  .object({
    eventId: svixUid('msg')
      .nullish()
      .openapi({
        type: ['string', 'null'],
        description: 'Within 7 days a second message with it is refused (409).',
      }),
    eventType,
    payload: payload.optional().openapi({
      description: 'The body that receivers get, byte for byte.',
      example: { email: 'a@example.com' },
    }),
    data: payload.optional().openapi({ description: 'The same as `payload`.' }),
    channels: names(CHANNELS_MAX)
      .nullish()
      .openapi({ type: ['array', 'null'] }),
    tags: names(TAGS_MAX)
      .nullish()
      .openapi({ type: ['array', 'null'] }),
    deliverAt: z.iso.datetime({ offset: true }).nullish(),
    payloadRetentionPeriod: z
      .int()
      .min(RETENTION_DAYS.min)
      .max(RETENTION_DAYS.max)
      .nullish()
      .openapi({
        description:
          'Days until the payload is erased, from `deliverAt` where that is later. Default: kept as long as other events.',
      }),
    payloadRetentionHours: svixUnsupported('give payloadRetentionPeriod, in days'),
    transformationsParams,
    application: svixApplicationInput.nullish().openapi({
      type: ['object', 'null'],
      description: 'Created if the path names none; its uid has to be that of the path.',
    }),
  })
  .superRefine(({ payload: given, data }, context) => {
    if ((given ?? data) !== undefined) return
    context.addIssue({ code: 'custom', path: ['payload'], message: 'is required: an object' })
  })
  .openapi('MessageIn')

export type SvixMessageInput = z.output<typeof svixMessageInput>

/** @param text of the payload as it came */
export function newMessageOf(
  { eventType: type, transformationsParams: params, ...input }: SvixMessageInput,
  text: string,
  now: number,
): NewSvixMessage {
  const { payloadRetentionPeriod: days, deliverAt } = input
  const sentFrom = deliverAt ? Math.max(now, Date.parse(deliverAt)) : now
  return {
    type,
    payload: params?.rawPayload ?? text.trim(),
    eventId: input.eventId ?? null,
    channels: input.channels ?? null,
    tags: input.tags ?? null,
    deliverAt: input.deliverAt ?? null,
    eraseAt: days ? new Date(sentFrom + days * DAY_MS).toISOString() : null,
  }
}

export const withContent = z.object({
  with_content: svixFlag.openapi({ description: 'false leaves out payloads: they are `{}`.' }),
})

/** Its values may come as `a,b`, more than once, and with `[]` or `[0]` behind the name: see `eventTypesOf`. */
const eventTypes = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .openapi({ type: 'array', items: { type: 'string' }, description: 'Only of these types.' })

/** Filters on what a message is. */
export const svixMessageFilters = {
  channel: channel.optional().openapi({ description: 'Only of this channel.' }),
  event_types: eventTypes,
  tag: z
    .undefined({ error: 'is not supported' })
    .optional()
    .openapi({ type: 'string', description: 'Not supported.' }),
}

export const svixMessageQuery = svixTimeQuery.extend({
  ...svixMessageFilters,
  ...withContent.shape,
})

/** Undefined = of every type. */
export function eventTypesOf(url: string): string[] | undefined {
  const given = [...new URL(url).searchParams]
    .filter(([name]) => /^event_types(?:\[\d*\])?$/.test(name))
    .flatMap(([, value]) => value.split(','))
    .filter((type) => type !== '')
  return given.length === 0 ? undefined : given
}

export const svixMessageSchema = z
  .object({
    id: z.string().openapi({ example: 'msg_1srOrx2ZWZBpBUvZwXKQmoEYga2' }),
    eventId: z.string().nullable(),
    eventType: z.string(),
    payload: z.unknown(),
    channels: z.array(z.string()).nullable(),
    tags: z.array(z.string()).nullable(),
    deliverAt: z.iso.datetime().nullable().optional(),
    timestamp: z.iso.datetime(),
  })
  .openapi('MessageOut')

/** Its payload is gone. */
const ERASED = '{"expired":true}'

/** The time that an id was made. */
export const timeOfId = (uuid: string): Date =>
  new Date(Number.parseInt(uuid.replace('-', '').slice(0, 12), 16))

/** As JSON text, because the payload is shown as it was published. */
export function svixMessageText(
  message: SvixMessage,
  { hasContent, ...more }: { hasContent: boolean } & Record<string, unknown>,
): string {
  const shown = {
    id: svixId('msg', message.id),
    eventId: message.eventId,
    eventType: message.type,
    channels: message.channels,
    tags: message.svix?.['tags'] ?? null,
    ...(message.deliver_at && { deliverAt: message.deliver_at.toISOString() }),
    timestamp: timeOfId(message.id).toISOString(),
    ...more,
  }
  const content = hasContent ? (message.data ?? ERASED) : '{}'
  return `${JSON.stringify(shown).slice(0, -1)},"payload":${content}}`
}
