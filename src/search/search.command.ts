import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderTable } from '../terminal/output.ts'
import { addRequest } from '../terminal/request-command.ts'
import { HIT_COLUMNS, searchFilters } from './search.fields.ts'

/** Finds anything by what people know of it, through the API. */
export function addSearchCommand(program: Command, context: CommandContext): void {
  addRequest(program, context, {
    verb: 'search',
    about: 'find tenants, endpoints, events and deliveries, with their outcome',
    operation: 'GET /api/search',
    positional: [{ name: 'q', about: 'id, name, key, URL, or text in the data of events' }],
    fields: optionsOf(searchFilters),
    render: renderFound,
    examples: ["postrider search 'acme 4711'", 'postrider search order-4711 --tenant acme'],
  })
}

function renderFound(found: Record<string, unknown>): string {
  const { data, searchedBackTo } = found as {
    data: Record<string, unknown>[]
    searchedBackTo: string | null
  }
  const table = data.length === 0 ? 'nothing found\n' : renderTable(HIT_COLUMNS, data)
  return searchedBackTo === null
    ? table
    : `${table}searched the data of events since ${searchedBackTo}\n`
}
