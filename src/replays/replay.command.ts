import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { optionsOf, valuesOf, withFields } from '../terminal/option-fields.ts'
import { renderPage, renderRecord, renderTable } from '../terminal/output.ts'
import { paintFor } from '../terminal/paint.ts'
import { ask, isJson, PAGE_FIELDS, withExamples, withJsonOption } from '../terminal/request.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'
import { COUNTED_MAX, REPLAY_COLUMNS, replayFields } from './replay.fields.ts'
import { type Replay, watchReplay } from './replay-progress.ts'

const ALL = '/api/tenants/{tenant}/replays'
const parameters = { id: 'id of the replay' }
const REPLAYS: readonly RequestSpec[] = [
  {
    verb: 'list',
    about: 'list the replays of a tenant, newest first',
    operation: `GET ${ALL}`,
    fields: PAGE_FIELDS,
    render: (page, paint) => renderPage(REPLAY_COLUMNS, page, paint),
  },
  { verb: 'show', about: 'show the progress of a replay', operation: `GET ${ALL}/{id}` },
  {
    verb: 'cancel',
    about: 'cancel a replay; deliveries that are already due are still sent',
    operation: `POST ${ALL}/{id}/cancel`,
  },
]

interface StartOptions {
  yes?: true
  wait: boolean
}

/** Nobody said yes. */
class NotConfirmed extends Error {
  override readonly name = 'NotConfirmed'
  readonly code = 'not_confirmed'
}

/** Delivers again, after having said how much; lists, shows and cancels replays. All through the API. */
export function addReplayCommand(program: Command, context: CommandContext): void {
  const replay = program.command('replay').description('replay deliveries')
  addStart(replay, context)

  for (const spec of REPLAYS) addRequest(replay, context, { parameters, ...spec })
}

function addStart(replay: Command, context: CommandContext): void {
  const command = withJsonOption(withFields(replay.command('start'), optionsOf(replayFields)))
    .description('count the deliveries, ask, start the replay, and show its progress')
    .argument('<tenant>', 'key of the tenant')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not show the progress')
    .action(() => start(context, command))
  withExamples(command, [
    'postrider replay start acme --since 2026-01-31T00:00:00Z --preview',
    'postrider replay start acme --since 2026-01-31T00:00:00Z --endpoint <id> --missed',
  ])
}

async function start(context: CommandContext, command: Command): Promise<void> {
  const [tenant = ''] = command.args
  await startCounted(context, command, {
    tenant,
    path: pathOf(tenant),
    body: valuesOf(command),
    questionOf: (count) => `deliver ${count} to ${tenant}?`,
  })
}

interface CountedOptions {
  tenant: string
  path: string
  body: Record<string, unknown>
  questionOf: (count: string) => string
}

/** Counts what would be done, asks, begins, and shows how far it is: for replays and bulk jobs. */
export async function startCounted(
  context: CommandContext,
  command: Command,
  asked: CountedOptions,
): Promise<void> {
  const { tenant, path, questionOf } = asked
  const { yes, wait } = command.opts<StartOptions>()
  const { preview: isPreview, ...body } = asked.body
  const post = async (more: object) => {
    const request = { path, body: JSON.stringify({ ...body, ...more }) }
    return JSON.parse(await ask(context, command, { method: 'POST', ...request }))
  }
  const preview: Preview = await post({ preview: true })
  if (isPreview) return context.print(shownPreview(preview, isJson(command)))
  if (!yes) await confirm(context, `${questionOf(countOf(preview))} [y/N] `)
  const begun: Replay = await post({})
  const get = async (): Promise<Replay> =>
    JSON.parse(await ask(context, command, { method: 'GET', path: pathOf(tenant, begun.id) }))
  const shown = wait ? await watchReplay(context, begun, get) : begun
  context.print(
    isJson(command) ? `${JSON.stringify(shown)}\n` : renderRecord({ ...shown }, paintFor(context)),
  )
}

interface Preview {
  count: number
  /** The first ones, of a bulk job. */
  sample?: Record<string, unknown>[]
}

function shownPreview(preview: Preview, isJson: boolean): string {
  if (isJson) return `${JSON.stringify(preview)}\n`
  const { sample = [] } = preview
  const rows = sample.length === 0 ? '' : renderTable(Object.keys(sample[0] ?? {}), sample)
  return `${countOf(preview)}\n${rows}`
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
  throw new NotConfirmed('nothing was started; answer y, or give --yes')
}

function pathOf(tenant: string, id?: string): string {
  const replays = `/api/tenants/${encodeURIComponent(tenant)}/replays`
  return id === undefined ? replays : `${replays}/${encodeURIComponent(id)}`
}
