import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage } from '../terminal/output.ts'
import { PAGE_FIELDS } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { INCIDENT_COLUMNS, incidentFilters, noteFields, notifyFields } from './incident.fields.ts'

const ALL = '/api/tenants/{tenant}/incidents'
const ONE = `${ALL}/{id}` as const
const parameters = { id: 'id of the incident' }
const LIST = {
  fields: [...optionsOf(incidentFilters), ...PAGE_FIELDS],
  render: (page, paint) => renderPage(INCIDENT_COLUMNS, page, paint),
} satisfies Partial<RequestSpec>

const INCIDENTS: readonly RequestSpec[] = [
  {
    ...LIST,
    verb: 'all',
    about: 'list the incidents of all tenants, newest first',
    operation: 'GET /api/incidents',
    examples: ['postrider incident all --state open', 'postrider incident all --verdict ours'],
  },
  {
    ...LIST,
    verb: 'list',
    about: 'list the incidents of a tenant, newest first',
    operation: `GET ${ALL}`,
    examples: ['postrider incident list acme --state open'],
  },
  {
    verb: 'show',
    about: 'show an incident, with a message for the customer',
    operation: `GET ${ONE}`,
  },
  {
    verb: 'acknowledge',
    about: 'tell colleagues that you are working on it',
    operation: `POST ${ONE}/acknowledge`,
  },
  {
    verb: 'note',
    about: 'write a note for colleagues; replaces the previous one',
    operation: `POST ${ONE}/note`,
    fields: optionsOf(noteFields),
    examples: ["postrider incident note acme <id> --note 'They deploy at 14:00'"],
  },
  { verb: 'probe', about: 'try one delivery now', operation: `POST ${ONE}/probe` },
  {
    verb: 'release',
    about: 'close the circuit of the endpoint and send what is on hold',
    operation: `POST ${ONE}/release`,
  },
  { verb: 'pause', about: 'pause the endpoint', operation: `POST ${ONE}/pause` },
  {
    verb: 'notify',
    about: 'notify the customer: publishes incident.reported and postrider.incident',
    operation: `POST ${ONE}/notify`,
    fields: optionsOf(notifyFields),
    examples: ["postrider incident notify acme <id> --message 'Your receiver returns 500.'"],
  },
]

/** Shows incidents, and what people do about them, through the API. */
export function addIncidentCommand(program: Command, context: CommandContext): void {
  const incident = program.command('incident').description('endpoints that keep failing, and why')
  for (const spec of INCIDENTS) addRequest(incident, context, { parameters, ...spec })
}
