import type { Command } from 'commander'
import { callApi } from './api-client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'

interface PublishOptions {
  idempotencyKey?: string
  deliverAt?: string
  occurredAt?: string
  json?: true
}

/** Publishes one event through the API. */
export function addPublishCommand(program: Command, context: CommandContext): void {
  program
    .command('publish')
    .description('publish an event; prints its id')
    .argument('<tenant>', 'key of the tenant')
    .argument('<type>', 'event type, such as invoice.paid')
    .argument('[data]', 'JSON; read from stdin when left out or -')
    .option('--idempotency-key <key>', 'a repeat with the same key is answered with the first id')
    .option('--deliver-at <time>', 'ISO 8601; not delivered before')
    .option('--occurred-at <time>', 'ISO 8601; when it happened, now when left out')
    .option('--json', "print the API's answer")
    .action(
      async (
        tenant: string,
        type: string,
        argument: string | undefined,
        options: PublishOptions,
      ) => {
        const data =
          argument === undefined || argument === '-' ? await readAll(context.stdin) : argument
        assertJson(data)
        const answer = await callApi(await findConnection(context), {
          method: 'POST',
          path: '/api/events',
          body: eventBody(tenant, type, data, options),
          ...(options.idempotencyKey !== undefined && {
            headers: { 'idempotency-key': options.idempotencyKey },
          }),
        })
        context.print(options.json ? `${answer}\n` : `${JSON.parse(answer).id}\n`)
      },
    )
}

/** Puts the data in as text: parsed and written again, large numbers would change. */
function eventBody(tenant: string, type: string, data: string, options: PublishOptions): string {
  const { deliverAt, occurredAt } = options
  const rest = JSON.stringify({ tenant, type, deliverAt, occurredAt })
  return `${rest.slice(0, -1)},"data":${data}}`
}

/** Also keeps `1,"tenant":"other"` from becoming more than data. */
function assertJson(data: string): void {
  try {
    JSON.parse(data)
  } catch (error) {
    throw new UsageError(`data is not JSON: ${(error as SyntaxError).message}`, { cause: error })
  }
}

async function readAll(stdin: CommandContext['stdin']): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}
