import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage } from '../terminal/output.ts'
import { PAGE_FIELDS } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { TENANT_COLUMNS, tenantFields } from './tenant.fields.ts'

const ONE = '/api/tenants/{tenant}'
const parameters = { tenant: 'your ID for this customer' }

const { name } = tenantFields

const TENANTS: readonly RequestSpec[] = [
  {
    verb: 'create',
    about: 'create a tenant, or change the name of one',
    operation: `PUT ${ONE}`,
    fields: optionsOf({
      name: {
        ...name,
        option: { ...name.option, about: 'shown in the console and the portal; default: the key' },
      },
    }),
    examples: ["postrider tenant create acme --name 'Acme Inc.'"],
  },
  {
    verb: 'list',
    about: 'list tenants, newest first',
    operation: 'GET /api/tenants',
    fields: [
      {
        name: 'reserved',
        about: 'include tenants of the service itself (`postrider:…`); for admin keys',
      },
      ...PAGE_FIELDS,
    ],
    render: (page) => renderPage(TENANT_COLUMNS, page),
  },
  { verb: 'show', about: 'show a tenant', operation: `GET ${ONE}` },
  {
    verb: 'change',
    about: 'change the name of a tenant',
    operation: `PATCH ${ONE}`,
    fields: optionsOf({ name }),
    isChange: true,
  },
  {
    verb: 'suspend',
    about: 'reject events published for a tenant, and hold its deliveries',
    operation: `POST ${ONE}/suspend`,
  },
  {
    verb: 'resume',
    about: 'resume a suspended tenant',
    operation: `POST ${ONE}/resume`,
  },
  {
    verb: 'delete',
    about: 'delete a tenant with all its data; `tenant show` shows the progress',
    operation: `DELETE ${ONE}`,
  },
]

/** Creates, shows, suspends and deletes tenants through the API. */
export function addTenantCommand(program: Command, context: CommandContext): void {
  const tenant = program.command('tenant').description('manage tenants, your customers')
  for (const spec of TENANTS) addRequest(tenant, context, { parameters, ...spec })
}
