import { z } from '@hono/zod-openapi'
import type { Selectable } from 'kysely'
import { spanOf } from '../attempts/attempt-words.ts'
import { say } from '../console/language.ts'
import {
  type Fields,
  shownId as id,
  inputsOf,
  outputsOf,
  type Shown,
  shownOf,
  shownTime as time,
} from '../fields.ts'
import { visibleText } from '../http/validation.ts'
import type { EndpointId, TenantId } from '../ids.ts'
import type { BatchBounds, EndpointTable } from '../postgres/schema.ts'
import { checkSecret, newSecretFields } from '../secrets/endpoint-secret.fields.ts'
import { MASK } from '../sending/request-headers.ts'
import {
  batchInput,
  channelsInput,
  eventTypesInput,
  filterInput,
  headersInput,
  metadataInput,
  secretHeadersInput,
  type UrlRules,
  urlInput,
} from './endpoint-input.ts'
import {
  SHAPE_CHOICES,
  SHAPES,
  shapeFieldsInput,
  shapeInput,
  shapeTemplateInput,
  signatureHeadersInput,
} from './shape.ts'

const DESCRIPTION_LENGTH_MAX = 1000
const PURPOSE_LENGTH_MAX = 200
/** Above what one endpoint could take, so that a typo is noticed. */
const RATE_MAX = 10_000
/** Slower than once in a quarter of an hour nothing would arrive within a schedule. */
const RATE_MIN = 0.001
const IN_FLIGHT_MAX = 10_000
const TIMEOUT_SECONDS_MAX = 60
const RETRIES_MAX = 50
/** A day; a state that may be older than that is better asked for. */
const COLLAPSE_MS_MAX = 86_400_000
const RETRY_DELAY_SECONDS_MAX = 7 * 86_400

export type EndpointRow = Selectable<EndpointTable> & { id: EndpointId; tenant_id: TenantId }
export type Endpoint = Omit<EndpointRow, 'secret_headers'> & {
  /** Its own headers; the values of secret ones are masked. */
  headers: Record<string, string>
  /** Names of those that are secret. */
  secretHeaders: string[]
}

const collapseSchema = z.strictObject({
  waitMs: z.int().min(0).max(COLLAPSE_MS_MAX).openapi({
    description: 'Milliseconds after the first of the waiting events of a key, at the latest.',
  }),
})
const COLLAPSE_SAYS =
  'Of the waiting events with the same ordering key only the newest is sent; the others end as collapsed. What is being sent is not replaced. Null: every event is sent.'

const ORDER_WORDS: Record<string, string> = { none: 'none', key: 'by ordering key' }

/** @example 'up to 100 events or 1048576 bytes, after 1 s at the latest' */
const batchWords = ({ maxEvents, maxWaitMs, maxBytes }: BatchBounds): string =>
  say('up to {count} events or {bytes} bytes, after {span} at the latest', {
    count: maxEvents,
    bytes: maxBytes,
    span: spanOf(maxWaitMs),
  })

/** Those of the service come with `endpointInput`. */
const NO_RULES: UrlRules = { egressAllow: [], httpsOnly: false }

