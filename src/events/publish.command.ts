import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { bodyWithData } from '../terminal/data-option.ts'
import { UsageError } from '../terminal/exit-code.ts'
import { type Field, readList, valuesOf, withFields } from '../terminal/option-fields.ts'
import { ask, isJson, readContent, withExamples, withJsonOption } from '../terminal/request.ts'

const FIELDS: readonly Field[] = [
  {
    name: 'Idempotency-Key',
    option: 'idempotency-key',
    value: '<key>',
    about: 'repeating it with the same key within 7 days returns the first id',
  },
  {
    name: 'deliverAt',
    value: '<time>',
    about: 'ISO 8601; not delivered before, up to 30 days ahead',
  },
  {
    name: 'orderingKey',
    value: '<key>',
    about: 'events with the same key are delivered in order to endpoints that order by key',
  },
  {
    name: 'channels',
    value: '<channels>',
    about: 'comma separated: endpoints with channels get it if they have one of these',
    read: readList,
  },
  {
    name: 'occurredAt',
    value: '<time>',
    about: 'ISO 8601; when it happened; default: now',
  },
]

/** Publishes events through the API. */
export function addPublishCommand(program: Command, context: CommandContext): void {
  const one = withJsonOption(withFields(program.command('publish'), FIELDS))
    .description('publish an event; prints its id')
    .argument('<tenant>', 'key of the tenant')
    .argument('<type>', 'event type, such as invoice.paid')
    .argument('[data]', 'JSON; default or -: read from stdin')
    .action(() => publish(context, one))
  withExamples(one, [
    `postrider publish acme invoice.paid '{"id": 1}'`,
    'postrider publish acme invoice.paid --idempotency-key invoice-1 <invoice.json',
  ])
  const many = withJsonOption(program.command('publish-batch'))
    .description('publish up to 1000 events in one transaction; prints their ids')
    .argument('[file]', 'a JSON array of events, or one a line; default or -: stdin')
    .action(() => publishBatch(context, many))
  withExamples(many, [
    `echo '{"tenant": "acme", "type": "invoice.paid", "data": {"id": 1}}' | postrider publish-batch`,
  ])
}

async function publishBatch(context: CommandContext, command: Command): Promise<void> {
  const path = '/api/events/batch'
  const body = `{"events":${eventsIn(await readContent(context, command.args[0] ?? '-', 'file'))}}`
  const answer = await ask(context, command, { method: 'POST', path, body })
  const ids = () => JSON.parse(answer).data.map(({ id }: { id: string }) => `${id}\n`)
  context.print(isJson(command) ? `${answer}\n` : ids().join(''))
}

async function publish(context: CommandContext, command: Command): Promise<void> {
  const [tenant, type, data = '-'] = command.args
  const { 'Idempotency-Key': key, ...times } = valuesOf(command)
  const answer = await ask(context, command, {
    method: 'POST',
    path: '/api/events',
    body: await bodyWithData({ tenant, type, ...times, data }, context),
    ...(key !== undefined && { headers: { 'idempotency-key': String(key) } }),
  })
  context.print(isJson(command) ? `${answer}\n` : `${JSON.parse(answer).id}\n`)
}

/** The text of a JSON array: of one as it is, or of lines that are one event each. @throws UsageError */
function eventsIn(text: string): string {
  const whole = jsonOf(text)
  if ('value' in whole) return Array.isArray(whole.value) ? text : `[${text}]`
  const lines = text.split('\n')
  const given = lines.filter((line) => line.trim() !== '')
  const wrong = lines.findIndex((line) => line.trim() !== '' && 'error' in jsonOf(line))
  if (wrong === -1 && given.length > 0) return `[${given.join(',')}]`
  const where = given.length === 0 ? 'there is no event' : `line ${wrong + 1} is not JSON`
  throw new UsageError(`${where}; give a JSON array of events, or one event a line`, {
    cause: whole.error,
  })
}

function jsonOf(text: string): { value: unknown } | { error: unknown } {
  try {
    return { value: JSON.parse(text) }
  } catch (error) {
    return { error }
  }
}
