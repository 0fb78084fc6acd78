import { z } from '@hono/zod-openapi'
import { hiddenIn } from '../hidden-characters.ts'
import { unfit, visibleText, withHidden } from '../http/validation.ts'
import { HEADERS_LENGTH_MAX, HEADERS_MAX, TOO_LONG } from '../secrets/secret-headers.ts'
import { type ParsedCidr, vetLiteralHost } from '../sending/egress.ts'
import { isReservedHeader, MASK } from '../sending/request-headers.ts'
import { checkFilter, FILTER_LENGTH_MAX, FilterInvalid } from './filter.ts'

const URL_LENGTH_MAX = 2048
const EVENT_TYPES_MAX = 100
const EVENT_TYPE_LENGTH_MAX = 128
const CHANNELS_MAX = 10
const METADATA_ENTRIES_MAX = 50
const METADATA_KEY_LENGTH_MAX = 100
const METADATA_VALUE_LENGTH_MAX = 500

/** `*`, an exact name, or `prefix.*`: what postrider.type_patterns can match. */
const EVENT_TYPE_PATTERN = /^(?:\*|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?)$/
/** `URL` reads `https:host` and `https:///host` as well, but what is stored is what other programs have to read. */
const HAS_HOST = /^[a-z]+:\/\/[^/?#]/i
/** A percent sign before the path. */
const HOST_ESCAPED = /^[a-z]+:\/*[^/?#]*%/i
/** A token of RFC 9110. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible ASCII with blanks between: every receiver reads it alike, and no CR, LF or NUL. */
export const HEADER_VALUE = /^[!-~](?:[\t -~]*[!-~])?$/

const FILTER_DESCRIPTION =
  'SQL/JSON path predicate on the data; null = every event. Comparisons (== != < <= > >=) of a path ' +
  '($.a."b c"[0][*].*) with a literal (a number, "text", true, false, null), joined by && and ||, ' +
  'grouped by parentheses, negated by !(…). Keys other than letters, digits and _ are quoted.'

export const headersInput = z
  .record(z.string(), z.string())
  .superRefine((values, context) => {
    const seen = new Set<string>()
    const refuse = (name: string, message: string) =>
      context.addIssue({ code: 'custom', path: [name], message })
    for (const [name, value] of Object.entries(values)) {
      const lower = name.toLowerCase()
      if (!HEADER_NAME.test(name)) refuse(name, withHidden('is not the name of a header', name))
      else if (isReservedHeader(name)) refuse(name, 'is set by Postrider')
      else if (seen.has(lower)) refuse(name, 'is given twice')
      else if (!HEADER_VALUE.test(value))
        refuse(name, withHidden('has a value that is not visible ASCII', value, 'name'))
      seen.add(lower)
    }
  })
  .refine((values) => Object.keys(values).length <= HEADERS_MAX, `are more than ${HEADERS_MAX}`)
  .refine((values) => Object.entries(values).flat().join('').length <= HEADERS_LENGTH_MAX, TOO_LONG)
  .openapi({
    description: `Sent along. At most ${HEADERS_MAX}; names that Postrider sets are rejected. Values of secret ones are encrypted and never shown again: where ${MASK} stands for one, giving that back leaves it as it is.`,
  })

export const secretHeadersInput = z.array(z.string()).max(HEADERS_MAX).openapi({
  description:
    'Names of headers whose values are secret. Headers that look like credentials (Authorization, Cookie, X-Api-Key …) always are. Default: unchanged.',
})

const BATCH_EVENTS_MAX = 1_000
/** A runner has all of it in memory, for each request. */
const BATCH_BYTES_MAX = 8_388_608
const BATCH_WAIT_MS_MAX = 3_600_000

export const batchInput = z
  .strictObject({
    maxEvents: z.int().min(1).max(BATCH_EVENTS_MAX).default(100),
    maxWaitMs: z.int().min(0).max(BATCH_WAIT_MS_MAX).default(1_000),
    maxBytes: z.int().min(1).max(BATCH_BYTES_MAX).default(1_048_576),
  })
  .nullable()
  .openapi({
    description:
      'Events that are due go together in one request, as the webhook `batch`, once there are `maxEvents` of them, or the body has `maxBytes`, or the first of them has waited for `maxWaitMs`. An event that is larger goes alone. null = each event in a separate request.',
  })

export const metadataInput = z
  .record(
    visibleText(METADATA_KEY_LENGTH_MAX, 'name').min(1),
    visibleText(METADATA_VALUE_LENGTH_MAX, 'prose'),
  )
  .refine(
    (values) => Object.keys(values).length <= METADATA_ENTRIES_MAX,
    `has more than ${METADATA_ENTRIES_MAX} entries`,
  )

export const filterInput = z
  .string()
  .max(FILTER_LENGTH_MAX)
  .superRefine((text, context) => {
    const message = hiddenIn(text, 'prose') ?? mistakeInFilter(text)
    if (message) context.addIssue({ code: 'custom', message })
  })
  .nullable()
  .openapi({
    description: FILTER_DESCRIPTION,
    example: '$.amount > 100 && $.currency == "EUR"',
  })

function mistakeInFilter(text: string): string | null {
  try {
    checkFilter(text)
    return null
  } catch (error) {
    if (error instanceof FilterInvalid) return error.message
    throw error
  }
}

/** `*`, an exact name, or a pattern like `order.*`. */
export const eventTypePattern = z
  .string()
  .max(EVENT_TYPE_LENGTH_MAX)
  .regex(EVENT_TYPE_PATTERN, unfit('is neither *, a dotted name, nor one that ends in .*'))

export const eventTypesInput = z
  .array(eventTypePattern)
  .min(1)
  .max(EVENT_TYPES_MAX)
  .openapi({ example: ['invoice.paid', 'order.*'] })

/** As `postrider.event_channels` takes it. */
export const channelName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, unfit('is not 1 to 128 letters, digits, dots, _ or -'))

