import type { Command } from 'commander'
import { callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { renderPage, renderRecord } from './output.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

const COLUMNS = ['id', 'name', 'tenant', 'scopes', 'expiresAt', 'lastUsedAt', 'revokedAt']

interface CreateOptions extends JsonOption {
  scopes: string
  tenant?: string
  expiresAt?: string
}

/** Creates, lists and revokes API keys through the API, with a key that is an admin's. */
export function addKeyCommand(program: Command, context: CommandContext): void {
  const key = program.command('key').description('the keys that programs call the API with')

  withJsonOption(key.command('create'))
    .description('create an API key; prints it this once')
    .argument('<name>', 'what it is for')
    .requiredOption('--scopes <scopes>', 'comma separated: publish, read, manage, admin')
    .option('--tenant <key>', 'the one tenant that it may touch; every tenant when left out')
    .option('--expires-at <time>', 'ISO 8601; never when left out')
    .action((name: string, { scopes, tenant, expiresAt, ...options }: CreateOptions) =>
      requestAndPrint(
        context,
        {
          method: 'POST',
          path: '/api/keys',
          body: JSON.stringify({ name, scopes: scopes.split(','), tenant, expiresAt }),
        },
        options,
        renderRecord,
      ),
    )

  withPageOptions(key.command('list'))
    .description('list API keys, newest first, those that are over too')
    .option('--tenant <key>', 'only those of this tenant')
    .action(({ limit, cursor, tenant, ...options }: PageOptions & { tenant?: string }) =>
      requestAndPrint(
        context,
        { method: 'GET', path: '/api/keys', query: { limit, cursor, tenant } },
        options,
        (page) => renderPage(COLUMNS, page),
      ),
    )

  key
    .command('revoke')
    .description('revoke an API key: it is refused within five seconds')
    .argument('<id>', 'id of the key, not the key itself')
    .option('--json', 'print one JSON document')
    .action(async (id: string, { json }: JsonOption) => {
      const connection = await findConnection(context)
      await callApi(connection, { method: 'DELETE', path: `/api/keys/${encodeURIComponent(id)}` })
      context.print(json ? `${JSON.stringify({ id, revoked: true })}\n` : `revoked ${id}\n`)
    })
}
