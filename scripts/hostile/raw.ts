import { connect, type Socket } from 'node:net'
import type { Target } from './target.ts'

/** After the last byte of an answer; one that is still to come has been written by then. */
const QUIET_MS = 1_000

export interface RawAnswer {
  /** Of every answer that came on the connection. */
  statuses: number[]
  text: string
  /** Whether the other side ended the connection. */
  closed: boolean
}

/** Opens a connection on which anything may be written; it is cut when the program ends. */
export function dial({ address, port }: Target, signal: AbortSignal): Socket {
  const socket = connect(port, address)
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut)
  socket.once('close', () => signal.removeEventListener('abort', cut))
  socket.on('error', () => undefined) // a connection that is cut is an answer
  return socket
}

/** Writes bytes as they are, and reads until the other side is silent or gone. */
export function exchangeRaw(
  target: Target,
  signal: AbortSignal,
  bytes: string,
): Promise<RawAnswer> {
  const socket = dial(target, signal)
  const chunks: Buffer[] = []
  return new Promise((resolve) => {
    const done = (closed: boolean) => {
      socket.destroy()
      const text = Buffer.concat(chunks).toString('latin1')
      resolve({ statuses: statusesIn(text), text, closed })
    }
    socket.setTimeout(QUIET_MS, () => done(false))
    socket.on('data', (chunk) => void chunks.push(chunk))
    socket.once('close', () => done(true))
    socket.write(Buffer.from(bytes, 'latin1'))
  })
}

export const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status))
