import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { stopChild } from '../bench/processes.ts'
import type { Cleanup } from '../bench/program.ts'

export interface Receiver {
  /** `http://127.0.0.1:<port>` */
  url: string
  /** From now on it answers everything with 200. */
  calm(): Promise<void>
  /** Takes no more requests; resolves once its ledger is complete. */
  close(): Promise<void>
}

/** Starts receiver.ts in its own process; it ends with this one whatever happens. */
export async function startReceiver(
  cleanup: Cleanup,
  options: {
    folder: string
    seed: number
    /** How long the fragile endpoint is down in every two minutes. */
    down: number
  },
): Promise<Receiver> {
  const program = join(import.meta.dirname, 'receiver.ts')
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  cleanup.defer(() => stopChild(child))
  const ended = once(child, 'exit').then(() => {
    throw new Error('the receiver ended by itself')
  })
  ended.catch(() => undefined) // after a stop nobody asks any more
  const { port } = await answerOf<{ port: number }>(child, ended)

  const tell = async (message: 'calm' | 'close') => {
    child.send(message)
    await answerOf(child, ended)
  }
  return {
    url: `http://127.0.0.1:${port}`,
    calm: () => tell('calm'),
    close: () => tell('close'),
  }
}

async function answerOf<T>(child: ChildProcess, ended: Promise<never>): Promise<T> {
  const [answer] = await Promise.race([once(child, 'message'), ended])
  return answer as T
}
