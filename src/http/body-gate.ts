import { IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { problemBody } from '../problem.ts'
import { tooLarge } from './request-body.ts'

/** For the answer to be read before the connection is cut; nothing more is read meanwhile. */
const LINGER_MS = 500

/** Bytes that the body of a request may have. */
export type BodyBytesMax = (request: { method: string; path: string }) => number

/**
 * A request whose body without a length is counted as it comes. A reader gets the chunk that is one too many,
 * so that it can answer; what comes after it is not taken from the socket any more.
 */
export class CountedMessage extends IncomingMessage {
  #bytes = 0
  #bytesMax = Number.POSITIVE_INFINITY
  #isOver = false

  /** Before anything has come. */
  bound(bytesMax: number): void {
    this.#bytesMax = bytesMax
    // Node throws away what nobody reads uncounted, unless somebody has begun to.
    this.read(0)
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (this.#isOver) return false
    this.#bytes += chunk?.length ?? 0
    if (this.#bytes <= this.#bytesMax) return super.push(chunk, encoding)
    this.#isOver = true
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref()
    super.push(chunk, encoding)
    return false
  }
}

/**
 * Stands in front of everything that answers requests: a body that is announced as larger than its route may
 * take is refused before anybody looks at the request, and no body is read beyond that bound, whether it is
 * used or thrown away. Then the connection is closed, since what is left of the body stands in its way.
 * A request that does not say with one voice which host it is for goes no further either.
 */
export function createBodyGate(
  next: RequestListener<typeof CountedMessage>,
  bytesMaxOf: BodyBytesMax,
) {
  /** Answers it, and says so, when the body is announced as too large. */
  const refuses = (request: CountedMessage, response: ServerResponse): boolean => {
    const { 'content-length': length = '0' } = request.headers
    const bytesMax = bytesMaxOf(targetOf(request))
    if (Number(length) <= bytesMax) return false
    refuse(request, response, bytesMax)
    return true
  }
  const pass: typeof next = (request, response) => {
    if (request.headers['transfer-encoding'] !== undefined) {
      request.bound(bytesMaxOf(targetOf(request)))
      // Nobody reads it, and an answer that is a stream may last.
      if (request.method === 'GET' || request.method === 'HEAD') request.resume()
    } else if (refuses(request, response)) return
    if (!hasOneHost(request)) return void response.writeHead(400, { connection: 'close' }).end()
    next(request, response)
  }
  return { pass, refuses }
}

/** The path without its query; of an address in full as well, as proxies get it. */
function targetOf({ method = 'GET', url = '/' }: IncomingMessage) {
  const path = url.startsWith('/') ? url : (URL.parse(url)?.pathname ?? '/')
  return { method, path: path.split('?', 1)[0] ?? path }
}

function refuse(request: CountedMessage, response: ServerResponse, bytesMax: number): void {
  const body = problemBody(tooLarge(bytesMax))
  const text = JSON.stringify(body)
  response.writeHead(body.status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  })
  // The end of the answer closes the connection, which a client that is still sending takes for a failure.
  response.write(text)
  request.bound(bytesMax)
  request.resume()
  setTimeout(() => response.end(), LINGER_MS).unref()
  request.once('end', () => response.end())
}

/**
 * Whether a request says once, and with one voice, which host it is for. Of two headers, or of an address in full
 * next to another header, a proxy may have looked at the other one: RFC 9112, 3.2 has such requests refused.
 */
function hasOneHost({ rawHeaders, headers, url = '/' }: IncomingMessage): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === 'host') count += 1
  }
  if (count > 1) return false
  if (count === 0 || url.startsWith('/') || url === '*') return true
  const target = URL.parse(url)
  return target !== null && target.host === URL.parse(`${target.protocol}//${headers.host}`)?.host
}
