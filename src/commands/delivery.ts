import type { Command } from 'commander'
import type { CommandContext } from './context.ts'
import { renderPage, renderRecord, renderTable } from './output.ts'
import type { Paint } from './paint.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

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

interface ListOptions extends PageOptions {
  state?: string
  endpoint?: string
  event?: string
  type?: string
  statusClass?: string
  reason?: string
  since?: string
  until?: string
}

/** Shows deliveries, and lets people retry and cancel them, through the API. */
export function addDeliveryCommand(program: Command, context: CommandContext): void {
  const delivery = program.command('delivery').description('what is sent to whom, and its attempts')

  withPageOptions(delivery.command('list'))
    .description('list the deliveries of a tenant, newest first')
    .argument('<tenant>', 'key of the tenant')
    .option('--state <state>', 'pending, delivering, delivered, failed, held or cancelled')
    .option('--endpoint <id>', 'to this endpoint')
    .option('--event <id>', 'of this event')
    .option('--type <type>', 'of events of this type, or pattern such as order.*')
    .option('--status-class <n>', '5 for those whose last attempt was answered 5xx')
    .option('--reason <reason>', 'such as timeout_answer: why the last attempt did not deliver')
    .option('--since <time>', 'ISO 8601; made from then on')
    .option('--until <time>', 'ISO 8601; made before')
    .action((tenant: string, { json, endpoint, event, ...query }: ListOptions) =>
      requestAndPrint(
        context,
        {
          method: 'GET',
          path: pathOf(tenant),
          query: { ...query, endpointId: endpoint, eventId: event },
        },
        json ? { json } : {},
        (page, paint) => renderPage(COLUMNS, page, paint),
      ),
    )

  withJsonOption(delivery.command('show'))
    .description('show a delivery with its attempts')
    .argument('<tenant>', 'key of the tenant')
    .argument('<id>', 'id of the delivery')
    .action((tenant: string, id: string, options: JsonOption) =>
      requestAndPrint(
        context,
        { method: 'GET', path: pathOf(tenant, id), query: answersFor(options) },
        options,
        renderDelivery,
      ),
    )

  for (const [verb, description] of [
    ['retry', 'make the next attempt at once; a finished delivery is reopened'],
    ['cancel', 'end an open delivery; an attempt that has begun is finished all the same'],
  ] as const) {
    withJsonOption(delivery.command(verb))
      .description(description)
      .argument('<tenant>', 'key of the tenant')
      .argument('<id>', 'id of the delivery')
      .action((tenant: string, id: string, options: JsonOption) =>
        requestAndPrint(
          context,
          { method: 'POST', path: `${pathOf(tenant, id)}/${verb}` },
          options,
          renderRecord,
        ),
      )
  }
}

/** Answers of receivers are in no column. */
const answersFor = ({ json }: JsonOption) => (json ? {} : { answers: 'false' })

function renderDelivery(
  { attempts, ...record }: { attempts: Record<string, unknown>[] },
  paint: Paint,
): string {
  const shown = renderRecord(record, paint)
  if (attempts.length === 0) return shown
  return `${shown}\n${renderTable(ATTEMPT_COLUMNS, attempts, paint)}`
}

function pathOf(tenant: string, id?: string): string {
  const deliveries = `/api/tenants/${encodeURIComponent(tenant)}/deliveries`
  return id === undefined ? deliveries : `${deliveries}/${encodeURIComponent(id)}`
}
