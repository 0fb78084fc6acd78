import { Command } from 'commander'
import type { Operations } from '../client/api.ts'
import type { ApiRequest } from './api-client.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { type Field, fieldsOf, optionOf, valuesOf, withFields } from './option-fields.ts'
import { renderRecord } from './output.ts'
import { ask, isJson, printAnswer, type Render, withExamples, withJsonOption } from './request.ts'

type Operation = keyof Operations

/** A command that is one request. Its first arguments are the parameters of the path. */
export interface RequestSpec {
  verb: string
  about: string
  operation: Operation
  /** What the parameters of the path are: `{ id: 'id of the endpoint' }`. */
  parameters?: Record<string, string>
  /** Fields that are given as arguments, behind those of the path. */
  positional?: readonly { name: string; about: string; read?: (text: string) => unknown }[]
  fields?: readonly Field[]
  /** Whether at least one field has to be given. */
  isChange?: boolean
  /** The body, where it is not just the fields. */
  bodyOf?: (values: Record<string, unknown>, context: CommandContext) => Promise<string> | string
  /** Parameters of the query where the answer is not printed as it comes. */
  forPeople?: Record<string, string>
  render?: Render
  /** What is said, and is true, once an answer without a body has come: `deleted`. */
  done?: string
  examples?: readonly string[]
}

/** Knows which operation of the API it makes; a test asks every one. */
export class RequestCommand extends Command {
  readonly spec: RequestSpec
  constructor(spec: RequestSpec) {
    super(spec.verb)
    this.spec = spec
  }
}

const TENANT = 'key of the tenant'

/** Adds a command that makes the request and prints the answer. */
export function addRequest(parent: Command, context: CommandContext, spec: RequestSpec): void {
  const { about, parameters = {}, positional = [], fields = [], examples = [] } = spec
  const command = new RequestCommand(spec).copyInheritedSettings(parent).description(about)
  for (const name of namesInPath(spec)) {
    command.argument(`<${name}>`, parameters[name] ?? TENANT)
  }
  for (const { name, about: what } of positional) command.argument(`<${name}>`, what)
  withJsonOption(withFields(command, fields))
  if (examples.length > 0) withExamples(command, examples)
  command.action(() => run(context, command, spec))
  parent.addCommand(command)
}

async function run(context: CommandContext, command: Command, spec: RequestSpec): Promise<void> {
  const answer = await ask(context, command, await requestOf(context, command, spec))
  const { done, render = renderRecord as Render } = spec
  if (done === undefined) return printAnswer(context, command, answer, render)
  const names = namesInPath(spec)
  const [name = '', value = ''] = [names.at(-1), command.args[names.length - 1]]
  const shown = isJson(command)
    ? JSON.stringify({ [name]: value, [done]: true })
    : `${done} ${value}`
  context.print(`${shown}\n`)
}

async function requestOf(
  context: CommandContext,
  command: Command,
  spec: RequestSpec,
): Promise<ApiRequest> {
  const { operation, positional = [], bodyOf = (values: object) => JSON.stringify(values) } = spec
  const [method, template = ''] = operation.split(' ') as [ApiRequest['method'], string]
  const names = namesInPath(spec)
  const path = names.reduce(
    (filled, name, at) => filled.replace(`{${name}}`, encodeURIComponent(command.args[at] ?? '')),
    template,
  )
  const values = { ...argumentsOf(command, positional, names.length), ...valuesOf(command) }
  if (spec.isChange && Object.keys(values).length === 0) throw nothingToChange(command)
  if (method === 'GET') {
    const query = { ...(isJson(command) ? {} : spec.forPeople), ...textsOf(values) }
    return { method, path, query }
  }
  const takesBody = fieldsOf(command).length > 0 || positional.length > 0 || spec.bodyOf
  return takesBody ? { method, path, body: await bodyOf(values, context) } : { method, path }
}

const namesInPath = ({ operation }: RequestSpec): string[] =>
  [...operation.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)

function argumentsOf(
  command: Command,
  positional: NonNullable<RequestSpec['positional']>,
  from: number,
): Record<string, unknown> {
  const given = positional.map(({ name, read }, at) => {
    const text = command.args[from + at] ?? ''
    return [name, read ? read(text) : text]
  })
  return Object.fromEntries(given)
}

const textsOf = (values: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))

function nothingToChange(command: Command): UsageError {
  const options = fieldsOf(command).map(optionOf).join(', ')
  return new UsageError(`nothing to change; give at least one of ${options}`)
}
