import type { Command } from 'commander'
import { callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { renderPage, renderRecord } from './output.ts'
import { paintFor } from './paint.ts'
import { type Replay, watchReplay } from './replay-progress.ts'
import {
  type JsonOption,
  type PageOptions,
  requestAndPrint,
  withJsonOption,
  withPageOptions,
} from './request.ts'

const COLUMNS = ['id', 'state', 'mode', 'done', 'total', 'since', 'until', 'createdAt']
/** The API counts no further. */
const COUNTED_MAX = 100_000

interface StartOptions extends JsonOption {
  since: string
  until?: string
  endpoint?: string
  type?: string
  state?: string
  statusClass?: string
  rate?: string
  missed?: true
  preview?: true
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

  withPageOptions(replay.command('list'))
    .description('list the replays of a tenant, newest first')
    .argument('<tenant>', 'key of the tenant')
    .action((tenant: string, { limit, cursor, ...options }: PageOptions) =>
      requestAndPrint(
        context,
        { method: 'GET', path: pathOf(tenant), query: { limit, cursor } },
        options,
        (page, paint) => renderPage(COLUMNS, page, paint),
      ),
    )

  for (const [verb, method, suffix, description] of [
    ['show', 'GET', '', 'show how far a replay is'],
    ['cancel', 'POST', '/cancel', 'end a replay; what is due already is delivered'],
  ] as const) {
    withJsonOption(replay.command(verb))
      .description(description)
      .argument('<tenant>', 'key of the tenant')
      .argument('<id>', 'id of the replay')
      .action((tenant: string, id: string, options: JsonOption) =>
        requestAndPrint(
          context,
          { method, path: pathOf(tenant, id) + suffix },
          options,
          renderRecord,
        ),
      )
  }
}

function addStart(replay: Command, context: CommandContext): void {
  withJsonOption(replay.command('start'))
    .description('count what would be delivered again, ask, begin, and show how far it is')
    .argument('<tenant>', 'key of the tenant')
    .requiredOption('--since <time>', 'ISO 8601; what was made from then on')
    .option('--until <time>', 'ISO 8601; made before; now when left out')
    .option('--endpoint <id>', 'to this endpoint')
    .option('--type <types>', 'comma separated: names, order.*')
    .option(
      '--state <states>',
      'comma separated: delivered, failed, cancelled; failed when left out',
    )
    .option('--status-class <n>', '5 for those whose last attempt was answered 5xx')
    .option('--missed', 'instead: events that match the endpoint and have no delivery to it')
    .option('--rate <n>', 'made due per second; 50 when left out')
    .option('--preview', 'only count')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not watch it')
    .action((tenant: string, options: StartOptions) => start(context, tenant, options))
}

async function start(context: CommandContext, tenant: string, options: StartOptions) {
  const connection = await findConnection(context)
  const body = bodyOf(options)
  const post = async (more: object) => {
    const request = { path: pathOf(tenant), body: JSON.stringify({ ...body, ...more }) }
    return JSON.parse(await callApi(connection, { method: 'POST', ...request }))
  }
  const preview: { count: number } = await post({ preview: true })
  if (options.preview) {
    return context.print(options.json ? `${JSON.stringify(preview)}\n` : `${countOf(preview)}\n`)
  }
  if (!options.yes) await confirm(context, `deliver ${countOf(preview)} to ${tenant}? [y/N] `)
  const begun: Replay = await post({})
  const get = async (): Promise<Replay> =>
    JSON.parse(await callApi(connection, { method: 'GET', path: pathOf(tenant, begun.id) }))
  const shown = options.wait ? await watchReplay(context, begun, get) : begun
  context.print(
    options.json ? `${JSON.stringify(shown)}\n` : renderRecord({ ...shown }, paintFor(context)),
  )
}

function bodyOf(options: StartOptions) {
  return {
    mode: options.missed ? 'missed' : 'redeliver',
    since: options.since,
    until: options.until,
    endpointId: options.endpoint,
    eventTypes: options.type?.split(','),
    states: options.state?.split(','),
    statusClass: numberOf('--status-class', options.statusClass),
    ratePerSecond: numberOf('--rate', options.rate),
  }
}

function numberOf(name: string, text: string | undefined): number | undefined {
  const value = text === undefined ? undefined : Number(text)
  if (Number.isNaN(value)) throw new UsageError(`${name} ${text} is not a number`)
  return value
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
