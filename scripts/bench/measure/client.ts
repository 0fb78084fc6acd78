import { connect, type Socket } from 'node:net'
import { readMessages } from './messages.ts'

/** Longer than any answer a working system gives; a hanging one must not hang the program. */
const ANSWER_MS_MAX = 30_000

export interface Reply {
  status: number
  body: string
}

export interface Client {
  /** POSTs a JSON text and resolves with the answer; rejects when the connection is lost. */
  post(body: string): Promise<Reply>
  close(): void
}

export interface ClientOptions {
  url: string
  headers: Record<string, string>
  /** Connections at most; further requests wait for one. */
  connections: number
}

interface Exchange {
  request: string
  answered: PromiseWithResolvers<Reply>
}

/** An HTTP client with kept-alive connections that costs little: see {@link readMessages}. */
export function createClient({ url, headers, connections }: ClientOptions): Client {
  const target = new URL(url)
  const head = requestHead(target, headers)
  const idle: Socket[] = []
  const waiting: Exchange[] = []
  const sockets = new Set<Socket>()
  const current = new Map<Socket, Exchange>()

  const send = (socket: Socket, exchange: Exchange) => {
    current.set(socket, exchange)
    socket.write(exchange.request)
  }
  const dispatch = (exchange: Exchange) => {
    const socket = idle.pop() ?? (sockets.size < connections ? open() : undefined)
    if (socket) send(socket, exchange)
    else waiting.push(exchange)
  }
  const settle = (socket: Socket, reply: Reply) => {
    const next = waiting.shift()
    current.get(socket)?.answered.resolve(reply)
    current.delete(socket)
    if (next) send(socket, next)
    else idle.push(socket)
  }
  const lose = (socket: Socket) => {
    sockets.delete(socket)
    const place = idle.indexOf(socket)
    if (place !== -1) idle.splice(place, 1)
    current.get(socket)?.answered.reject(new Error(`the connection to ${target.host} was lost`))
    current.delete(socket)
    const next = waiting.shift()
    if (next) dispatch(next)
  }
  const open = () => {
    const socket = connect({ host: target.hostname, port: Number(target.port), noDelay: true })
    sockets.add(socket)
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy())
    socket.on('error', () => undefined).on('close', () => lose(socket))
    readMessages(socket, ({ head: answer, body }) =>
      settle(socket, { status: Number(answer.slice(9, 12)), body }),
    )
    return socket
  }

  return {
    post(body) {
      const request = `${head}${Buffer.byteLength(body)}\r\n\r\n${body}`
      const answered = Promise.withResolvers<Reply>()
      dispatch({ request, answered })
      return answered.promise
    },
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function requestHead({ host, pathname }: URL, headers: Record<string, string>): string {
  const lines = Object.entries({ host, 'content-type': 'application/json', ...headers })
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `POST ${pathname} HTTP/1.1\r\n${text}content-length: `
}
