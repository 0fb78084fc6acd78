import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { type Field, readList } from '../terminal/option-fields.ts'
import { renderPage } from '../terminal/output.ts'
import { PAGE_FIELDS } from '../terminal/request.ts'
import { addRequest } from '../terminal/request-command.ts'

const COLUMNS = ['id', 'name', 'tenant', 'scopes', 'expiresAt', 'lastUsedAt', 'revokedAt']
const TENANT: Field = { name: 'tenant', value: '<key>', about: 'only those of this tenant' }

/** Creates, lists and revokes API keys through the API, with a key that is an admin's. */
export function addKeyCommand(program: Command, context: CommandContext): void {
  const key = program.command('key').description('the keys that programs call the API with')
  addRequest(key, context, {
    verb: 'create',
    about: 'create an API key; prints it this once',
    operation: 'POST /api/keys',
    positional: [{ name: 'name', about: 'what it is for' }],
    fields: [
      {
        name: 'scopes',
        value: '<scopes>',
        about: 'comma separated: publish, read, manage, admin',
        read: readList,
        isRequired: true,
      },
      { ...TENANT, about: 'the one tenant that it may touch; every tenant when left out' },
      {
        name: 'expiresAt',
        value: '<time>',
        about: 'ISO 8601, such as 2027-01-31T12:00:00Z; never when left out',
      },
    ],
    examples: [
      "postrider key create 'invoice service' --scopes publish",
      "postrider key create 'Ann, support' --scopes read,manage --expires-at 2027-01-31T12:00:00Z",
    ],
  })
  addRequest(key, context, {
    verb: 'list',
    about: 'list API keys, newest first, those that are over too',
    operation: 'GET /api/keys',
    fields: [TENANT, ...PAGE_FIELDS],
    render: (page) => renderPage(COLUMNS, page),
  })
  addRequest(key, context, {
    verb: 'revoke',
    about: 'revoke an API key: it is refused within five seconds',
    operation: 'DELETE /api/keys/{id}',
    parameters: { id: 'id of the key, not the key itself' },
    done: 'revoked',
  })
}