export const channelsInput = z
  .array(channelName)
  .min(1)
  .max(CHANNELS_MAX)
  .nullable()
  .openapi({
    description: `It gets only events that were published to one of these channels, at most ${CHANNELS_MAX}; null = every event.`,
  })

export interface UrlRules {
  /** Networks that may be dialled although not public. */
  egressAllow: readonly ParsedCidr[]
  /** Whether http is refused. */
  httpsOnly: boolean
}

/**
 * A literal address that is not public is refused here, where somebody reads the answer; names are vetted when they
 * are dialled.
 */
export function urlInput(rules: UrlRules) {
  return z
    .string()
    .superRefine((text, context) => {
      const message = mistakeInUrl(text, rules)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .openapi({
      format: 'iri',
      maxLength: URL_LENGTH_MAX,
      description:
        'Letters beyond ASCII are allowed: they are stored as given, and sent as RFC 3986 requires (%C3%BC).',
      example: 'https://example.com/webhooks',
    })
}

function mistakeInUrl(text: string, { egressAllow, httpsOnly }: UrlRules): string | null {
  // URL drops blanks and line breaks, and sends on what nobody sees; what is stored is what is dialled.
  const hidden = hiddenIn(text, 'code')
  if (hidden !== null) return hidden
  if (text.includes('\\')) return 'contains a backslash, which would be taken for a slash'
  const url = URL.parse(text)
  if (!url) return 'is not a URL'
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'is neither https nor http'
  if (httpsOnly && url.protocol === 'http:')
    return 'is not https, and nothing else is accepted here'
  if (!HAS_HOST.test(text)) return 'is not like https://host/path, with its host behind two slashes'
  if (url.username !== '' || url.password !== '') return 'contains credentials; use headers'
  if (HOST_ESCAPED.test(text))
    return 'has a host with %, which can hide characters; write it as it is'
  if (text.includes('#')) return 'contains a fragment, which is never sent'
  if (Math.max(text.length, url.href.length) > URL_LENGTH_MAX) {
    return `is longer than ${URL_LENGTH_MAX} characters`
  }
  return vetLiteralHost(url, egressAllow) ? 'is not a public address' : null
}
