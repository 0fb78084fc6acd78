import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import { createUnderWay, once } from '../clock.ts'
import { type BodyBytesMax, CountedMessage, createBodyGate } from './body-gate.ts'
import { inOrder } from './in-order.ts'
import { SETTINGS_BYTES_MAX } from './request-body.ts'

/** A client sends its head at once; one that takes longer holds a socket open on purpose. */
const HEADERS_MS_MAX = 10_000
/** The largest event over a slow mobile line; longer is a client that trickles. */
const REQUEST_MS_MAX = 30_000
/** Node looks for slow requests this often; its default of 30 s would make the limits above so much longer. */
const CHECK_MS = 1_000
/**
 * Neither a byte read nor one written for so long while a request is under way: anyone who does not read its
 * answer holds it in memory. Streams say something every 15 s.
 */
const SILENCE_MS_MAX = 60_000
/** Some 20 kB each; a balancer in front has far fewer. More are refused by closing them. */
const CONNECTIONS_MAX = 10_000
/** Longer than the 60 s of common balancers, so that they close first and never into our face. */
const KEEP_ALIVE_MS = 65_000
/** A connection that never ends serves any number of requests; closing costs the client a dial. */
const REQUESTS_PER_SOCKET = 0
/** Requests take milliseconds; what is left after this hangs, and a supervisor would kill us. */
const STOP_MS_MAX = 10_000
/**
 * A client whose next request is on its way when we are told to stop would lose it with its socket;
 * anyone who has said nothing for this long is not in the middle of anything.
 */
const IDLE_MS = 1_000

export interface HttpServer {
  url: string
  port: number
  /**
   * Takes no more connections, finishes requests in flight, then resolves. Connections that are open
   * get one more answer, which says `connection: close`. Waits for the work of clients that have gone as well, as it
   * uses what is closed next. Safe to call twice.
   */
  stop(): Promise<void>
}

/** Bounds of what a client may take; tests have less patience. */
export interface ClientBounds {
  headersMsMax: number
  requestMsMax: number
  silenceMsMax: number
  checkMs: number
  connectionsMax: number
}

const CLIENT_BOUNDS: ClientBounds = {
  headersMsMax: HEADERS_MS_MAX,
  requestMsMax: REQUEST_MS_MAX,
  silenceMsMax: SILENCE_MS_MAX,
  checkMs: CHECK_MS,
  connectionsMax: CONNECTIONS_MAX,
}

export interface HttpOptions {
  app: { fetch(request: Request, env?: object): Response | Promise<Response> }
  host: string
  /** 0 takes a free one. */
  port: number
  /** How long requests in flight may take at a stop. */
  stopMsMax?: number
  /** How long connections that are open may stay idle at a stop. */
  idleMs?: number
  /** Default: of every request what a route for settings takes. */
  bodyBytesMax?: BodyBytesMax
  clientBounds?: Partial<ClientBounds>
}

/** Rejects when the address is not to be had. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const { host, port, stopMsMax = STOP_MS_MAX, idleMs = IDLE_MS } = options
  const bounds = { ...CLIENT_BOUNDS, ...options.clientBounds }
  const underWay = createUnderWay()
  const server = createGatedServer(options, bounds, (request, env) =>
    underWay.add(Promise.resolve(options.app.fetch(request, env))),
  )
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET
  server.maxConnections = bounds.connectionsMax
  // Without a listener Node destroys the connection. While it is idle, keepAliveTimeout replaces this.
  server.timeout = bounds.silenceMsMax
  const closeGently = trackAnswers(server)
  await listen(server, host, port)

  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    stop: once(async () => {
      const late = delay(stopMsMax, undefined, { ref: false })
      await closeGently({ idleMs, msMax: stopMsMax })
      await Promise.race([underWay.idle(), late])
    }),
  }
}

function createGatedServer(
  { bodyBytesMax }: HttpOptions,
  bounds: ClientBounds,
  fetch: (request: Request, env?: object) => Promise<Response>,
): Server {
  const listener = inOrder<typeof CountedMessage>(getRequestListener(fetch))
  const gate = createBodyGate(listener, bodyBytesMax ?? (() => SETTINGS_BYTES_MAX))
  const server = createServer(
    {
      IncomingMessage: CountedMessage,
      headersTimeout: bounds.headersMsMax,
      requestTimeout: bounds.requestMsMax,
      connectionsCheckingInterval: bounds.checkMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    gate.pass,
  )
  // A client that asks first is told before it sends anything.
  server.on('checkContinue', (request, response) => {
    if (gate.refuses(request, response)) return
    response.writeContinue()
    server.emit('request', request, response)
  })
  // By itself Node would answer, and read a body of any size.
  server.on('checkExpectation', (_, response) => {
    response.writeHead(417, { connection: 'close' }).end()
  })
  return server as unknown as Server
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port }, resolve)
  await promise
  server.off('error', reject)
}

/**
 * Knows the requests without an answer, so that a stop can tell their clients that the connection ends.
 *
 * @returns closes the server: resolves when the last connection is gone
 */
function trackAnswers(server: Server) {
  const unanswered = new Set<ServerResponse>()
  let phase: 'open' | 'draining' | 'closing' = 'open'
  // Before the application, which may answer at once.
  server.prependListener('request', (_, response) => {
    unanswered.add(response)
    if (phase !== 'open') sayClose(response)
    response.once('close', () => {
      unanswered.delete(response)
      if (phase === 'closing') setImmediate(() => server.closeIdleConnections())
    })
  })
  return async ({ idleMs, msMax }: { idleMs: number; msMax: number }): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    phase = 'draining'
    for (const response of unanswered) sayClose(response)
    // Not that of HTTP, which closes idle connections at once: a request may be on its way on them.
    NetServer.prototype.close.call(server, () => resolve())
    const patience = setTimeout(() => {
      phase = 'closing'
      server.closeIdleConnections()
    }, idleMs)
    const limit = setTimeout(() => server.closeAllConnections(), msMax)
    await promise
    clearTimeout(patience)
    clearTimeout(limit)
    server.close() // what else HTTP has: the timer that looks for slow requests
  }
}

function sayClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close')
}
