import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
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

/** @throws UsageError for bytes that are not UTF-8: replaced, they would be other data */
export async function readStdin({ stdin }: Pick<CommandContext, 'stdin'>): Promise<string> {
  return textOf(await buffer(stdin as never), 'standard input')
}

/** @param file `-` is stdin @throws UsageError that goes on from `what`: `--schema x cannot be read` */
export async function readContent(
  context: Pick<CommandContext, 'stdin' | 'cwd'>,
  file: string,
  what: string,
): Promise<string> {
  if (file === '-') return await readStdin(context)
  return textOf(await readBytes(resolve(context.cwd, file), `${what} ${file}`), `${what} ${file}`)
}

async function readBytes(path: string, name: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const message = `${name} cannot be read: ${(error as Error).message}`
    throw new UsageError(message, { cause: error })
  }
}

/** Without the byte order mark, if there is one. @throws UsageError */
function textOf(bytes: Buffer, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new UsageError(`${name} is not UTF-8; convert it first`, { cause: error })
  }
}
