import type { Command } from 'commander'
import { callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { renderPage, renderRecord } from './output.ts'
import type { Paint } from './paint.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

const COLUMNS = ['id', 'state', 'eventTypes', 'url']

const ACTIONS = [
  ['test', 'send a signed example event and print the attempt'],
  ['pause', 'hold its deliveries; events are still accepted for it'],
  ['resume', 'take a paused endpoint back into service and deliver what was held'],
  ['enable', 'take a disabled endpoint back into service and deliver what was held'],
] as const

interface CreateOptions extends JsonOption {
  eventTypes?: string
  description?: string
  filter?: string
}

/** Creates, shows, operates and deletes endpoints through the API. */
export function addEndpointCommand(program: Command, context: CommandContext): void {
  const endpoint = program.command('endpoint').description('the URLs that want events')

  withJsonOption(endpoint.command('create'))
    .description('create an endpoint; prints its signing secret too')
    .argument('<tenant>', 'key of the tenant')
    .argument('<url>', 'where deliveries are posted')
    .option('--event-types <types>', 'comma separated: names, order.*, or * for all')
    .option('--filter <filter>', "predicate on the data, such as '$.amount > 100'")
    .option('--description <text>', 'for people')
    .action(
      (
        tenant: string,
        url: string,
        { eventTypes, description, filter, ...options }: CreateOptions,
      ) =>
        requestAndPrint(
          context,
          {
            method: 'POST',
            path: pathOf(tenant),
            body: JSON.stringify({ url, description, eventTypes: eventTypes?.split(','), filter }),
          },
          options,
          renderRecord,
        ),
    )

  withPageOptions(endpoint.command('list'))
    .description('list the endpoints of a tenant, newest first')
    .argument('<tenant>', 'key of the tenant')
    .action((tenant: string, { limit, cursor, ...options }: PageOptions) =>
      requestAndPrint(
        context,
        { method: 'GET', path: pathOf(tenant), query: { limit, cursor } },
        options,
        (page, paint) => renderPage(COLUMNS, page, paint),
      ),
    )

  withJsonOption(endpoint.command('show'))
    .description('show an endpoint')
    .argument('<tenant>', 'key of the tenant')
    .argument('<id>', 'id of the endpoint')
    .action((tenant: string, id: string, options: JsonOption) =>
      requestAndPrint(context, { method: 'GET', path: pathOf(tenant, id) }, options, renderRecord),
    )

  for (const [verb, description] of ACTIONS) {
    withJsonOption(endpoint.command(verb))
      .description(description)
      .argument('<tenant>', 'key of the tenant')
      .argument('<id>', 'id of the endpoint')
      .action((tenant: string, id: string, options: JsonOption) =>
        requestAndPrint(
          context,
          { method: 'POST', path: `${pathOf(tenant, id)}/${verb}` },
          options,
          verb === 'enable' ? renderEnabled(tenant) : renderRecord,
        ),
      )
  }

  endpoint
    .command('delete')
    .description('delete an endpoint; its open deliveries are cancelled')
    .argument('<tenant>', 'key of the tenant')
    .argument('<id>', 'id of the endpoint')
    .option('--json', 'print one JSON document')
    .action(async (tenant: string, id: string, { json }: JsonOption) => {
      const connection = await findConnection(context)
      await callApi(connection, { method: 'DELETE', path: pathOf(tenant, id) })
      context.print(json ? `${JSON.stringify({ id, deleted: true })}\n` : `deleted ${id}\n`)
    })
}

interface EnabledEndpoint extends Record<string, unknown> {
  id: string
  missed?: { since: string; until: string } | null
}

/** With the command that delivers what was published meanwhile. */
const renderEnabled =
  (tenant: string) =>
  ({ missed, ...endpoint }: EnabledEndpoint, paint: Paint): string => {
    const shown = renderRecord(endpoint, paint)
    if (!missed) return shown
    const { since, until } = missed
    return `${shown}events published while it was disabled were not kept for it; to deliver them:
  postrider replay start ${tenant} --missed --endpoint ${endpoint.id} --since ${since} --until ${until}
`
  }

function pathOf(tenant: string, id?: string): string {
  const endpoints = `/api/tenants/${encodeURIComponent(tenant)}/endpoints`
  return id === undefined ? endpoints : `${endpoints}/${encodeURIComponent(id)}`
}
