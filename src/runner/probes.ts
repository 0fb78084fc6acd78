import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { inOrder } from '../http/in-order.ts'
import type { Metrics } from '../metrics.ts'

/** A probe sends a line and reads a line; anyone who takes longer holds a socket open on purpose. */
const REQUEST_MS_MAX = 5_000

export interface RunnerReadiness {
  ready: boolean
  /** Part → state in words, such as `{database: 'reachable', listening: 'yes'}`. */
  checks: Record<string, string>
}

export interface Probes {
  url: string
  /** Safe to call twice. */
  stop(): Promise<void>
}

interface ProbesOptions {
  host: string
  port: number
  ready(): Promise<RunnerReadiness>
  metrics: Pick<Metrics, 'render'>
}

/**
 * Serves /live, /ready and /metrics of a runner, which has no API, or of an API that has them on a port of their
 * own. Node's own server is enough for three paths that take nothing.
 *
 * @param options.port 0 takes a free one; several runners on one host then do not get in each other's way
 */
export async function startProbes(options: ProbesOptions): Promise<Probes> {
  const handle = inOrder((request, response) => {
    if (hasBody(request)) return refuse(request, response)
    answer(request.url ?? '/', options).then(
      ({ status, contentType, text }) => {
        response.writeHead(status, { 'content-type': contentType }).end(text)
      },
      () => response.writeHead(500).end(),
    )
  })
  const server = http.createServer({ requestTimeout: REQUEST_MS_MAX }, handle)
  // By itself Node would tell the client to send it.
  server.on('checkContinue', refuse)
  server.on('checkExpectation', refuse)
  server.listen(options.port, options.host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** No probe has one. */
function hasBody({ headers }: http.IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The end of the answer closes the connection, so the body is not read. */
function refuse(_: http.IncomingMessage, response: http.ServerResponse): void {
  response.writeHead(413, { connection: 'close' }).end()
}

async function answer(
  path: string,
  { ready, metrics }: Pick<Parameters<typeof startProbes>[0], 'ready' | 'metrics'>,
): Promise<{ status: number; contentType: string; text: string }> {
  switch (path.split('?')[0]) {
    case '/live':
      return json(200, { status: 'ok' })
    case '/ready': {
      const readiness = await ready()
      return json(readiness.ready ? 200 : 503, readiness)
    }
    case '/metrics':
      return { status: 200, ...(await metrics.render()) }
    default:
      return json(404, { title: 'This port answers /live, /ready and /metrics' })
  }
}

const json = (status: number, value: object) => ({
  status,
  contentType: 'application/json',
  text: JSON.stringify(value),
})
