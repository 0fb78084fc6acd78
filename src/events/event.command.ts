import type { Command } from 'commander'
import { memberOf } from '../http/json-text.ts'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { cellOf, renderPage, renderRecord, renderTable } from '../terminal/output.ts'
import type { Paint } from '../terminal/paint.ts'
import { type Given, PAGE_FIELDS, TIME_FIELDS } from '../terminal/request.ts'
import { addRequest } from '../terminal/request-command.ts'
import { eventFilters, eventShowFields, ROUTE_COLUMNS } from './event.fields.ts'

const ALL = '/api/tenants/{tenant}/events'
const COLUMNS = ['id', 'type', 'createdAt', 'idempotencyKey', 'states']
const DELIVERY_COLUMNS = ['id', 'state', 'attemptCount', 'nextAttemptAt', 'endpointId']

type Row = Record<string, unknown>
interface Event extends Row {
  deliveries: Row[]
}

/** Finds and shows events through the API. */
export function addEventCommand(program: Command, context: CommandContext): void {
  const event = program.command('event').description('find events, and see where they went')
  addRequest(event, context, {
    verb: 'list',
    about: 'list, filter or search the events of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: [...optionsOf(eventFilters), ...TIME_FIELDS, ...PAGE_FIELDS],
    render: renderList,
    examples: ["postrider event list acme --search 'Müller' --since 2026-01-31T00:00:00Z"],
  })
  addRequest(event, context, {
    verb: 'show',
    about: 'show an event with its deliveries, and why each endpoint got it or not',
    operation: `GET ${ALL}/{id}`,
    parameters: { id: 'id of the event' },
    fields: optionsOf(eventShowFields),
    render: renderEvent,
  })
}

function renderList(page: { data: Event[]; nextCursor: string | null }, paint: Paint): string {
  const data = page.data.map((event) => ({ ...event, states: statesOf(event) }))
  return renderPage(COLUMNS, { ...page, data }, paint)
}

const statesOf = ({ deliveries }: Event): string =>
  [...new Set(deliveries.map(({ state }) => String(state)))].join(', ')

/** The data as it was published: parsed, its large numbers would be others. */
function renderEvent(
  { data: _, deliveries, routing, ...event }: Event & { routing: Row[] },
  paint: Paint,
  { text }: Given,
): string {
  const data = cellOf(String(memberOf(Buffer.from(text), 'data')))
  return [
    renderRecord(event, paint),
    `${data}\n`,
    ...(deliveries.length > 0 ? [renderTable(DELIVERY_COLUMNS, deliveries, paint)] : []),
    ...(routing.length > 0 ? [renderTable(ROUTE_COLUMNS, routing, paint)] : []),
  ].join('\n')
}
