import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf } from '../terminal/option-fields.ts'
import { renderPage } from '../terminal/output.ts'
import { PAGE_FIELDS } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import {
  ORDERING_KEY_COLUMNS,
  orderingKeyFilters,
  orderingListFilters,
  skipToFields,
} from './ordering-key.fields.ts'

const ENDPOINT = '/api/tenants/{tenant}/endpoints/{id}'
const ONE = `${ENDPOINT}/ordering-keys/{key}` as const
const parameters = { id: 'id of the endpoint', key: 'the ordering key' }
const LIST = {
  render: (page, paint) => renderPage(ORDERING_KEY_COLUMNS, page, paint),
} satisfies Partial<RequestSpec>

const ORDERING: readonly RequestSpec[] = [
  {
    ...LIST,
    verb: 'all',
    about: 'list the ordering keys of all tenants that have open deliveries',
    operation: 'GET /api/ordering-keys',
    fields: [...optionsOf(orderingListFilters), ...PAGE_FIELDS],
    examples: ['postrider ordering all --state blocked'],
  },
  {
    ...LIST,
    verb: 'list',
    about: 'list the ordering keys of an endpoint that have open deliveries',
    operation: `GET ${ENDPOINT}/ordering-keys`,
    fields: [...optionsOf(orderingKeyFilters), ...PAGE_FIELDS],
    examples: ['postrider ordering list acme <id> --state blocked'],
  },
  {
    verb: 'show',
    about: 'show which event of a key has its turn, and which comes next',
    operation: `GET ${ONE}`,
  },
  {
    verb: 'retry',
    about: 'retry the event that blocks a key; when it is delivered, the next one follows',
    operation: `POST ${ONE}/retry`,
    done: 'retried',
  },
  {
    verb: 'skip',
    about: 'skip the event of a key whose turn it is; the next one follows',
    operation: `POST ${ONE}/skip`,
    done: 'skipped',
  },
  {
    verb: 'skip-to',
    about: 'skip to an event; run it again until it says that it is done',
    operation: `POST ${ONE}/skip-to`,
    fields: optionsOf(skipToFields),
    examples: ['postrider ordering skip-to acme <id> invoice:42 --event <id>'],
  },
  {
    verb: 'release',
    about: 'send events to an endpoint in any order, including waiting ones',
    operation: `POST ${ENDPOINT}/release-ordering`,
  },
]

/** Shows ordering keys, and what people do about those that are blocked, through the API. */
export function addOrderingCommand(program: Command, context: CommandContext): void {
  const ordering = program.command('ordering').description('manage ordering keys')
  for (const spec of ORDERING) addRequest(ordering, context, { parameters, ...spec })
}
