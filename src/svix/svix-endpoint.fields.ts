import { z } from '@hono/zod-openapi'
import type { Endpoint } from '../endpoints/endpoint.fields.ts'
import { HEADER_NAME, HEADER_VALUE, type UrlRules, urlInput } from '../endpoints/endpoint-input.ts'
import { storableText, visibleText } from '../http/validation.ts'
import { HEADERS_MAX } from '../secrets/secret-headers.ts'
import { isReservedHeader } from '../sending/request-headers.ts'
import { parseSecret } from '../sending/signature.ts'
import {
  InvalidSecret,
  isPrivateKey,
  keyBytesOf,
  readSecret,
  storedForm,
} from '../sending/signing-secret.ts'
import { svixMetadata } from './svix-application.fields.ts'
import { mistakeInUid, shownSvixId } from './svix-id.ts'

const DESCRIPTION_LENGTH_MAX = 1_000
const EVENT_TYPES_MAX = 100
const CHANNELS_MAX = 10
/** Above what one endpoint could take, as in our own API. */
const RATE_MAX = 10_000
const VERSION_MAX = 65_535
const SECRET_BYTES_MIN = 24
const SECRET_BYTES_MAX = 75
const GRACE_SECONDS_MAX = 604_800

const unique = (names: string[]): string[] => [...new Set(names)]

const names = (most: number) =>
  z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'is not made of letters, digits and . _ -'))
    .min(1)
    .max(most)
    .transform(unique)

/** `order.*` is not made here, but may be there, and be given back. */
const eventTypes = z
  .array(storableText(128))
  .min(1)
  .max(EVENT_TYPES_MAX)
  .transform(unique)
  .nullish()
  .openapi({
    type: ['array', 'null'],
    description: 'Described event types; null = every event.',
    example: ['invoice.paid'],
  })

const channels = names(CHANNELS_MAX)
  .nullish()
  .openapi({ type: ['array', 'null'], description: 'Null = all channels.' })

const rate = z.int().min(1).max(RATE_MAX).nullish().openapi({ description: 'Messages a second.' })

const uid = z
  .string()
  .superRefine((text, context) => {
    const message = mistakeInUid('ep', text)
    if (message !== null) context.addIssue({ code: 'custom', message })
  })
  .nullish()

/** As Svix takes one: base64 with a prefix or without, or an ed25519 key. */
const secret = z
  .string()
  .transform((text) => (/^wh[a-z]+_/.test(text) ? text : `whsec_${text}`))
  .superRefine((text, context) => {
    if (!isSecret(text)) context.addIssue({ code: 'custom', message: NO_SECRET })
  })
  .nullish()
  .openapi({
    type: ['string', 'null'],
    description: 'Base64 of 24 to 75 bytes, with whsec_ or without; null = generated.',
  })
const NO_SECRET = 'is not base64 of 24 to 75 bytes, with whsec_ or without, and no whsk_ key'

function isSecret(text: string): boolean {
  try {
    const given = readSecret(text, 'base64')
    parseSecret(storedForm(given))
    const { length } = keyBytesOf(given)
    return isPrivateKey(given) || (length >= SECRET_BYTES_MIN && length <= SECRET_BYTES_MAX)
  } catch (error) {
    if (error instanceof InvalidSecret) return false
    throw error
  }
}

/** Both generations of SDKs: 1.x says `filterTypes` and `rateLimit`, 2.x `eventTypes` and `throttleRate`. */
function settingsOf(rules: UrlRules) {
  const url = urlInput(rules)
  return {
    url,
    common: {
      uid,
      eventTypes,
      filterTypes: eventTypes,
      channels,
      throttleRate: rate,
      rateLimit: rate,
    },
  }
}

/** What an endpoint can be made of and changed to. */
export function svixEndpointInput(rules: UrlRules) {
  const { url, common } = settingsOf(rules)
  const description = visibleText(DESCRIPTION_LENGTH_MAX, 'prose')
  const version = z.int().min(1).max(VERSION_MAX)
  const whole = z.object({
    ...common,
    url,
    description: description.nullish(),
    version: version.nullish(),
    disabled: z.boolean().nullish(),
    metadata: svixMetadata.nullish(),
  })
  return {
    create: whole.extend({ secret }).openapi('EndpointIn'),
    replace: whole.openapi('EndpointUpdate'),
    patch: z
      .object({
        ...common,
        url: url.optional(),
        description: description.optional(),
        version: version.optional(),
        disabled: z.boolean().optional(),
        metadata: svixMetadata.optional(),
      })
      .openapi('EndpointPatch'),
  }
}

type Inputs = ReturnType<typeof svixEndpointInput>
export type SvixEndpointCreate = z.output<Inputs['create']>
export type SvixEndpointReplace = z.output<Inputs['replace']>
export type SvixEndpointPatch = z.output<Inputs['patch']>

