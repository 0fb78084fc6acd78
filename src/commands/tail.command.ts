import type { Command } from 'commander'
import { follow, withFilterOptions } from '../attempts/follow-options.ts'
import type { FollowedAttempt } from '../client/client.ts'
import type { CommandContext } from '../terminal/context.ts'
import { cellOf } from '../terminal/output.ts'
import { type Paint, paintFor } from '../terminal/paint.ts'
import { isJson } from '../terminal/request.ts'

/** Prints attempts as they end, a line each, until it is asked to stop. */
export function addTailCommand(program: Command, context: CommandContext): void {
  const command = withFilterOptions(program.command('tail'))
    .description('watch the attempts of a tenant as they happen')
    .argument('<tenant>', 'key of the tenant')
    .option('--json', 'print one JSON document a line')
    .action(() => tail(context, command))
}

async function tail(context: CommandContext, command: Command): Promise<void> {
  const json = isJson(command)
  const paint = paintFor(context)
  const attempts = await follow(context, command, {
    answers: json ? 'true' : 'false',
    onOpen: () => context.note('watching; stop with Ctrl-C\n'),
  })
  for await (const { cursor: _, ...one } of attempts) {
    context.print(json ? `${JSON.stringify(one)}\n` : lineOf(one, paint))
  }
}

function lineOf(
  { attempt, delivery, event }: Omit<FollowedAttempt, 'cursor'>,
  paint: Paint,
): string {
  const { outcome, statusCode, durationMs, reason, error } = attempt
  return `${[
    attempt.finishedAt ?? attempt.startedAt,
    paint('outcome', outcome, outcome.padEnd('interrupted'.length)),
    String(statusCode ?? '-').padStart(3),
    `${Math.round(durationMs ?? 0)} ms`.padStart(8),
    `#${attempt.number}`,
    cellOf(event?.type),
    delivery.id,
    ...[reason, error].filter((text) => text !== null).map(cellOf),
  ].join('  ')}\n`
}
