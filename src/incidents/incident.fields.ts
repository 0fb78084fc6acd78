import { z } from '@hono/zod-openapi'
import type { Caller } from '../access/caller.ts'
import {
  type Fields,
  inputsOf,
  outputsOf,
  type Shown,
  shownId,
  shownOf,
  shownTime,
} from '../fields.ts'
import { visibleText } from '../http/validation.ts'
import { endpointId } from '../ids.ts'
import type { IncidentCause } from '../postgres/schema.ts'
import type { Incident } from './incidents.ts'

/** What each cause is called in a list, and what it means. */
export const CAUSES: Record<IncidentCause, { label: string; meaning: string }> = {
  server_error: { label: '5xx', meaning: 'The receiver returns a server error.' },
  unauthorized: { label: '401 / 403', meaning: 'The receiver rejects requests as unauthorized.' },
  not_found: { label: '404 / 410', meaning: 'Nothing accepts webhooks at this URL.' },
  client_error: { label: '4xx', meaning: 'The receiver rejects the request.' },
  other_status: {
    label: 'Redirect',
    meaning: 'The receiver returns a redirect or an unexpected status.',
  },
  timeout: { label: 'Timeout', meaning: 'The receiver does not respond in time.' },
  dns: { label: 'DNS', meaning: 'The host name cannot be resolved.' },
  tls: { label: 'TLS', meaning: 'The TLS handshake fails.' },
  unreachable: {
    label: 'Unreachable',
    meaning: 'The connection is refused or closed, has no route, or is not HTTP.',
  },
  blocked: { label: 'Blocked', meaning: 'The URL or its address is not allowed.' },
  ours: {
    label: 'Our fault',
    meaning: 'A proxy failed, a secret cannot be decrypted, or this service has a bug.',
  },
}
const CAUSE_NAMES = Object.keys(CAUSES) as [IncidentCause, ...IncidentCause[]]

const cause = z.enum(CAUSE_NAMES).openapi('IncidentCause', {
  description: CAUSE_NAMES.map((name) => `- \`${name}\`: ${CAUSES[name].meaning}`).join('\n'),
})
const verdict = z.enum(['ours', 'theirs'])
const state = z.enum(['open', 'closed'])

const NOTE_LENGTH_MAX = 4_000
const MESSAGE_LENGTH_MAX = 4_000

const incidentFields = {
  id: { column: 'id', output: shownId },
  tenant: { column: 'tenant_key', output: z.string(), example: 'acme' },
  endpointId: { column: 'endpoint_id', output: shownId },
  url: { column: 'url', output: z.string(), example: 'https://example.com/webhooks' },
  description: {
    column: 'description',
    output: z.string(),
    example: 'Invoices for the accounting system',
  },
  endpointState: { column: 'endpoint_state', output: z.enum(['active', 'paused', 'disabled']) },
  state: { output: state, show: ({ closed_at: at }) => (at === null ? 'open' : 'closed') },
  cause: { column: 'cause', output: cause },
  verdict: {
    column: 'verdict',
    output: verdict.nullable().openapi({
      description:
        'Who likely caused it. `ours`: 3 tenants and 20 % of the active endpoints have the same network cause, this service has an alarm, or the cause says so. Null to keys of one tenant.',
    }),
  },
  firstSeenAt: { column: 'first_seen_at', output: shownTime },
  lastSeenAt: { column: 'last_seen_at', output: shownTime },
  failures: {
    output: z.int().openapi({ description: 'Failed attempts with this cause.' }),
    show: ({ failures }) => Number(failures),
  },
  held: {
    column: 'held',
    output: z.int().openapi({
      description:
        'Deliveries of the endpoint that are on hold now, not counting deliveries that wait for an earlier event of their ordering key; 10,000 = at least.',
    }),
  },
  waiting: {
    column: 'waiting',
    output: z.int().openapi({
      description:
        'Deliveries of the endpoint that wait for an earlier event of their ordering key; 10,000 = at least.',
    }),
  },
  lastStatusCode: { column: 'last_status_code', output: z.int().nullable() },
  lastResponse: {
    output: z.string().nullable().openapi({
      description: 'Result of the last failed attempt, in words; null if nothing was sent.',
    }),
    show: lastResponseOf,
  },
  lastDeliveryId: { column: 'last_delivery_id', output: shownId.nullable() },
  circuitOpenedAt: {
    column: 'circuit_opened_at',
    output: shownTime.nullable().openapi({
      description: 'Since when deliveries are on hold, except for a probe now and then.',
    }),
  },
  nextProbeAt: { column: 'probe_at', output: shownTime.nullable() },
  acknowledgedAt: { column: 'acknowledged_at', output: shownTime.nullable() },
  acknowledgedBy: {
    column: 'acknowledged_by',
    output: z.string().nullable().openapi({ description: 'Null to keys of one tenant.' }),
  },
  note: {
    column: 'note',
    output: z.string().nullable().openapi({
      description: 'Note for operators. Null to keys of one tenant.',
    }),
  },
  notifiedAt: {
    column: 'notified_at',
    output: shownTime.nullable().openapi({ description: 'When the customer was notified.' }),
  },
  closedAt: { column: 'closed_at', output: shownTime.nullable() },
  closedReason: {
    column: 'closed_reason',
    output: z.enum(['recovered', 'quiet', 'deleted']).nullable().openapi({
      description:
        'recovered: a delivery succeeded, or the endpoint was enabled. quiet: nothing was sent for two days. deleted: the endpoint.',
    }),
  },
} as const satisfies Fields<Incident>

