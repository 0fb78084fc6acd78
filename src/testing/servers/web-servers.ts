import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates.ts'

type Lifetime = { teardown(done: () => unknown): void }

/** A web site of one page that is not ours. */
export interface WebSite {
  /** Such as `https://localhost:4711`. */
  origin: string
  /** What it shows from now on. */
  show(html: string): void
}

/** @param host `localhost` and `127.0.0.1` are separate sites to a browser. @param tls by https with this */
export async function startWebSite(
  t: Lifetime,
  { host, tls }: { host: 'localhost' | '127.0.0.1'; tls?: Certificate },
): Promise<WebSite> {
  let html = ''
  const port = await serve(t, tls, (_, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8')
    // Without it a browser asks for the icon of the site.
    response.end(`<!doctype html><link rel="icon" href="data:,">${html}`)
  })
  return {
    origin: `${tls ? 'https' : 'http'}://${host}:${port}`,
    show: (text) => {
      html = text
    },
  }
}

/** Ends TLS in front of a service, as balancers do. @param seen gets every request. @returns its address */
export async function startTlsFront(
  t: Lifetime,
  { target, tls, seen }: { target: string; tls: Certificate; seen: IncomingMessage[] },
): Promise<string> {
  const port = await serve(t, tls, (request, response) => {
    seen.push(request)
    const headers = { ...request.headers, 'x-forwarded-proto': 'https' }
    const { method = 'GET', url = '/' } = request
    const onward = http.request(target + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  return `https://127.0.0.1:${port}`
}

async function serve(
  t: Lifetime,
  tls: Certificate | undefined,
  answer: http.RequestListener,
): Promise<number> {
  const server = tls ? https.createServer(tls, answer) : http.createServer(answer)
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
