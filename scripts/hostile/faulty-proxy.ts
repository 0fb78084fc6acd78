import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as requestTo,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** What is wrong with a service behind such a proxy, for tests of the attacks. */
export interface Fault {
  /** Changes what is asked for, in place. */
  ask?(asked: { method: string; path: string; headers: OutgoingHttpHeaders }): void
  /** What the body becomes that was sent as JSON. */
  body?(body: Record<string, unknown>, path: string): void
  /** What the answer becomes. */
  answer?(answer: Answered, asked: { method: string; path: string }): void
  /** Requests that are answered here. */
  handle?(request: IncomingMessage, response: ServerResponse): boolean
  /** Of the proxy as a server. */
  server?: ServerOptions
}

export interface Answered {
  status: number
  text: string
}

/**
 * Starts a proxy in front of a service that breaks one promise, and is true to all others.
 *
 * @param client the address that the service is told, so that each proxy has its own share of wrong keys
 */
export async function startFaultyProxy(upstream: string, fault: Fault, client: string) {
  const server = createServer(fault.server ?? {}, (request, response) => {
    if (fault.handle?.(request, response)) return
    void forward(upstream, fault, client, request, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

async function forward(
  upstream: string,
  fault: Fault,
  client: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url: path = '/' } = request
  const asked = { method, path, headers: { ...request.headers, 'x-forwarded-for': client } }
  fault.ask?.(asked)
  const { hostname: host, port } = new URL(upstream)
  const sent = requestTo({ host, port, ...asked })
  // Anyone who is cut off on one side is on the other.
  sent.on('error', () => response.destroy())
  response.once('close', () => sent.destroy())
  sent.once('response', (answered) => void reply(answered, fault, asked, response))
  if (!fault.body || !/json/.test(request.headers['content-type'] ?? '')) {
    request.pipe(sent)
    return
  }
  const body = changed(await buffer(request), (whole) => fault.body?.(whole, path))
  sent.setHeader('content-length', body.length)
  sent.end(body)
}

function changed(bytes: Buffer, change: (whole: Record<string, unknown>) => void): Buffer {
  try {
    const whole = JSON.parse(bytes.toString())
    change(whole)
    return Buffer.from(JSON.stringify(whole))
  } catch {
    return bytes
  }
}

async function reply(
  answered: IncomingMessage,
  { answer }: Fault,
  asked: { method: string; path: string },
  response: ServerResponse,
): Promise<void> {
  const { statusCode: status = 502, headers } = answered
  if (!answer || /event-stream/.test(headers['content-type'] ?? '')) {
    response.writeHead(status, headers)
    answered.pipe(response)
    return
  }
  const whole = { status, text: (await buffer(answered)).toString() }
  answer(whole, asked)
  const { 'content-length': _length, 'transfer-encoding': _framing, ...kept } = headers
  response.writeHead(whole.status, kept).end(whole.text)
}
