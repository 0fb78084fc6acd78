import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage } from '../terminal/output.ts'
import { PAGE_FIELDS } from '../terminal/request.ts'
import { addRequest } from '../terminal/request-command.ts'
import { API_KEY_COLUMNS, apiKeyFields, apiKeyFilters } from './api-key.fields.ts'

/** Creates, lists and revokes API keys through the API, with a key that is an admin's. */
export function addKeyCommand(program: Command, context: CommandContext): void {
  const key = program.command('key').description('manage API keys')
  addRequest(key, context, {
    verb: 'create',
    about: 'create an API key; it is shown only once',
    operation: 'POST /api/keys',
    positional: [{ name: 'name', about: 'what it is for' }],
    fields: optionsOf(apiKeyFields),
    examples: [
      "postrider key create 'invoice service' --scopes publish",
      "postrider key create 'Ann, support' --scopes read,manage --expires-at 2027-01-31T12:00:00Z",
    ],
  })
  addRequest(key, context, {
    verb: 'list',
    about: 'list API keys, newest first, with expired and revoked ones',
    operation: 'GET /api/keys',
    fields: [...optionsOf(apiKeyFilters), ...PAGE_FIELDS],
    render: (page) => renderPage(API_KEY_COLUMNS, page),
  })
  addRequest(key, context, {
    verb: 'revoke',
    about: 'revoke an API key: it is refused within five seconds',
    operation: 'DELETE /api/keys/{id}',
    parameters: { id: 'id of the key, not the key itself' },
    done: 'revoked',
  })
}
