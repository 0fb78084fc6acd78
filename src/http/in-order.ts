import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that a connection may send ahead. Browsers and proxies send none, and load tests a dozen. */
const WAITING_MAX = 32

/**
 * Hands on the requests of a connection one after the other, each when the one before was answered. Node hands on
 * all that it reads at once, some two thousand in 64 KB, and keeps every answer for a client that may read none.
 * A connection that sends more ahead than may wait is cut.
 */
export function inOrder<Request extends typeof IncomingMessage = typeof IncomingMessage>(
  next: RequestListener<Request>,
): RequestListener<Request> {
  /** Those that wait, of connections with a request under way. */
  const lines = new WeakMap<Socket, (() => void)[]>()

  const serve: RequestListener<Request> = (request, response) => {
    response.once('close', () => void follow(request.socket))
    next(request, response)
  }
  const follow = (socket: Socket): void => {
    const waiting = lines.get(socket)?.shift()
    if (waiting === undefined || socket.destroyed) lines.delete(socket)
    else waiting()
  }
  return (
    request,
    response: ServerResponse<InstanceType<Request>> & { req: InstanceType<Request> },
  ) => {
    const { socket } = request
    const line = lines.get(socket)
    if (socket.destroyed) return
    if (line === undefined) {
      lines.set(socket, [])
      serve(request, response)
    } else if (line.length < WAITING_MAX) {
      line.push(() => serve(request, response))
    } else {
      socket.destroy()
    }
  }
}
