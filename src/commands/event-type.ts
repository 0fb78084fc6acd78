import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { renderPage, renderRecord } from './output.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

const COLUMNS = ['name', 'deprecatedAt', 'description']

interface PutOptions extends JsonOption {
  description?: string
  schema?: string
}

/** Describes event types through the API. */
export function addEventTypeCommand(program: Command, context: CommandContext): void {
  const eventType = program.command('event-type').description('what is published, and its schemas')

  withPageOptions(eventType.command('list'))
    .description('list event types by name')
    .action(({ limit, cursor, ...options }: PageOptions) =>
      requestAndPrint(
        context,
        { method: 'GET', path: '/api/event-types', query: { limit, cursor } },
        options,
        (page) => renderPage(COLUMNS, page),
      ),
    )

  withJsonOption(eventType.command('show'))
    .description('show an event type')
    .argument('<name>', 'such as invoice.paid')
    .action((name: string, options: JsonOption) =>
      requestAndPrint(context, { method: 'GET', path: pathOf(name) }, options, renderRecord),
    )

  withJsonOption(eventType.command('put'))
    .description('describe an event type, or change its description; what is left out stays')
    .argument('<name>', 'such as invoice.paid')
    .option('--description <text>', 'for people')
    .option('--schema <file>', 'JSON Schema 2020-12 of the data; - reads stdin')
    .action(async (name: string, { description, schema, ...options }: PutOptions) => {
      const body = JSON.stringify({ description, schema: await readSchema(context, schema) })
      await requestAndPrint(
        context,
        { method: 'PUT', path: pathOf(name), body },
        options,
        renderRecord,
      )
    })

  withJsonOption(eventType.command('deprecate'))
    .description('mark an event type as one that new receivers should not rely on')
    .argument('<name>', 'such as invoice.paid')
    .option('--undo', 'take the mark away')
    .action((name: string, { undo, ...options }: JsonOption & { undo?: true }) =>
      requestAndPrint(
        context,
        { method: 'PATCH', path: pathOf(name), body: JSON.stringify({ deprecated: !undo }) },
        options,
        renderRecord,
      ),
    )

  withJsonOption(eventType.command('example'))
    .description('print an example of what a receiver gets')
    .argument('<name>', 'such as invoice.paid')
    .action((name: string, options: JsonOption) =>
      requestAndPrint(
        context,
        { method: 'GET', path: `${pathOf(name)}/example` },
        options,
        (example) => `${JSON.stringify(example, null, 2)}\n`,
      ),
    )

  eventType
    .command('delete')
    .description('forget the description of an event type; its events stay')
    .argument('<name>', 'such as invoice.paid')
    .option('--json', 'print one JSON document')
    .action(async (name: string, { json }: JsonOption) => {
      await callApi(await findConnection(context), { method: 'DELETE', path: pathOf(name) })
      context.print(json ? `${JSON.stringify({ name, deleted: true })}\n` : `deleted ${name}\n`)
    })
}

/** @throws UsageError for what cannot be read, or is not JSON */
async function readSchema(
  { cwd, stdin }: Pick<CommandContext, 'cwd' | 'stdin'>,
  file: string | undefined,
): Promise<unknown> {
  if (file === undefined) return undefined
  try {
    const content =
      file === '-' ? await text(stdin as never) : await readFile(resolve(cwd, file), 'utf8')
    return JSON.parse(content)
  } catch (error) {
    throw new UsageError(`the schema cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function pathOf(name: string): string {
  return `/api/event-types/${encodeURIComponent(name)}`
}
