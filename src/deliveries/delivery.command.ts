import type { Command } from 'commander'
import { ATTEMPT_COLUMNS } from '../attempts/attempt.fields.ts'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage, renderRecord, renderTable } from '../terminal/output.ts'
import type { Paint } from '../terminal/paint.ts'
import { PAGE_FIELDS, TIME_FIELDS } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { DELIVERY_COLUMNS, deliveryFilters } from './delivery.fields.ts'

const ALL = '/api/tenants/{tenant}/deliveries'
const ONE = `${ALL}/{id}` as const
const parameters = { id: 'id of the delivery' }
const DELIVERIES: readonly RequestSpec[] = [
  {
    verb: 'list',
    about: 'list the deliveries of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: [...optionsOf(deliveryFilters), ...TIME_FIELDS, ...PAGE_FIELDS],
    render: (page, paint) => renderPage(DELIVERY_COLUMNS, page, paint),
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
        about: 'omit response bodies',
        on: false,
      },
    ],
    // They are in no column.
    forPeople: { answers: 'false' },
    render: renderDelivery,
  },
  {
    verb: 'retry',
    about: 'retry a delivery now, also a finished one',
    operation: `POST ${ONE}/retry`,
  },
  {
    verb: 'cancel',
    about: 'cancel an open delivery; an attempt in progress still finishes',
    operation: `POST ${ONE}/cancel`,
  },
]

/** Shows deliveries, and lets people retry and cancel them, through the API. */
export function addDeliveryCommand(program: Command, context: CommandContext): void {
  const delivery = program.command('delivery').description('find and operate deliveries')
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
