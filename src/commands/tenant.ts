import type { Command } from 'commander'
import type { ApiRequest } from './api-client.ts'
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

/** Creates, shows, suspends and deletes tenants through the API. */
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

  addOperations(tenant, context)
}

function addOperations(tenant: Command, context: CommandContext): void {
  const add = (verb: string, description: string, request: (path: string) => ApiRequest) =>
    withJsonOption(tenant.command(verb))
      .description(description)
      .argument('<key>', "the producer's own id for it")
      .action((key: string, options: JsonOption) =>
        requestAndPrint(context, request(pathOf(key)), options, renderRecord),
      )

  add('suspend', 'refuse what is published for a tenant, and hold its deliveries', (path) => ({
    method: 'POST',
    path: `${path}/suspend`,
  }))
  add('resume', 'take a suspended tenant back into service', (path) => ({
    method: 'POST',
    path: `${path}/resume`,
  }))
  add('delete', 'delete a tenant with all its data; `tenant show` says how far it is', (path) => ({
    method: 'DELETE',
    path,
  }))
}

function pathOf(key: string): string {
  return `/api/tenants/${encodeURIComponent(key)}`
}
