import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { addRequest } from '../terminal/request-command.ts'
import { portalLinkFields } from './portal-link.fields.ts'

const LINKS = '/api/tenants/{tenant}/portal-links'

/** Makes links to the portal for a tenant, and takes them back, through the API. */
export function addPortalLinkCommand(program: Command, context: CommandContext): void {
  const link = program.command('portal-link').description('manage short-lived links to the portal')
  addRequest(link, context, {
    verb: 'create',
    about: 'create a portal link for a tenant; anyone with the link has its permissions',
    operation: `POST ${LINKS}`,
    fields: optionsOf(portalLinkFields),
    examples: [
      'postrider portal-link create acme --minutes 30 --access read',
      "postrider portal-link create acme --locale de --accent '#0a5c36'",
    ],
  })
  addRequest(link, context, {
    verb: 'revoke',
    about: 'revoke all portal links of a tenant, and end their sessions',
    operation: `DELETE ${LINKS}`,
    done: 'revoked',
  })
}