/** What a list of incidents has in columns. */
export const INCIDENT_COLUMNS: (keyof Shown<typeof incidentFields>)[] = [
  ...(['id', 'tenant', 'url', 'cause', 'verdict', 'firstSeenAt', 'failures', 'held'] as const),
  ...(['lastResponse', 'acknowledgedBy', 'closedAt'] as const),
]

/** What incidents are chosen by. */
export const incidentFilters = {
  state: { input: state.optional(), option: { value: '<state>', about: 'open or closed' } },
  cause: {
    input: cause.optional(),
    option: { value: '<cause>', about: 'such as timeout or server_error' },
  },
  verdict: {
    input: verdict.optional(),
    option: { value: '<verdict>', about: 'ours or theirs: who likely caused it' },
  },
  endpointId: {
    input: endpointId.optional().openapi({ type: 'string', format: 'uuid' }),
    option: { name: 'endpoint', value: '<id>', about: 'only of this endpoint' },
  },
} as const satisfies Fields

export const incidentFilterInputs = inputsOf(incidentFilters)

export const noteFields = {
  note: {
    input: visibleText(NOTE_LENGTH_MAX, 'prose').openapi({
      description: 'Replaces the previous note; an empty one removes it.',
    }),
    option: {
      value: '<text>',
      about: 'text of the note; an empty one removes it',
      isRequired: true,
    },
    form: { label: 'Note for colleagues' },
  },
} as const satisfies Fields

export const notifyFields = {
  message: {
    input: visibleText(MESSAGE_LENGTH_MAX, 'prose').trim().min(1).optional().openapi({
      description: 'Left out: `message` of the incident.',
      example: 'Your endpoint returns 500 since 13:10. We keep your events.',
    }),
    option: {
      value: '<text>',
      about: 'text of the message; default: cause, time and advice',
    },
  },
} as const satisfies Fields

export const incidentSchema = z.object(outputsOf(incidentFields)).openapi('Incident')
export const incidentWithMessageSchema = incidentSchema
  .extend({
    message: z.string().nullable().openapi({
      description:
        'What to tell the customer. Null to keys of one tenant: it follows from the verdict.',
    }),
  })
  .openapi('IncidentWithMessage')

/** Verdict and notes are about more than one tenant, or not for its eyes. */
export function presentIncident(
  incident: Incident,
  { tenant }: Pick<Caller, 'tenant'>,
): z.output<typeof incidentSchema> {
  const shown = shownOf(incidentFields, incident)
  if (tenant === null) return shown
  return { ...shown, verdict: null, note: null, acknowledgedBy: null }
}

/** `returned 500 Internal Server Error: "NullReference…"` */
export function lastResponseOf(
  incident: Pick<Incident, 'last_answer' | 'last_body'>,
): string | null {
  const { last_answer: answer, last_body: body } = incident
  if (answer === null || !body?.trim()) return answer
  return `${answer}: "${body.trim()}"`
}
