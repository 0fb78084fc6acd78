import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { ApiRefused, type ApiRequest, callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { type Field, givenAs } from './option-fields.ts'
import { type Paint, paintFor } from './paint.ts'

const ISO = 'ISO 8601, such as 2026-01-31T12:00:00Z'
export const PAGE_FIELDS: readonly Field[] = [
  { name: 'limit', value: '<n>', about: 'max items, 1 to 100; default: 50' },
  { name: 'cursor', value: '<cursor>', about: 'nextCursor of the previous page' },
]
export const TIME_FIELDS: readonly Field[] = [
  { name: 'since', value: '<time>', about: `created since then; ${ISO}` },
  { name: 'until', value: '<time>', about: `created before; ${ISO}` },
]

/** Shows the answer of the API to a command with these arguments. */
export type Render = (answer: never, paint: Paint, given: Given) => string

export interface Given {
  args: readonly string[]
  /** The answer as it came: its large numbers are as they were. */
  text: string
}

/** Prints an answer: with `--json` exactly as it came, as parsing would round large numbers, otherwise for people. */
export function printAnswer(
  context: CommandContext,
  command: Command,
  text: string,
  render: Render,
): void {
  const given = { args: command.args, text }
  const shown = () => render(JSON.parse(text) as never, paintFor(context), given)
  context.print(isJson(command) ? `${text}\n` : shown())
}

export const isJson = (command: Command): boolean => command.getOptionValue('json') === true

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
  command.option('--json', "print one JSON document: the API's response")

/** Shows how a command is used, below its options. */
export const withExamples = (command: Command, examples: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${examples.map((one) => `  ${one}\n`).join('')}`)

export const readStdin = ({ stdin }: Pick<CommandContext, 'stdin'>): Promise<string> =>
  text(stdin as never)

/** @param file `-` is stdin @throws UsageError that goes on from `what`: `--schema x cannot be read` */
export async function readContent(
  context: Pick<CommandContext, 'stdin' | 'cwd'>,
  file: string,
  what: string,
): Promise<string> {
  try {
    if (file === '-') return await readStdin(context)
    return await readFile(resolve(context.cwd, file), 'utf8')
  } catch (error) {
    const message = `${what} ${file} cannot be read: ${(error as Error).message}`
    throw new UsageError(message, { cause: error })
  }
}
