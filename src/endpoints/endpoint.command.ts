import type { Command } from 'commander'
import { clientCertificateFields } from '../secrets/client-certificate.fields.ts'
import { newSecretFields, rotationFields } from '../secrets/endpoint-secret.fields.ts'
import type { CommandContext } from '../terminal/context.ts'
import { bodyWithData } from '../terminal/data-option.ts'
import { type Field, optionsOf, readList } from '../terminal/option-fields.ts'
import { renderPage, renderRecord } from '../terminal/output.ts'
import type { Paint } from '../terminal/paint.ts'
import { type Given, PAGE_FIELDS, readContent, readStdin } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { ENDPOINT_COLUMNS, endpointFields } from './endpoint.fields.ts'

const { url, ...settings } = endpointFields
const { eventTypes, filter } = endpointFields
const ALL = '/api/tenants/{tenant}/endpoints'
const ONE = `${ALL}/{id}` as const
const parameters = { id: 'id of the endpoint' }

const TYPE: Field = { name: 'type', value: '<type>', about: 'of the event, such as invoice.paid' }
const DATA: Field = { name: 'data', value: '<json>', about: 'data of the event; - reads stdin' }
const CHANNELS: Field = {
  name: 'channels',
  value: '<channels>',
  about: 'comma separated: where the event is published',
  read: readList,
}
const MATCH = [TYPE, DATA, CHANNELS, ...optionsOf({ eventTypes, filter }, { isChange: true })]

const ENDPOINTS: readonly RequestSpec[] = [
  {
    verb: 'create',
    about: 'create an endpoint, by default for every event; prints its secret too',
    operation: `POST ${ALL}`,
    positional: [{ name: 'url', about: url.option.about }],
    fields: optionsOf({ ...settings, ...newSecretFields }),
    bodyOf: withSecret,
    examples: [
      "postrider endpoint create acme https://example.com/hooks --event-types 'invoice.*'",
      "postrider endpoint create acme https://example.com/hooks --filter '$.amount > 100' \\",
      "    --header 'X-Team: ledger' --rate-per-second 10 --retry-schedule 60,300,3600",
      'postrider endpoint create acme https://example.com/hooks --secret - --secret-encoding text <secret.txt',
    ],
  },
  {
    verb: 'list',
    about: 'list the endpoints of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: PAGE_FIELDS,
    render: (page, paint) => renderPage(ENDPOINT_COLUMNS, page, paint),
  },
  { verb: 'show', about: 'show an endpoint', operation: `GET ${ONE}` },
  {
    verb: 'change',
    about: 'change an endpoint; omitted options keep their values, --no-… removes one',
    operation: `PATCH ${ONE}`,
    fields: optionsOf(endpointFields, { isChange: true }),
    isChange: true,
    examples: [
      'postrider endpoint change acme <id> --url https://example.com/v2/hooks',
      'postrider endpoint change acme <id> --rate-per-second 5 --no-filter --no-retry-schedule',
      "postrider endpoint change acme <id> --header 'X-Team: ledger' --header 'X-Stage: live'",
    ],
  },
  {
    verb: 'pause',
    about: 'pause an endpoint: hold its deliveries; events are still accepted',
    operation: `POST ${ONE}/pause`,
  },
  {
    verb: 'resume',
    about: 'resume a paused endpoint and send its held deliveries',
    operation: `POST ${ONE}/resume`,
  },
  {
    verb: 'enable',
    about: 'enable a disabled endpoint; prints how to replay what it missed',
    operation: `POST ${ONE}/enable`,
    fields: [
      {
        name: 'deliverHeld',
        option: 'cancel-held',
        about: 'cancel held deliveries instead of sending them',
        on: false,
      },
    ],
    render: renderEnabled,
  },
  {
    verb: 'test',
    about: 'send a signed example event and print the attempt',
    operation: `POST ${ONE}/test`,
    fields: [TYPE, DATA],
    bodyOf: bodyWithData,
  },
  {
    verb: 'match',
    about: 'check if an endpoint would get an event, also with other event types or another filter',
    operation: `POST ${ONE}/match`,
    fields: MATCH,
    bodyOf: bodyWithData,
    examples: [
      `postrider endpoint match acme <id> --type invoice.paid --data '{"amount": 150}' --filter '$.amount > 100'`,
    ],
  },
  {
    verb: 'try',
    about: 'check if event types and a filter would match an event, before you save them',
    operation: `POST ${ALL}/match`,
    fields: MATCH,
    bodyOf: bodyWithData,
  },
  {
    verb: 'stats',
    about: 'outcomes and latency of the last hour and day',
    operation: `GET ${ONE}/stats`,
  },
  {
    verb: 'delete',
    about: 'delete an endpoint; its open deliveries are cancelled',
    operation: `DELETE ${ONE}`,
    done: 'deleted',
  },
]

