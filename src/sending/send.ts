import http, { type ClientRequest } from 'node:http'
import https from 'node:https'
import { urlToHttpOptions } from 'node:url'
import got, { type Got, type RequestFunction } from 'got'
import packageJson from '../../package.json' with { type: 'json' }
import { resultOfExchange, resultOfFailure, type Sent } from './attempt-result.ts'
import {
  CERTIFICATES_MAX,
  type ClientCertificate,
  CONNECTION_AGE_MS,
  createConnections,
} from './connections.ts'
import { Dialing } from './dial.ts'
import { createVettedLookup, type ParsedCidr, vetLiteralHost } from './egress.ts'
import { followExchange } from './exchange.ts'
import { blockedAddress, type Failure, INTERRUPTED } from './failure.ts'
import { createLookup, type LookupAll } from './lookup.ts'
import type { AttemptResult } from './outcome.ts'
import {
  asSvix,
  createEchoMask,
  maskHeaders,
  requestHeaders,
  secretNames,
} from './request-headers.ts'
import { sign } from './signature.ts'
import { signatureHeaders } from './signature-headers.ts'

/** Node's own default, stated because an answer's headers are stored in full. */
const RESPONSE_HEADERS_BYTES_MAX = 16_384

export interface SendRequest {
  /** http or https; credentials in it are not sent. */
  url: string
  /** Becomes `webhook-id`, the same for every attempt: of the event in the form of its shape, or of the batch. */
  eventId: string
  /** The bytes that are signed are the bytes that are sent. */
  body: string
  /** The endpoint's own; they cannot replace ours. */
  headers: Record<string, string>
  /** Names of those that are secret, next to those that look like it. */
  secretHeaders?: readonly string[] | undefined
  /** Of the shape of the body, in small letters: they replace ours. */
  shapeHeaders?: Readonly<Record<string, string>> | undefined
  /** Headers in the form of other schemes: name to template. */
  signatureHeaders?: Readonly<Record<string, string>> | undefined
  /** Default: `send`. */
  webhookSignature?: 'send' | 'omit' | undefined
  /** Adds `svix-` headers with the values of those that begin with `webhook-`. */
  withSvixHeaders?: boolean | undefined
  /** W3C trace context that the receiver may go on with. */
  traceparent?: string | undefined
  /** All live secrets of the endpoint, in their written form. */
  secrets: string[]
  /** For https receivers that ask who is calling. */
  clientCertificate?: ClientCertificate | null | undefined
  /** From the call to the end of the answer, whatever the receiver does in between. */
  timeoutMs: number
  /** Aborting ends the attempt as `interrupted`, unless the receiver has answered. */
  signal?: AbortSignal | undefined
  /** Dials, instead of using a connection that was kept alive and may be closed under us. */
  newConnection?: boolean | undefined
  /** So much of the answer is kept, where that is more than the audit log holds. */
  answerBytesMax?: number | undefined
  /** Hears that there is a connection, and that it has taken the request. */
  onSent?: (() => void) | undefined
  /** Seconds since 1970, of this attempt; default: now. */
  timestampSeconds?: number | undefined
}

export interface Sender {
  /**
   * One HTTP try. Never rejects for what a receiver does.
   *
   * @throws InvalidSecret, or what opening the client's key throws: nothing may be sent then, and
   *   that is our fault
   */
  send(request: SendRequest): Promise<AttemptResult>
  /** Closes all connections; what is under way ends as `interrupted`. Safe to call twice. */
  close(): Promise<void>
}

export interface SenderOptions {
  /** Networks that may be dialled although not public. */
  allow: readonly ParsedCidr[]
  lookup?: LookupAll
  /** All receivers but those on loopback are reached through it. Its own address is not vetted. */
  proxy?: URL | undefined
  /** Blocks http, no matter who let such a URL in. */
  httpsOnly?: boolean | undefined
  /** Finds the proxy, when it has a name. */
  proxyLookup?: LookupAll
  /** Milliseconds for which a connection may be used, at most. */
  connectionAgeMs?: number
  /** Client certificates whose connections are kept, those used least recently closed beyond. */
  certificatesMax?: number
  userAgent?: string
}

/**
 * Makes the sender. Its got instance and connections are prepared once, because setting up
 * options is most of what got costs per request (about 0.65 ms of CPU).
 */
export function createSender(options: SenderOptions): Sender {
  const connections = createConnections({
    lookup: createVettedLookup(options),
    proxy: options.proxy,
    proxyLookup: options.proxyLookup ?? createLookup(),
    connectionAgeMs: options.connectionAgeMs ?? CONNECTION_AGE_MS,
    certificatesMax: options.certificatesMax ?? CERTIFICATES_MAX,
  })
  const dialings = new WeakMap<ClientRequest, Dialing>()
  const instance = prepareInstance(dialings)
  const userAgent = options.userAgent ?? `Postrider/${packageJson.version}`
  const closing = new AbortController()
  const parts = { options, connections, dialings, instance, userAgent, closing: closing.signal }
  return {
    send: (request) => send(parts, request),
    async close() {
      closing.abort()
      connections.destroy()
    },
  }
}

