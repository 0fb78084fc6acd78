import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { type ApiRequest, ApiRefused, callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { type Field, givenAs } from './fields.ts'
import { type Paint, paintFor } from './paint.ts'

const ISO = 'ISO 8601, such as 2026-01-31T12:00:00Z'
export const PAGE_FIELDS: readonly Field[] = [
  { name: 'limit', value: '<n>', about: 'how many at most, 1 to 100; 50 when left out' },
  { name: 'cursor', value: '<cursor>', about: 'nextCursor of the page before' },
]
export const TIME_FIELDS: readonly Field[] = [
  { name: 'since', value: '<time>', about: `made from then on; ${ISO}` },
  { name: 'until', value: '<time>', about: `made before; ${ISO}` },
]
export const ENDPOINT_FIELD: Field = {
  name: 'endpointId',
  option: 'endpoint',
  value: '<id>',
  about: 'to this endpoint',
}

/** Shows the answer of the API; `raw` is its text, in which large numbers are as they were. */
export type Render = (answer: never, paint: Paint, raw: string) => string

/** Prints an answer: with `--json` exactly as it came, as parsing would round large numbers, else for people. */
export function printAnswer(
  context: CommandContext,
  { json }: { json?: true },
  answer: string,
  render: Render,
): void {
  const shown = () => render(JSON.parse(answer) as never, paintFor(context), answer)
  context.print(json ? `${answer}\n` : shown())
}

/** @throws ApiRefused that names fields as people gave them: `--rate-per-second` */
export async function ask(
  context: CommandContext,
  command: Command,
  request: ApiRequest,
): Promise<string> {
  try {
    return await callApi(await findConnection(context), request)
  } catch (error) {
    if (!(error instanceof ApiRefused)) throw error
    throw error.namingFields((name) => givenAs(command, name))
  }
}

export const withJsonOption = (command: Command): Command =>
  command.option('--json', "print one JSON document: the API's answer")

/** Shows how a command is used, below its options. */
export const withExamples = (command: Command, examples: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${examples.map((one) => `  ${one}\n`).join('')}`)

export const readStdin = ({ stdin }: Pick<CommandContext, 'stdin'>): Promise<string> =>
  text(stdin as never)
