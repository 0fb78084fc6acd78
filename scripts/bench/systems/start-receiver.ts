import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { stopChild } from '../processes.ts'
import type { Cleanup } from '../program.ts'

export type ReceiverQuestion =
  | { ask: 'counts' }
  | { ask: 'arrivals'; numbers: number }
  | { ask: 'reset' }

export interface Counts {
  /** Requests, failed ones included. */
  received: number
  /** Different numbers that arrived. */
  distinct: number
  /** Monotonic ms of the last arrival; 0 before the first. */
  lastAt: number
  /** Requests without an answer yet. */
  inFlight: number
  inFlightMax: number
}

export interface Arrivals {
  /** Monotonic ms of the first arrival of each number; -1 = it never came. */
  firstAt: Float64Array
}

export interface Receiver {
  /** `http://127.0.0.1:<port>` */
  url: string
  pid: number
  counts(): Promise<Counts>
  /** Of the numbers from 0 on. */
  arrivals(numbers: number): Promise<Arrivals>
  /** Forgets what arrived. */
  reset(): Promise<void>
  stop(): Promise<void>
}

export interface ReceiverOptions {
  port?: number
  delayMs?: number
  failEvery?: number
  /** Requests that are handled at a time; 0 = all. */
  atOnce?: number
}

/** Starts receiver.ts in its own process; it ends with this one whatever happens. */
export async function startReceiver(
  cleanup: Cleanup,
  { port = 0, delayMs = 0, failEvery = 0, atOnce = 0 }: ReceiverOptions = {},
): Promise<Receiver> {
  const program = join(import.meta.dirname, 'receiver.ts')
  const args = ['--port', port, '--delay', delayMs, '--fail-every', failEvery]
    .concat('--at-once', atOnce)
    .map(String)
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced', // typed arrays stay what they are
  })
  const stop = () => stopChild(child)
  cleanup.defer(stop)
  const ended = once(child, 'exit').then(() => {
    throw new Error('the receiver ended by itself')
  })
  ended.catch(() => undefined) // after a stop nobody asks any more
  const { port: bound } = await answerOf<{ port: number }>(child, ended)

  const ask = createAsk(child, ended)
  return {
    url: `http://127.0.0.1:${bound}`,
    pid: child.pid ?? 0,
    counts: () => ask<Counts>({ ask: 'counts' }),
    arrivals: (numbers) => ask<Arrivals>({ ask: 'arrivals', numbers }),
    reset: async () => void (await ask({ ask: 'reset' })),
    stop,
  }
}

/** One question at a time: answers carry no name. */
function createAsk(child: ChildProcess, ended: Promise<never>) {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(question: ReceiverQuestion): Promise<T> => {
    const answer = last.then(() => {
      child.send(question)
      return answerOf<T>(child, ended)
    })
    last = answer.catch(() => undefined)
    return answer
  }
}

async function answerOf<T>(child: ChildProcess, ended: Promise<never>): Promise<T> {
  const [answer] = await Promise.race([once(child, 'message'), ended])
  return answer as T
}
