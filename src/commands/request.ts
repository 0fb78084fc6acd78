import type { Command } from 'commander'
import { type ApiRequest, callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { type Paint, paintFor } from './paint.ts'

export interface JsonOption {
  json?: true
}

export interface PageOptions extends JsonOption {
  limit?: string
  cursor?: string
}

/**
 * Makes a request and prints the answer: with `--json` exactly as it came, because parsing it would
 * round large numbers, else as `render` shows it.
 */
export async function requestAndPrint(
  context: CommandContext,
  request: ApiRequest,
  { json }: JsonOption,
  render: (answer: never, paint: Paint) => string,
): Promise<void> {
  const answer = await callApi(await findConnection(context), request)
  context.print(json ? `${answer}\n` : render(JSON.parse(answer) as never, paintFor(context)))
}

export function withJsonOption(command: Command): Command {
  return command.option('--json', "print one JSON document: the API's answer")
}

/** Options of commands that list. */
export function withPageOptions(command: Command): Command {
  return withJsonOption(command)
    .option('--limit <n>', 'how many at most')
    .option('--cursor <cursor>', 'nextCursor of the page before')
}
