import type { Command } from 'commander'
import { type BenchResult, type Load, runBench } from './bench-run.ts'
import { findConnection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { renderRecord } from './output.ts'

/** It is to say how a service fares, not to find where it ends; `npm run bench` does that in a checkout. */
const BOUNDS = { events: [1, 100_000], concurrency: [1, 256], bytes: [2, 65_536] } as const

interface Options {
  events: string
  concurrency: string
  bytes: string
  receiver: string
  json?: true
}

/** Publishes events of its own tenant to a receiver in this process, and says how long it took. */
export function addBenchCommand(program: Command, context: CommandContext): void {
  program
    .command('bench')
    .description('measure a running service: publish to its own receiver, and time it')
    .option('--events <n>', 'how many, up to 100,000', '500')
    .option('--concurrency <n>', 'requests at once, up to 256', '16')
    .option('--bytes <n>', 'text in each event, up to 65,536', '300')
    .option('--receiver <host>', 'address of this machine that runners reach', '127.0.0.1')
    .option('--json', 'print one JSON document')
    .action(async ({ json, receiver, ...options }: Options) => {
      const connection = await findConnection(context)
      const load: Load = {
        events: numberOf(options, 'events'),
        concurrency: numberOf(options, 'concurrency'),
        bytes: numberOf(options, 'bytes'),
        receiver,
      }
      const result = await runBench(connection, load, context)
      context.print(json ? `${JSON.stringify(result)}\n` : renderRecord(flat(result)))
    })
}

function numberOf(options: Omit<Options, 'json' | 'receiver'>, name: keyof typeof BOUNDS): number {
  const [min, max] = BOUNDS[name]
  const value = Number(options[name])
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new UsageError(`--${name} ${options[name]} is not a whole number from ${min} to ${max}`)
}

function flat({ accepted, delivered, ...rest }: BenchResult): Record<string, unknown> {
  const named = (prefix: string, values: object) =>
    Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value])
  return {
    ...rest,
    ...Object.fromEntries([...named('accepted', accepted), ...named('delivered', delivered)]),
  }
}