const SECRETS: readonly RequestSpec[] = [
  { verb: 'show', about: 'show the active signing secrets', operation: `GET ${ONE}/secret` },
  {
    verb: 'rotate',
    about: 'replace the signing secret; the old one also signs for a while',
    operation: `POST ${ONE}/secret/rotate`,
    fields: optionsOf(rotationFields),
    bodyOf: withSecret,
    examples: [
      'postrider endpoint secret rotate acme <id> --overlap-seconds 3600',
      'postrider endpoint secret rotate acme <id> --secret - --secret-encoding text <secret.txt',
    ],
  },
]

const CERTIFICATES: readonly RequestSpec[] = [
  {
    verb: 'show',
    about: 'show the client certificate, without its key',
    operation: `GET ${ONE}/client-certificate`,
  },
  {
    verb: 'set',
    about: 'set or replace the client certificate of an endpoint',
    operation: `PUT ${ONE}/client-certificate`,
    fields: optionsOf(clientCertificateFields),
    bodyOf: withFiles,
    examples: [
      'postrider endpoint client-certificate set acme <id> --certificate client.pem --private-key key.pem',
    ],
  },
  {
    verb: 'delete',
    about: 'remove the client certificate',
    operation: `DELETE ${ONE}/client-certificate`,
    done: 'deleted',
  },
]

/** Creates, shows, changes, operates and deletes endpoints through the API. */
export function addEndpointCommand(program: Command, context: CommandContext): void {
  const endpoint = program.command('endpoint').description('manage endpoints')
  const below = (parent: Command, specs: readonly RequestSpec[]) => {
    for (const spec of specs) addRequest(parent, context, { parameters, ...spec })
  }
  below(endpoint, ENDPOINTS)
  below(endpoint.command('secret').description('show and rotate signing secrets'), SECRETS)
  below(
    endpoint.command('client-certificate').description('manage its client certificate (mTLS)'),
    CERTIFICATES,
  )
}

interface EnabledEndpoint extends Record<string, unknown> {
  id: string
  missed?: { since: string; until: string } | null
}

/** With the command that delivers what was published meanwhile. */
function renderEnabled(
  { missed, ...endpoint }: EnabledEndpoint,
  paint: Paint,
  { args: [tenant] }: Given,
): string {
  const shown = renderRecord(endpoint, paint)
  if (!missed) return shown
  const { since, until } = missed
  return `${shown}events published while it was disabled were not kept for it; to deliver them:
  postrider replay start ${tenant} --missed --endpoint ${endpoint.id} --since ${since} --until ${until}
`
}

/** A secret in the command line can be seen by others on the machine, one from stdin cannot. */
async function withSecret(
  values: Record<string, unknown>,
  context: CommandContext,
): Promise<string> {
  if (values['secret'] !== '-') return JSON.stringify(values)
  // `echo` and editors end the line.
  const secret = (await readStdin(context)).replace(/\r?\n$/, '')
  return JSON.stringify({ ...values, secret })
}

/** @throws UsageError for a file that cannot be read */
async function withFiles(files: Record<string, unknown>, context: CommandContext): Promise<string> {
  const read = async (name: string, option: string) => {
    const file = files[name]
    if (typeof file !== 'string') return undefined
    return await readContent(context, file, option)
  }
  const certificate = await read('certificate', '--certificate')
  const privateKey = await read('privateKey', '--private-key')
  return JSON.stringify({ certificate, privateKey })
}