interface Parts {
  options: SenderOptions
  connections: ReturnType<typeof createConnections>
  dialings: WeakMap<ClientRequest, Dialing>
  instance: ReturnType<typeof prepareInstance>
  userAgent: string
  closing: AbortSignal
}

async function send(parts: Parts, request: SendRequest): Promise<AttemptResult> {
  const startedAt = performance.now()
  const url = URL.parse(request.url)
  const headers = signedHeaders(request, Buffer.from(request.body), parts.userAgent)
  const sent = sentOf(request, { url, headers, startedAt })
  const signals = request.signal ? [request.signal, parts.closing] : [parts.closing]

  const refusal = refuse(url, parts.options, signals)
  if (refusal || !url) return resultOfFailure(sent, refusal ?? NO_URL)
  const lease = parts.connections.lease(url, request.clientCertificate)
  if ('error' in lease) return resultOfFailure(sent, lease)

  const { body, timeoutMs, onSent, answerBytesMax } = request
  const agent = request.newConnection ? lease.fresh : lease.pooled
  // As text: of a buffer got makes a deep copy, its whole pool of 8 KB included, for each request.
  const stream = parts.instance.stream(url, { body, headers, agent })
  const deadline = { endsAt: startedAt + timeoutMs, timeoutMs, signals, onSent, answerBytesMax }
  const exchange = await followExchange(stream, (made) => parts.dialings.get(made), deadline)
  lease.release()
  return await resultOfExchange(sent, exchange)
}

function sentOf(
  request: SendRequest,
  {
    url,
    headers,
    startedAt,
  }: { url: URL | null; headers: ReturnType<typeof signedHeaders>; startedAt: number },
): Sent {
  const secret = secretNames(request)
  return {
    host: url?.host ?? '',
    headers: maskHeaders(headers, secret),
    echoMask: createEchoMask(request.headers, secret),
    startedAt,
  }
}

/** Without agents: each request brings those of its way. */
function prepareInstance(dialings: Dialings): Got {
  return got.extend({
    method: 'POST',
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    // An audit log holds what was sent, and inflating is how small answers become large ones.
    decompress: false,
    // The status has decided by then; see followExchange.
    strictContentLength: false,
    maxHeaderSize: RESPONSE_HEADERS_BYTES_MAX,
    request: requestWith(dialings),
  })
}

/** Of each request, for anyone who follows it: to hand its own function to got costs 20 µs. */
type Dialings = WeakMap<ClientRequest, Dialing>

/**
 * got hands over some sixty options of sockets and TLS, all undefined, which node:http copies three
 * times: a tenth of what a request costs. Those that matter are in the agents.
 */
function requestWith(dialings: Dialings): RequestFunction {
  return (url, { method, headers = {}, agent, maxHeaderSize }, callback) => {
    const dialing = new Dialing()
    const options = {
      ...urlToHttpOptions(url),
      method,
      // First, as RFC 9110 (7.2) advises and people expect; node:http would add it behind all others.
      // A list, as names that are whole numbers come before all others in an object.
      headers: ['Host', url.host, ...Object.entries(headers).flat()] as string[],
      agent,
      maxHeaderSize,
      dialing,
    }
    const { request } = url.protocol === 'https:' ? https : http
    const made = request(options as https.RequestOptions, callback)
    dialings.set(made, dialing)
    return made
  }
}

function signedHeaders(
  request: SendRequest,
  body: Buffer,
  userAgent: string,
): Record<string, string> {
  const { eventId: id, secrets, signatureHeaders: templates, webhookSignature } = request
  const timestampSeconds = request.timestampSeconds ?? Math.floor(Date.now() / 1000)
  const standard = {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    ...(webhookSignature !== 'omit' && {
      'webhook-signature': sign({ id, timestampSeconds, body, secrets }),
    }),
  }
  return requestHeaders(
    {
      'content-type': 'application/json',
      ...request.shapeHeaders,
      'content-length': String(body.length),
      'user-agent': userAgent,
      ...standard,
      ...(request.withSvixHeaders && asSvix(standard)),
      ...(templates && signatureHeaders(templates, { ...request, id, timestampSeconds })),
      ...(request.traceparent !== undefined && { traceparent: request.traceparent }),
    },
    request.headers,
  )
}

const refused = (error: string): Failure => ({ outcome: 'blocked', reason: 'blocked_url', error })
const NO_URL = refused('the URL cannot be read')
const NO_HTTP = refused('only http and https are allowed')
const NO_HTTPS = refused('only https is allowed here')

/** Why a request is not even begun, or `null`. Also takes credentials out of the URL. */
function refuse(
  url: URL | null,
  { allow, httpsOnly }: SenderOptions,
  signals: readonly AbortSignal[],
): Failure | null {
  if (!url) return NO_URL
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return NO_HTTP
  if (httpsOnly && url.protocol === 'http:') return NO_HTTPS
  if (signals.some((signal) => signal.aborted)) return INTERRUPTED
  // got would make an authorization header of them, past the endpoint's own headers.
  if (url.username) url.username = ''
  if (url.password) url.password = ''
  const literal = vetLiteralHost(url, allow)
  return literal && blockedAddress(literal)
}
