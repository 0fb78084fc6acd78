import type { Command } from 'commander'
import type { CommandContext } from './context.ts'
import { renderPage, renderRecord } from './output.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

const COLUMNS = ['key', 'name', 'createdAt', 'suspendedAt']

/** Creates and shows tenants through the API. */
export function addTenantCommand(program: Command, context: CommandContext): void {
  const tenant = program.command('tenant').description('the customers that events are for')

  withJsonOption(tenant.command('create'))
    .description('create a tenant, or change the name of one')
    .argument('<key>', "the producer's own id for it")
    .option('--name <name>', 'shown to people; the key when left out')
    .action((key: string, { name, ...options }: JsonOption & { name?: string }) =>
      requestAndPrint(
        context,
        { method: 'PUT', path: pathOf(key), body: JSON.stringify({ name }) },
        options,
        renderRecord,
      ),
    )

  withPageOptions(tenant.command('list'))
    .description('list tenants, newest first')
    .action(({ limit, cursor, ...options }: PageOptions) =>
      requestAndPrint(
        context,
        { method: 'GET', path: '/api/tenants', query: { limit, cursor } },
        options,
        (page) => renderPage(COLUMNS, page),
      ),
    )

  withJsonOption(tenant.command('show'))
    .description('show a tenant')
    .argument('<key>', "the producer's own id for it")
    .action((key: string, options: JsonOption) =>
      requestAndPrint(context, { method: 'GET', path: pathOf(key) }, options, renderRecord),
    )
}

function pathOf(key: string): string {
  return `/api/tenants/${encodeURIComponent(key)}`
}