const wordsOfHeaders = (headers: Record<string, string>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ')

export const endpointFields = {
  id: { column: 'id', output: id },
  url: {
    column: 'url',
    input: urlInput(NO_RULES),
    output: z.string(),
    example: 'https://example.com/webhooks',
    option: { value: '<url>', about: 'where deliveries are posted' },
    form: {
      label: 'URL',
      required: true,
      isCode: true,
      placeholder: 'https://example.com/webhooks',
    },
  },
  uid: {
    column: 'uid',
    output: z.string().nullable().openapi({
      description: 'The id that you gave it through a Svix SDK, which sets it; null = none.',
    }),
    example: null,
  },
  description: {
    column: 'description',
    input: visibleText(DESCRIPTION_LENGTH_MAX, 'prose'),
    output: z.string(),
    example: 'Invoices for the accounting system',
    option: {
      value: '<text>',
      about: 'shown in the console and the portal',
      off: 'no description',
    },
    form: { label: 'Description' },
    fact: { label: 'Description' },
  },
  purpose: {
    column: 'purpose',
    input: visibleText(PURPOSE_LENGTH_MAX, 'prose').nullable().openapi({
      description: 'What it is for; null = not said.',
    }),
    output: z.string().nullable(),
    example: 'Books invoices in the ledger',
    option: { value: '<text>', about: 'what it is for', off: 'no purpose' },
    form: { label: 'Purpose', hint: 'What it is for; at most 200 characters.' },
    fact: { label: 'Purpose' },
  },
  eventTypes: {
    column: 'event_types',
    input: eventTypesInput,
    output: z.array(z.string()),
    example: ['invoice.paid', 'order.*'],
    option: {
      value: '<types>',
      about: 'comma separated: names, patterns such as order.*, or * for all',
    },
    form: {
      label: 'Event types',
      rows: 3,
      isCode: true,
      placeholder: 'invoice.*',
      hint: 'One per line: a name such as `invoice.paid`, a pattern such as `invoice.*`, or `*`. Every type when empty.',
      empty: ['*'],
    },
    fact: { label: 'Event types', isCode: true, words: (types: string[]) => types.join(' ') },
  },
  channels: {
    column: 'channels',
    input: channelsInput,
    output: z.array(z.string()).nullable(),
    example: ['project-1'],
    option: {
      value: '<channels>',
      about: 'comma separated: only events that were published to one of them',
      off: 'no channels: every event',
    },
    form: {
      label: 'Channels',
      rows: 2,
      isCode: true,
      isRare: true,
      hint: 'One per line. Only events published to one of them are sent. Leave empty for all events.',
    },
    fact: { label: 'Channels', isCode: true, words: (channels: string[]) => channels.join(' ') },
  },
  filter: {
    column: 'filter',
    input: filterInput,
    output: z.string().nullable(),
    example: '$.amount > 100',
    option: {
      value: '<filter>',
      about: "predicate on the data, such as '$.amount > 100'",
      off: 'no filter: every event',
    },
    form: {
      label: 'Filter on the data',
      rows: 2,
      isCode: true,
      placeholder: '$.amount > 100 && $.currency == "EUR"',
      hint: 'Only events whose data matches. Leave empty for all events.',
    },
    fact: { label: 'Filter', none: 'every event', isCode: true },
  },
  headers: {
    input: headersInput,
    show: (row) => row.headers,
    output: z.record(z.string(), z.string()).openapi({
      description: `Sent along. ${MASK} stands for the value of a secret one.`,
    }),
    option: {
      name: 'header',
      value: '<name: value>',
      about: 'custom header, such as X-Team: ledger; repeat for each, replaces all',
      separator: ':',
      off: 'no custom headers',
    },
    form: {
      label: 'Custom headers',
      rows: 3,
      isCode: true,
      isRare: true,
      hint: 'One per line, as Name: value. *** stands for a secret value: leave it, and the value stays.',
    },
    fact: {
      label: 'Headers',
      none: 'none',
      isCode: true,
      words: wordsOfHeaders,
    },
  },
  secretHeaders: {
    input: secretHeadersInput,
    show: (row) => row.secretHeaders,
    output: z.array(z.string()).openapi({
      description: 'Names of secret headers: they look like credentials, or somebody marked them.',
    }),
    example: [],
    option: {
      value: '<names>',
      about:
        'comma separated: more headers whose values are never shown again, besides credentials',
      off: 'no secret headers except credentials',
    },
    form: {
      label: 'Secret headers',
      isRare: true,
      hint: 'Their names, comma separated. Headers that look like credentials are always secret; no value is shown again.',
    },
  },
  state: { column: 'state', output: z.enum(['active', 'paused', 'disabled']) },
  disabledReason: { column: 'disabled_reason', output: z.string().nullable(), example: null },
  unreadableSince: {
    column: 'unreadable_since',
    output: time.nullable().openapi({
      description:
        'Since when its deliveries are held because no key of the service opens its secret or client key; null = they are not.',
    }),
  },
  ratePerSecond: {
    column: 'rate_per_second',
    input: z.number().min(RATE_MIN).max(RATE_MAX).nullable().openapi({
      description:
        'Requests per second at most, over all runners; null = no limit. A change reaches what waits already.',
    }),
    output: z.number().nullable(),
    example: 10,
    show: ({ rate_per_second: rate }) => (rate === null ? null : Number(rate)),
    option: {
      value: '<n>',
      about: 'max requests per second, over all runners, such as 10 or 0.5',
      off: 'no limit on requests per second',
    },
    form: { label: 'Max requests per second', isRare: true },
    fact: { label: 'Requests per second', none: 'no limit' },
  },
  maxInFlight: {
    column: 'max_in_flight',
    input: z.int().min(1).max(IN_FLIGHT_MAX).nullable().openapi({
      description:
        'Requests in flight at most, over all runners; null = no limit. A change reaches what waits already.',
    }),
    output: z.int().nullable(),
    example: 5,
    option: {
      value: '<n>',
      about: 'max concurrent requests, over all runners',
      off: 'no limit on concurrent requests',
    },
    form: { label: 'Max concurrent requests', isRare: true },
    fact: { label: 'Concurrent requests', none: 'no limit' },
  },
  timeoutSeconds: {
    column: 'timeout_seconds',
    input: z.int().min(1).max(TIMEOUT_SECONDS_MAX).nullable(),
    output: z.int().nullable(),
    example: 15,
    option: {
      value: '<seconds>',
      about: 'seconds that the receiver has to respond, 1 to 60',
      off: 'default timeout',
    },
    form: {
      label: 'Timeout (seconds)',
      isRare: true,
      hint: 'Leave empty for the default of the service.',
    },
    fact: {
      label: 'Timeout',
      words: (seconds: number) => `${seconds} s`,
    },
  },
  retrySchedule: {
    column: 'retry_schedule',
    input: z
      .array(z.int().min(1).max(RETRY_DELAY_SECONDS_MAX))
      .max(RETRIES_MAX)
      .nullable()
      .openapi({ description: 'Seconds before the 2nd, 3rd, … attempt.' }),
    output: z.array(z.int()).nullable(),
    example: [60, 300, 3600],
    option: {
      value: '<seconds>',
      about:
        'before the 2nd, 3rd, … attempt, comma separated, such as 60,300,3600; none = one attempt',
      off: 'default schedule',
    },
    form: {
      label: 'Seconds before the 2nd, 3rd, … attempt',
      isRare: true,
      placeholder: '60, 120, 240',
      hint: 'Leave empty for the default schedule.',
    },
    fact: {
      label: 'Retries after',
      words: (seconds: number[]) => seconds.map((one) => spanOf(one * 1_000)).join(', '),
    },
  },
  ordering: {
    column: 'ordering',
    input: z.enum(['none', 'key']).openapi({
      description:
        'key: events with the same ordering key are sent one after another, in the order in which they were published. none: as fast as they come. Set to none, what waits is sent, 100 a second.',
    }),
    output: z.enum(['none', 'key']),
    option: { value: '<order>', about: 'none, or key: by ordering key', isChoice: true },
    form: {
      label: 'Order',
      isRare: true,
      choices: [
        ['none', 'In no particular order'],
        ['key', 'In order, for each ordering key'],
      ],
      empty: 'none',
      hint: 'The ordering key is part of the event.',
    },
    fact: { label: 'Order', words: (ordering: string) => ORDER_WORDS[ordering] ?? ordering },
  },
  onFailure: {
    column: 'on_failure',
    input: z.enum(['block', 'skip']).openapi({
      description:
        'With ordering by key, when an event has used up its retry schedule. block: later events of its key wait until it is retried with success, or skipped. skip: the next one is sent.',
    }),
    output: z.enum(['block', 'skip']),
    option: {
      value: '<what>',
      about: 'with --ordering key, when an event has failed: block or skip',
      isChoice: true,
    },
    form: {
      label: 'In order, when an event has failed',
      isRare: true,
      choices: [
        ['block', 'Keep later events of its key until somebody decides'],
        ['skip', 'Continue with the next event of its key'],
      ],
      empty: 'block',
    },
  },
  collapse: {
    column: 'collapse_ms',
    input: collapseSchema.nullable().openapi({ description: COLLAPSE_SAYS }),
    output: collapseSchema.nullable().openapi({ description: COLLAPSE_SAYS }),
    show: ({ collapse_ms: waitMs }) => (waitMs === null ? null : { waitMs }),
    store: (collapse: { waitMs: number } | null) => collapse?.waitMs ?? null,
    member: 'waitMs',
    example: null,
    option: {
      value: '<ms>',
      about: 'send only the newest event of an ordering key, at most this many ms after the first',
      off: 'every event is sent',
    },
    form: {
      label: 'Only the newest: wait (milliseconds)',
      isRare: true,
      placeholder: '5000',
      hint: 'Of the events with the same ordering key, only the newest is sent, at the latest this long after the first. Leave empty to send every event.',
    },
    fact: {
      label: 'Only the newest',
      words: ({ waitMs }: { waitMs: number }) =>
        say('of an ordering key, after at most {span}', { span: spanOf(waitMs) }),
    },
  },
  batch: {
    column: 'batch_bounds',
    input: batchInput,
    store: (bounds: BatchBounds | null) => bounds && JSON.stringify(bounds),
    output: z
      .object({ maxEvents: z.int(), maxWaitMs: z.int(), maxBytes: z.int() })
      .nullable()
      .openapi({ description: 'What is sent together; null = each event is sent separately.' }),
    example: { maxEvents: 100, maxWaitMs: 1000, maxBytes: 1_048_576 },
    option: {
      value: '<name=value>',
      about:
        'send events together: maxEvents=100, maxWaitMs=1000, maxBytes=1048576; repeat for each',
      off: 'each event in a separate request',
    },
    form: {
      label: 'Batches: several events in one request',
      isRare: true,
      hint: 'A request is sent as soon as one of these is reached. Leave all empty to send each event separately. Your receiver must accept a list of events.',
      parts: {
        maxEvents: { label: 'Max events in a request', placeholder: '100' },
        maxWaitMs: { label: 'Max wait of an event (milliseconds)', placeholder: '1000' },
        maxBytes: { label: 'Max size of a request (bytes)', placeholder: '1048576' },
      },
    },
    fact: { label: 'Batches', none: 'no', words: batchWords },
  },
  shape: {
    column: 'shape',
    input: shapeInput,
    output: z.enum(SHAPES),
    option: { value: '<shape>', about: 'format of requests', isChoice: true },
    form: {
      label: 'Shape of requests',
      isRare: true,
      choices: SHAPE_CHOICES,
      empty: 'standard',
    },
    fact: {
      label: 'Shape',
      words: (shape: string) => SHAPE_CHOICES.find(([name]) => name === shape)?.[1] ?? shape,
    },
  },
  shapeFields: {
    column: 'shape_fields',
    input: shapeFieldsInput,
    output: z.array(z.string()).nullable(),
    example: ['$.id', '$.customer.name'],
    option: {
      value: '<paths>',
      about: 'with --shape fields: comma separated, such as $.id,$.customer.name',
      off: 'no fields',
    },
    form: {
      label: 'Fields that are sent',
      isRare: true,
      isCode: true,
      rows: 3,
      placeholder: '$.customer.name',
      hint: 'With chosen fields: one per line, such as `$.customer.name` or `$.items[0]`.',
    },
    fact: {
      label: 'Fields',
      isCode: true,
      words: (paths: string[]) => paths.join(' '),
    },
  },
  shapeTemplate: {
    column: 'shape_template',
    input: shapeTemplateInput,
    output: z.string().nullable(),
    example: 'Invoice {{data.number}} was paid',
    option: {
      value: '<text>',
      about: "with --shape slack, teams or discord, such as '{{type}}: {{data.number}}'",
      off: 'the type and the data',
    },
    form: {
      label: 'Text of the message',
      isRare: true,
      rows: 3,
      placeholder: '{{type}}: {{data.number}}',
      hint: 'With a message: `{{type}}`, `{{timestamp}}` and `{{data.customer.name}}` stand for what the event has.',
    },
    fact: { label: 'Message' },
  },
  signatureHeaders: {
    column: 'signature_headers',
    input: signatureHeadersInput,
    store: (templates: Record<string, string>) => JSON.stringify(templates),
    output: z.record(z.string(), z.string()),
    // Together with a batch, whose example stands beside it, it would be refused.
    example: {},
    option: {
      name: 'signature-header',
      value: '<name: template>',
      about:
        "of another scheme, such as 'X-Hub-Signature-256: sha256={hmac_hex} over {body}'; these replace all",
      separator: ':',
      off: 'no signature headers of other schemes',
    },
    form: {
      label: 'Signature headers of other schemes',
      rows: 3,
      isCode: true,
      isRare: true,
      placeholder: 'X-Hub-Signature-256: sha256={hmac_hex} over {body}',
      hint: 'For receivers that verify other signatures: one per line, as Name: value over what is signed.',
    },
    fact: {
      label: 'Signature headers',
      isCode: true,
      words: wordsOfHeaders,
    },
  },
  webhookSignature: {
    column: 'webhook_signature',
    input: z.enum(['send', 'omit']).openapi({
      description:
        'Whether `webhook-signature` is sent. To omit it, `signatureHeaders` has to have a signature.',
    }),
    output: z.enum(['send', 'omit']),
    option: {
      value: '<what>',
      about: 'send webhook-signature, or omit it where --signature-header signs',
      isChoice: true,
    },
    form: {
      label: 'Standard signature',
      isRare: true,
      choices: [
        ['send', 'Send webhook-signature'],
        ['omit', 'Only the headers above'],
      ],
      empty: 'send',
    },
  },
  metadata: {
    column: 'metadata',
    input: metadataInput,
    store: (values: Record<string, string>) => JSON.stringify(values),
    output: z.record(z.string(), z.string()),
    example: { team: 'billing' },
    option: {
      value: '<name=value>',
      about: 'your own notes; repeat for each, replaces all',
      off: 'no metadata',
    },
  },
  createdAt: { column: 'created_at', output: time },
} as const satisfies Fields<Endpoint>

/** What a list of endpoints has in columns. */
export const ENDPOINT_COLUMNS: (keyof Shown<typeof endpointFields>)[] = [
  'id',
  'state',
  'eventTypes',
  'url',
]

export const endpointSchema = z.object(outputsOf(endpointFields)).openapi('Endpoint')
export const newEndpointSchema = endpointSchema
  .extend(outputsOf(newSecretFields))
  .openapi('EndpointWithSecret')

export const presentEndpoint = (endpoint: Endpoint): z.output<typeof endpointSchema> =>
  shownOf(endpointFields, endpoint)

/** What may be set on an endpoint. */
export function endpointInput(rules: UrlRules) {
  const url = urlInput(rules)
  const change = z.strictObject({ ...inputsOf(endpointFields), url }).partial()
  return {
    change: change.openapi('EndpointChange'),
    create: change
      .extend({ url, ...inputsOf(newSecretFields) })
      .check(checkSecret({ secret: 'secret', kind: 'secretKind', encoding: 'secretEncoding' }))
      .openapi('NewEndpoint'),
  }
}

type Input = ReturnType<typeof endpointInput>
/** What a person may set. Values were checked where they came in; a header that is `MASK` stays as it is stored. */
export type EndpointChange = z.output<Input['change']>
export type NewEndpoint = z.output<Input['create']>
