import type { Socket } from 'node:net'
import { isClosed } from './failure.ts'

type Done = (error?: Error | null) => void

/**
 * A receiver may answer before it has read all of a large event, and close: 413, or 401. Its answer has arrived by
 * then, but Node closes a connection that cannot be written to, without reading what is there. Here such a write
 * fails once nothing more can be read, which is at once: the other side has closed.
 */
export function readOnAfterClose(socket: Socket): Socket {
  const afterReading = (done: Done) => (error?: Error | null) => {
    const isOver = socket.destroyed || socket.readableEnded
    if (isOver || !isClosed(error)) done(error)
    else socket.once('end', () => done(error))
  }
  const write = socket._write
  const writev = socket._writev
  socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, afterReading(done))
  if (writev) {
    socket._writev = (chunks, done) => writev.call(socket, chunks, afterReading(done))
  }
  return socket
}
