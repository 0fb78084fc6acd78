import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'

/** A client sends its head at once; one that takes longer holds a socket open on purpose. */
const HEADERS_MS_MAX = 10_000
/** The largest event over a slow mobile line; longer is a client that trickles. */
const REQUEST_MS_MAX = 30_000
/** Longer than the 60 s of common balancers, so that they close first and never into our face. */
const KEEP_ALIVE_MS = 65_000
/** A connection that never ends serves any number of requests; closing costs the client a dial. */
const REQUESTS_PER_SOCKET = 0
/** Requests take milliseconds; what is left after this hangs, and a supervisor would kill us. */
const STOP_MS_MAX = 10_000

export interface HttpServer {
  url: string
  port: number
  /** Takes no more connections, finishes requests in flight, then resolves. Safe to call twice. */
  stop(): Promise<void>
}

export interface HttpOptions {
  app: { fetch(request: Request, env?: object): Response | Promise<Response> }
  host: string
  /** 0 takes a free one. */
  port: number
  /** How long requests in flight may take at a stop. */
  stopMsMax?: number
}

/** Rejects when the address is not to be had. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { app, host, port, stopMsMax = STOP_MS_MAX } = options
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      headersTimeout: HEADERS_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
  }) as Server
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET
  server.on('request', (_, response) => {
    response.once('close', () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  await listen(server, host, port)

  const { port: bound } = server.address() as AddressInfo
  let stopping: Promise<void> | undefined
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    stop() {
      stopping ??= close(server, stopMsMax)
      return stopping
    },
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port }, resolve)
  await promise
  server.off('error', reject)
}

async function close(server: Server, msMax: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  // Closes idle connections at once; those that are answering become idle, and stay open then.
  server.close(() => resolve())
  const timer = setTimeout(() => server.closeAllConnections(), msMax)
  await promise
  clearTimeout(timer)
}
