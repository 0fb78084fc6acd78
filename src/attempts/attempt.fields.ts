import { z } from '@hono/zod-openapi'
import type { Caller } from '../access/caller.ts'
import { type Fields, outputsOf, type Shown, shownId, shownOf, shownTime } from '../fields.ts'
import { OUTCOMES } from '../sending/outcome.ts'
import { ATTEMPT_REASONS, REASONS } from '../sending/reason.ts'
import type { Attempt } from './attempts.ts'

const milliseconds = z.number().nullable()
const headers = z.record(z.string(), z.union([z.string(), z.array(z.string())]))

/** Its own name in the document, since attempts and filters share it. */
export const reasonSchema = z.enum(ATTEMPT_REASONS).openapi('AttemptReason', {
  description: [
    'Why an attempt did not deliver.',
    ...ATTEMPT_REASONS.map((reason) => `- \`${reason}\`: ${REASONS[reason]}`),
  ].join('\n'),
  example: 'status_5xx',
})

const attemptFields = {
  id: { column: 'id', output: shownId },
  number: { column: 'number', output: z.int() },
  trigger: { column: 'trigger', output: z.enum(['schedule', 'manual', 'replay', 'test']) },
  outcome: { column: 'outcome', output: z.enum(OUTCOMES) },
  statusCode: { column: 'status_code', output: z.int().nullable(), example: 200 },
  reason: { column: 'reason', output: z.union([reasonSchema, z.null()]), example: null },
  error: {
    column: 'error',
    output: z.string().nullable().openapi({
      description:
        'The reason in detail, for people; the text can change. Next to a `statusCode`, also 2xx: what was wrong with the rest of the response. The status decides, and the connection was closed.',
    }),
    example: null,
  },
  errorDetail: {
    column: 'error_detail',
    output: z.string().nullable().openapi({
      description:
        'More of it, such as the addresses of a name, for operators: null to keys and links of one tenant, and where there is no more.',
    }),
    example: null,
  },
  durationMs: { column: 'duration_ms', output: milliseconds },
  timings: {
    output: z.object({
      dnsMs: milliseconds,
      connectMs: milliseconds,
      tlsMs: milliseconds,
      firstByteMs: milliseconds,
    }),
    show: (attempt) => ({
      dnsMs: attempt.dns_ms,
      connectMs: attempt.connect_ms,
      tlsMs: attempt.tls_ms,
      firstByteMs: attempt.first_byte_ms,
    }),
  },
  requestHeaders: {
    output: headers.nullable(),
    show: (attempt) => parsed(attempt.request_headers),
  },
  responseHeaders: {
    output: headers.nullable(),
    show: (attempt) => parsed(attempt.response_headers),
  },
  responseBody: { column: 'response_body', output: z.string().nullable() },
  batchId: {
    column: 'batch_id',
    output: shownId.nullable().openapi({
      description:
        'The batch that it was sent in: the `webhook-id` of the request, whose status, duration and response its attempts share. null = it was sent alone.',
    }),
    example: null,
  },
  runner: { column: 'runner', output: z.string() },
  startedAt: { column: 'started_at', output: shownTime },
  finishedAt: { column: 'finished_at', output: shownTime.nullable() },
} as const satisfies Fields<Attempt>

/** What the attempts of a delivery have in columns. */
export const ATTEMPT_COLUMNS: (keyof Shown<typeof attemptFields>)[] = [
  ...(['number', 'trigger', 'outcome', 'statusCode', 'durationMs', 'startedAt'] as const),
  ...(['reason', 'error'] as const),
]

export const attemptSchema = z.object(outputsOf(attemptFields)).openapi('Attempt')

/** @param caller a tenant is not shown what only operators see */
export const presentAttempt = (
  attempt: Attempt,
  { tenant }: Pick<Caller, 'tenant'>,
): z.output<typeof attemptSchema> =>
  shownOf(attemptFields, tenant === null ? attempt : { ...attempt, error_detail: null })

/** `json` arrives as text; this one we wrote ourselves. */
const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text))
