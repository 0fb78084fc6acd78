import type { Command } from 'commander'
import { type FollowedAttempt, type FollowOptions, Postrider } from '../client/client.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'

export interface FilterOptions {
  endpoint?: string
  type?: string
  outcome?: string
  reason?: string
  statusClass?: string
}

/** The filters of the stream. */
export function withFilterOptions(command: Command): Command {
  return command
    .option('--endpoint <id>', 'to this endpoint')
    .option('--type <type>', 'of events of this type, or pattern such as order.*')
    .option('--outcome <outcome>', 'delivered, rejected, unreachable, blocked, …')
    .option('--reason <reason>', 'such as timeout_answer or tls_certificate')
    .option('--status-class <n>', '5 for those that were answered 5xx')
}

/** The attempts of a tenant through the stream of the API, until the process is asked to stop. */
export async function follow(
  context: CommandContext,
  tenant: string,
  {
    endpoint,
    statusClass,
    ...options
  }: FilterOptions & Pick<FollowOptions, 'include' | 'answers' | 'onOpen'>,
): Promise<AsyncGenerator<FollowedAttempt, void, undefined>> {
  const { url, key } = await findConnection(context)
  return new Postrider({ url, apiKey: key }).follow({
    ...(options as Pick<
      FollowOptions,
      'type' | 'outcome' | 'reason' | 'include' | 'answers' | 'onOpen'
    >),
    tenant,
    endpointId: endpoint,
    statusClass: statusClass === undefined ? undefined : numberOf(statusClass),
    signal: context.stopSignal,
    onLost: ({ message }) => context.note(`connection lost (${message}); connecting again\n`),
    onGap: () => context.note('more was missed than the stream tells again; see delivery list\n'),
  })
}

/** The API says what is wrong with other numbers. */
function numberOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${text} is not a number from 2 to 5`)
  return Number(text)
}
