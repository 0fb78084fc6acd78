import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'

/** A request as it arrived, its body complete. */
export interface ReceivedRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
  receivedAt: Date
  /** Subject of the sender's certificate, where the receiver asked for one: `CN=client`. */
  clientCertificate: string | null
}

/** What to answer: a status, or more; 200 with the body `ok` when nothing is said. */
type Answer =
  | number
  | { status?: number; headers?: Record<string, string | string[]>; body?: string | Buffer }

/** @param n 1 for the first request */
export type AnswerWith = (request: ReceivedRequest, n: number) => Answer | Promise<Answer>

export interface Receiver extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  url: string
  port: number
  /** In the order their bodies were complete. */
  requests: ReceivedRequest[]
  /** Connections accepted so far. */
  connections(): number
  /** Resolves with all requests once there are at least `count`; rejects at the bound, saying what came. */
  received(count: number, timeoutMs?: number): Promise<ReceivedRequest[]>
  /** Answers requests from now on with this. */
  answerWith(answer: AnswerWith): void
  /** Closes kept-alive connections that wait for a request, as a receiver at its idle limit does. */
  closeIdleConnections(): void
  /** Cuts every connection and stops. Safe to call twice. */
  close(): Promise<void>
}

export interface ReceiverOptions {
  answer?: AnswerWith
  host?: string
  /** One that is free by default. */
  port?: number
  /** PEM; makes the receiver speak https. With `clientCa` it lets in only whom that has certified. */
  tls?: { key: string; cert: string; clientCa?: string }
}

/** Far above what a test waits for, far below tap's own limit, so the message below is seen. */
const RECEIVED_TIMEOUT_MS = 60_000

/**
 * Starts a real HTTP server on a free port to deliver to.
 *
 * @example
 * await using receiver = await startReceiver({ answer: (_request, n) => (n === 1 ? 503 : 200) })
 * const [first, second] = await receiver.received(2)
 */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const { host = '127.0.0.1', port: wanted = 0, tls: certificate } = options
  const { clientCa } = certificate ?? {}
  let answer: AnswerWith = options.answer ?? (() => 200)
  let connections = 0
  const arrivals = countArrivals()

  const handle: http.RequestListener = async (request, response) => {
    const received = await readRequest(request)
    if (!received) return
    const n = arrivals.add(received)
    writeAnswer(response, await answer(received, n))
  }
  const server = certificate
    ? https.createServer(
        { ...certificate, ...(clientCa && { ca: clientCa, requestCert: true }) },
        handle,
      )
    : http.createServer(handle)
  server.on('connection', () => {
    connections += 1
  })
  server.listen(wanted, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const close = async () => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  return {
    url: `${certificate ? 'https' : 'http'}://${net.isIPv6(host) ? `[${host}]` : host}:${port}`,
    port,
    requests: arrivals.requests,
    connections: () => connections,
    received: arrivals.received,
    answerWith: (next) => {
      answer = next
    },
    closeIdleConnections: () => server.closeIdleConnections(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

export interface RawReceiver extends AsyncDisposable {
  url: string
  port: number
  connections(): number
  close(): Promise<void>
}

/**
 * Starts a TCP server for receivers that do not speak HTTP properly.
 *
 * @param onSocket gets each connection; its errors are ignored, since senders cut it at will
 * @param certificate PEM; makes the connections TLS
 */
export async function startRawReceiver(
  onSocket: (socket: net.Socket) => void,
  certificate?: { key: string; cert: string },
): Promise<RawReceiver> {
  const sockets = new Set<net.Socket>()
  let connections = 0
  const accept = (socket: net.Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    onSocket(socket)
  }
  const server = certificate ? tls.createServer(certificate, accept) : net.createServer(accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const close = async () => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    connections: () => connections,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The whole request, or `null` when the sender went away in the middle of it. */
async function readRequest(request: http.IncomingMessage): Promise<ReceivedRequest | null> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    return null
  }
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: Buffer.concat(chunks).toString(),
    receivedAt: new Date(),
    clientCertificate: clientOf(request.socket),
  }
}

function clientOf(socket: net.Socket): string | null {
  return (socket instanceof tls.TLSSocket && socket.getPeerX509Certificate()?.subject) || null
}

function writeAnswer(response: http.ServerResponse, answer: Answer): void {
  const {
    status = 200,
    headers = {},
    body = 'ok',
  } = typeof answer === 'number' ? { status: answer } : answer
  response.writeHead(status, headers).end(body)
}

/** The list of requests and those who wait for it to grow. */
function countArrivals() {
  const requests: ReceivedRequest[] = []
  const waiting = new Set<() => void>()

  const received = (count: number, timeoutMs = RECEIVED_TIMEOUT_MS) =>
    new Promise<ReceivedRequest[]>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(check)
        reject(new Error(`waited ${timeoutMs} ms for ${count} requests, ${summary(requests)}`))
      }, timeoutMs)
      const check = () => {
        if (requests.length < count) return
        clearTimeout(timer)
        waiting.delete(check)
        resolve([...requests])
      }
      waiting.add(check)
      check()
    })

  return {
    requests,
    received,
    add(request: ReceivedRequest): number {
      const n = requests.push(request)
      for (const check of waiting) check()
      return n
    },
  }
}

function summary(requests: ReceivedRequest[]): string {
  if (requests.length === 0) return 'got none'
  const lines = requests.map(
    ({ method, path, body }) => `  ${method} ${path} ${body.slice(0, 200)}`,
  )
  return `got ${requests.length}:\n${lines.join('\n')}`
}
