import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { UsageError } from '../terminal/exit-code.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage, renderTable } from '../terminal/output.ts'
import { PAGE_FIELDS, readContent } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { EVENT_TYPE_COLUMNS, eventTypeFields } from './event-type.fields.ts'

const ONE = '/api/event-types/{name}'
const VERSION_COLUMNS = ['version', 'createdAt', 'schema']
const parameters = { name: 'such as invoice.paid' }

const FIELDS = optionsOf(eventTypeFields, { isChange: true })

const EVENT_TYPES: readonly RequestSpec[] = [
  {
    verb: 'list',
    about: 'list event types by name',
    operation: 'GET /api/event-types',
    fields: PAGE_FIELDS,
    render: (page) => renderPage(EVENT_TYPE_COLUMNS, page),
  },
  { verb: 'show', about: 'show an event type', operation: `GET ${ONE}` },
  {
    verb: 'put',
    about: 'describe an event type, or change its description; omitted options keep their values',
    operation: `PUT ${ONE}`,
    fields: FIELDS,
    bodyOf: withSchema,
    examples: ['postrider event-type put invoice.paid --schema invoice.json'],
  },
  {
    verb: 'change',
    about: 'change an existing event type; omitted options keep their values, --no-… removes one',
    operation: `PATCH ${ONE}`,
    fields: FIELDS,
    isChange: true,
    bodyOf: withSchema,
    examples: ['postrider event-type change invoice.paid --no-schema --deprecated'],
  },
  {
    verb: 'deprecate',
    about: 'mark an event type as deprecated',
    operation: `PATCH ${ONE}`,
    fields: [{ name: 'deprecated', option: 'undo', about: 'remove the deprecation', on: false }],
    bodyOf: (values) => JSON.stringify({ deprecated: true, ...values }),
  },
  {
    verb: 'example',
    about: 'print an example of what a receiver gets',
    operation: `GET ${ONE}/example`,
    render: (example) => `${JSON.stringify(example, null, 2)}\n`,
  },
  {
    verb: 'versions',
    about: 'list the schemas that an event type has had, newest first',
    operation: `GET ${ONE}/versions`,
    render: ({ data }) => renderTable(VERSION_COLUMNS, data),
  },
  {
    verb: 'delete',
    about: 'delete the description of an event type; its events stay',
    operation: `DELETE ${ONE}`,
    done: 'deleted',
  },
]

/** Describes event types through the API. */
export function addEventTypeCommand(program: Command, context: CommandContext): void {
  const eventType = program
    .command('event-type')
    .description('manage event types and their schemas')
  for (const spec of EVENT_TYPES) addRequest(eventType, context, { parameters, ...spec })
}

/** @throws UsageError for what cannot be read, or is not JSON */
async function withSchema(
  { schema: file, ...values }: Record<string, unknown>,
  context: CommandContext,
): Promise<string> {
  if (typeof file !== 'string') return JSON.stringify({ ...values, schema: file })
  const content = await readContent(context, file, '--schema')
  try {
    return JSON.stringify({ ...values, schema: JSON.parse(content) })
  } catch (error) {
    const message = `--schema ${file} is not JSON: ${(error as Error).message}`
    throw new UsageError(message, { cause: error })
  }
}
