import type { Command } from 'commander'
import { type FollowedAttempt, type FollowOptions, Postrider } from '../client/client.ts'
import { findConnection } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'
import { type Field, readNumber, valuesOf, withFields } from '../terminal/option-fields.ts'

/** The filters of the stream. */
const FILTERS: readonly Field[] = [
  { name: 'endpointId', option: 'endpoint', value: '<id>', about: 'only to this endpoint' },
  {
    name: 'type',
    value: '<type>',
    about: 'only of events of this type or pattern, such as order.*',
  },
  { name: 'outcome', value: '<outcome>', about: 'delivered, rejected, unreachable, blocked, …' },
  { name: 'reason', value: '<reason>', about: 'such as timeout_answer or tls_certificate' },
  {
    name: 'statusClass',
    value: '<n>',
    about: '5 for responses with 5xx',
    read: readNumber,
  },
]

export const withFilterOptions = (command: Command): Command => withFields(command, FILTERS)

/** The attempts of a tenant through the stream of the API, until the process is asked to stop. */
export async function follow(
  context: CommandContext,
  command: Command,
  options: Pick<FollowOptions, 'include' | 'answers' | 'onOpen'>,
): Promise<AsyncGenerator<FollowedAttempt, void, undefined>> {
  const { url, key } = await findConnection(context)
  const [tenant = ''] = command.args
  return new Postrider({ url, apiKey: key }).follow({
    ...(valuesOf(command) as Omit<FollowOptions, 'tenant'>),
    ...options,
    tenant,
    signal: context.stopSignal,
    onLost: ({ message }) => context.note(`connection lost (${message}); connecting again\n`),
    onGap: () => context.note('more was missed than the stream tells again; see delivery list\n'),
  })
}
