import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import {
  type Field,
  readList,
  readNumber,
  valuesOf,
  withFields,
} from '../terminal/option-fields.ts'
import { renderPage, renderRecord } from '../terminal/output.ts'
import { paintFor } from '../terminal/paint.ts'
import {
  ask,
  ENDPOINT_FIELD,
  isJson,
  PAGE_FIELDS,
  SINCE_FIELD as since,
  UNTIL_FIELD as until,
  withExamples,
  withJsonOption,
} from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { type Replay, watchReplay } from './replay-progress.ts'

const ALL = '/api/tenants/{tenant}/replays'
const parameters = { id: 'id of the replay' }
const COLUMNS = ['id', 'state', 'mode', 'done', 'total', 'since', 'until', 'createdAt']
const REPLAYS: readonly RequestSpec[] = [
  {
    verb: 'list',
    about: 'list the replays of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: PAGE_FIELDS,
    render: (page, paint) => renderPage(COLUMNS, page, paint),
  },
  { verb: 'show', about: 'show how far a replay is', operation: `GET ${ALL}/{id}` },
  {
    verb: 'cancel',
    about: 'end a replay; what is due already is delivered',
    operation: `POST ${ALL}/{id}/cancel`,
  },
]
/** The API counts no further. */
const COUNTED_MAX = 100_000

/** What is delivered again; `--missed` is its own word for one of two modes. */
const START_FIELDS: readonly Field[] = [
  { ...since, about: `what was ${since.about}`, isRequired: true },
  { ...until, about: `${until.about}; now when left out` },
  ENDPOINT_FIELD,
  {
    name: 'eventTypes',
    option: 'type',
    value: '<types>',
    about: 'comma separated: names, order.*',
    read: readList,
  },
  {
    name: 'states',
    option: 'state',
    value: '<states>',
    about: 'comma separated: delivered, failed, cancelled; failed when left out',
    read: readList,
  },
  {
    name: 'statusClass',
    value: '<n>',
    about: '5 for those whose last attempt was answered 5xx',
    read: readNumber,
  },
  {
    name: 'mode',
    option: 'missed',
    about: 'instead: events that match the endpoint and have no delivery to it',
    on: 'missed',
  },
  {
    name: 'ratePerSecond',
    option: 'rate',
    value: '<n>',
    about: 'made due per second; 50 when left out',
    read: readNumber,
  },
  { name: 'preview', about: 'only count' },
]

interface StartOptions {
  yes?: true
  wait: boolean
}

/** Nobody said yes. */
export class NotConfirmed extends Error {
  override readonly name = 'NotConfirmed'
  readonly code = 'not_confirmed'
}

/** Delivers again, after having said how much; lists, shows and cancels replays. All through the API. */
export function addReplayCommand(program: Command, context: CommandContext): void {
  const replay = program.command('replay').description('deliver again what has ended')
  addStart(replay, context)

  for (const spec of REPLAYS) addRequest(replay, context, { parameters, ...spec })
}

function addStart(replay: Command, context: CommandContext): void {
  const command = withJsonOption(withFields(replay.command('start'), START_FIELDS))
    .description('count what would be delivered again, ask, begin, and show how far it is')
    .argument('<tenant>', 'key of the tenant')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not watch it')
    .action(() => start(context, command))
  withExamples(command, [
    'postrider replay start acme --since 2026-01-31T00:00:00Z --preview',
    'postrider replay start acme --since 2026-01-31T00:00:00Z --endpoint <id> --missed',
  ])
}

async function start(context: CommandContext, command: Command): Promise<void> {
  const [tenant = ''] = command.args
  const { yes, wait } = command.opts<StartOptions>()
  const { preview: isPreview, ...body } = valuesOf(command)
  const post = async (more: object) => {
    const request = { path: pathOf(tenant), body: JSON.stringify({ ...body, ...more }) }
    return JSON.parse(await ask(context, command, { method: 'POST', ...request }))
  }
  const preview: { count: number } = await post({ preview: true })
  if (isPreview) {
    const text = isJson(command) ? JSON.stringify(preview) : countOf(preview)
    return context.print(`${text}\n`)
  }
  if (!yes) await confirm(context, `deliver ${countOf(preview)} to ${tenant}? [y/N] `)
  const begun: Replay = await post({})
  const get = async (): Promise<Replay> =>
    JSON.parse(await ask(context, command, { method: 'GET', path: pathOf(tenant, begun.id) }))
  const shown = wait ? await watchReplay(context, begun, get) : begun
  context.print(
    isJson(command) ? `${JSON.stringify(shown)}\n` : renderRecord({ ...shown }, paintFor(context)),
  )
}

const countOf = ({ count }: { count: number }): string =>
  `${count >= COUNTED_MAX ? `at least ${count}` : count} ${count === 1 ? 'delivery' : 'deliveries'}`

/** @throws NotConfirmed for anything but y or yes, the end of the input included */
async function confirm(context: CommandContext, question: string): Promise<void> {
  context.note(question)
  let answer = ''
  for await (const chunk of context.stdin) {
    answer += chunk
    if (answer.includes('\n')) break
  }
  if (/^y(es)?$/i.test(answer.trim())) return
  throw new NotConfirmed('nothing was begun; answer y, or give --yes')
}

function pathOf(tenant: string, id?: string): string {
  const replays = `/api/tenants/${encodeURIComponent(tenant)}/replays`
  return id === undefined ? replays : `${replays}/${encodeURIComponent(id)}`
}