export const svixEndpointSchema = z
  .object({
    id: z.string().openapi({ example: 'ep_1srOrx2ZWZBpBUvZwXKQmoEYga2' }),
    uid: z.string().nullable(),
    url: z.string(),
    description: z.string(),
    disabled: z.boolean(),
    version: z.int(),
    eventTypes: z.array(z.string()).nullable(),
    filterTypes: z.array(z.string()).nullable(),
    channels: z.array(z.string()).nullable(),
    throttleRate: z.int().nullable(),
    rateLimit: z.int().nullable(),
    metadata: z.record(z.string(), z.string()),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .openapi('EndpointOut')

/** As SDKs of either generation read it. */
export function presentSvixEndpoint(endpoint: Endpoint): z.output<typeof svixEndpointSchema> {
  const { event_types: types, rate_per_second: perSecond } = endpoint
  const shownTypes = types.includes('*') ? null : types
  // They know whole numbers from 1 on.
  const shownRate = perSecond === null ? null : Math.max(1, Math.round(Number(perSecond)))
  return {
    id: shownSvixId('ep', endpoint),
    uid: endpoint.uid,
    url: endpoint.url,
    description: endpoint.description,
    disabled: endpoint.state !== 'active',
    version: Number(endpoint.svix?.['version'] ?? 1),
    eventTypes: shownTypes,
    filterTypes: shownTypes,
    channels: endpoint.channels,
    throttleRate: shownRate,
    rateLimit: shownRate,
    metadata: endpoint.metadata,
    createdAt: endpoint.created_at.toISOString(),
    updatedAt: endpoint.updated_at.toISOString(),
  }
}

/** What Svix refuses besides what Postrider sets: others would take it for theirs. */
const REFUSED_HEADER =
  /^(?:x-amzn?-|x-goog|x-gfe|x-azure-|x-fd-|(?:x-)?svix-)|^(?:proxy-authenticate|trailers|age|cache-control|clear-site-data|expires|pragma|warning|content-(?:encoding|language|location))$/i
const HEADER_VALUE_LENGTH_MAX = 4_096

const headersOf = <Value extends z.ZodType>(value: Value) =>
  z
    .record(z.string(), value)
    .superRefine((headers, context) => {
      const names = Object.keys(headers)
      const given = new Set(names.map((name) => name.toLowerCase()))
      if (given.size < names.length) {
        context.addIssue({ code: 'custom', message: 'name one twice, in large and small letters' })
      }
      for (const name of names) {
        const isTaken = isReservedHeader(name) || REFUSED_HEADER.test(name)
        if (HEADER_NAME.test(name) && !isTaken) continue
        const message = isTaken ? 'is not allowed here' : 'is not the name of a header'
        context.addIssue({ code: 'custom', path: [name], message })
      }
    })
    .openapi({ example: { 'X-Example': '123' } })

const headerValue = z
  .string()
  .max(HEADER_VALUE_LENGTH_MAX)
  .regex(HEADER_VALUE, 'is not visible ASCII')

export const svixHeadersInput = z
  .object({
    headers: headersOf(headerValue).refine(
      (headers) => Object.keys(headers).length <= HEADERS_MAX,
      `are more than ${HEADERS_MAX}`,
    ),
  })
  .openapi('EndpointHeadersIn')

export const svixHeadersPatch = z
  .object({
    headers: headersOf(headerValue.nullable()).openapi({
      description: 'Null removes a header; the others stay.',
    }),
    deleteHeaders: z.array(z.string()).nullish().openapi({ description: 'Names to remove.' }),
  })
  .openapi('EndpointHeadersPatchIn')

export const svixHeadersSchema = z
  .object({
    headers: z.record(z.string(), z.string()),
    sensitive: z.array(z.string()).openapi({
      description: 'Names of headers whose values are not shown.',
    }),
  })
  .openapi('EndpointHeadersOut')

export function presentSvixHeaders({
  headers,
  secretHeaders,
}: Pick<Endpoint, 'headers' | 'secretHeaders'>): z.output<typeof svixHeadersSchema> {
  const shown = Object.entries(headers).filter(([name]) => !secretHeaders.includes(name))
  return { headers: Object.fromEntries(shown), sensitive: secretHeaders }
}

export const svixRotationInput = z
  .object({
    key: secret,
    gracePeriodSeconds: z
      .int()
      .min(0)
      .max(GRACE_SECONDS_MAX)
      .nullish()
      .openapi({ description: 'How long the old secret also signs.', default: 86_400 }),
  })
  .openapi('EndpointSecretRotateIn')

export const svixSecretSchema = z
  .object({
    key: z.string().openapi({ description: 'For an ed25519 key: its public half, `whpk_…`.' }),
  })
  .openapi('EndpointSecretOut')
