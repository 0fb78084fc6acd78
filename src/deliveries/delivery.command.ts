import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import type { Field } from '../terminal/option-fields.ts'
import { renderPage, renderRecord, renderTable } from '../terminal/output.ts'
import type { Paint } from '../terminal/paint.ts'
import { ENDPOINT_FIELD, PAGE_FIELDS, TIME_FIELDS } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'

const ALL = '/api/tenants/{tenant}/deliveries'
const ONE = `${ALL}/{id}` as const
const parameters = { id: 'id of the delivery' }
const COLUMNS = [
  'id',
  'state',
  'heldReason',
  'attemptCount',
  'nextAttemptAt',
  'eventId',
  'endpointId',
]
const ATTEMPT_COLUMNS = [
  'number',
  'trigger',
  'outcome',
  'statusCode',
  'durationMs',
  'startedAt',
  'reason',
  'error',
]

/** What deliveries and the attempts of `tail` are chosen by alike. */
export const ATTEMPT_FIELDS: readonly Field[] = [
  ENDPOINT_FIELD,
  { name: 'type', value: '<type>', about: 'of events of this type, or pattern such as order.*' },
  { name: 'reason', value: '<reason>', about: 'such as timeout_answer or tls_certificate' },
  { name: 'statusClass', value: '<n>', about: '5 for those whose last attempt was answered 5xx' },
]

const DELIVERIES: readonly RequestSpec[] = [
  {
    verb: 'list',
    about: 'list the deliveries of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: [
      {
        name: 'state',
        value: '<state>',
        about: 'pending, delivering, delivered, failed, held or cancelled',
      },
      { name: 'eventId', option: 'event', value: '<id>', about: 'of this event' },
      ...ATTEMPT_FIELDS,
      ...TIME_FIELDS,
      ...PAGE_FIELDS,
    ],
    render: (page, paint) => renderPage(COLUMNS, page, paint),
    examples: ['postrider delivery list acme --state failed --since 2026-01-31T00:00:00Z'],
  },
  {
    verb: 'show',
    about: 'show a delivery with its attempts',
    operation: `GET ${ONE}`,
    fields: [
      {
        name: 'answers',
        option: 'without-answers',
        about: 'leave out what receivers answered, which may be long',
        on: false,
      },
    ],
    // They are in no column.
    forPeople: { answers: 'false' },
    render: renderDelivery,
  },
  {
    verb: 'retry',
    about: 'make the next attempt at once; a finished delivery is reopened',
    operation: `POST ${ONE}/retry`,
  },
  {
    verb: 'cancel',
    about: 'end an open delivery; an attempt that has begun is finished anyway',
    operation: `POST ${ONE}/cancel`,
  },
]

/** Shows deliveries, and lets people retry and cancel them, through the API. */
export function addDeliveryCommand(program: Command, context: CommandContext): void {
  const delivery = program.command('delivery').description('what is sent to whom, and its attempts')
  for (const spec of DELIVERIES) addRequest(delivery, context, { parameters, ...spec })
}

function renderDelivery(
  { attempts, ...record }: { attempts: Record<string, unknown>[] },
  paint: Paint,
): string {
  const shown = renderRecord(record, paint)
  if (attempts.length === 0) return shown
  return `${shown}\n${renderTable(ATTEMPT_COLUMNS, attempts, paint)}`
}
