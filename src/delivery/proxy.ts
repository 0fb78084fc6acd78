import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { SocksClient, SocksClientError } from 'socks'
import type { AttemptReason } from '../attempts/reason.ts'
import type { VettedLookup } from './egress.ts'

/** The longest time that an endpoint may set for an attempt: nobody waits for a dial any more. */
const DIAL_MS_MAX = 60_000
const DEFAULT_PORTS: Record<string, number> = { 'http:': 80, 'https:': 443 }
const SOCKS_PORT = 1080

export interface Target {
  /** A name or an address, without brackets. */
  host: string
  port: number
}

/** Opens a connection to a receiver through the proxy, on which nothing has been said yet. */
export type Dial = (target: Target) => Promise<net.Socket>

export interface ProxyDialer {
  /** Rejects with `ProxyFailed`, or with what the lookup of a name rejects with. */
  dial: Dial
  /** Ends the dials under way. */
  close(): void
}

/** There is no way through the proxy. The message is for a customer: it names neither host nor credentials. */
export class ProxyFailed extends Error {
  override readonly name = 'ProxyFailed'
  readonly code = 'EGRESS_PROXY_FAILED'
  readonly reason: AttemptReason
  constructor(message: string, options?: ErrorOptions & { reason?: AttemptReason }) {
    super(message, options)
    this.reason = options?.reason ?? 'proxy_failed'
  }
}

/**
 * Dials through a proxy.
 *
 * `http` and `https` proxies are asked for a tunnel (CONNECT), for http receivers as well: what comes back is
 * then the receiver's, and never an error page of the proxy that looks like the receiver's answer. The
 * packages for this take such a page for the answer, or wait for ever for a proxy that hangs.
 *
 * `http`, `https` and `socks5h` hand the name on, so the proxy looks it up and decides what may be dialled.
 * With `socks5` it is looked up and vetted here, and the proxy gets the address.
 */
export function createProxyDialer(proxy: URL, lookup: VettedLookup): ProxyDialer {
  const open = /^https?:$/.test(proxy.protocol) ? openHttpTunnel : openSocksTunnel
  const underWay = new Set<Destroyable>()
  let isClosed = false

  const bounded: Bounded = async (making, made) => {
    const stop = () => making.destroy(new ProxyFailed('the proxy did not answer in time'))
    const timer = setTimeout(stop, DIAL_MS_MAX)
    underWay.add(making)
    if (isClosed) stop()
    try {
      return await made
    } finally {
      clearTimeout(timer)
      underWay.delete(making)
    }
  }
  return {
    dial: (target) => open(proxy, target, { lookup, bounded }),
    close() {
      isClosed = true
      for (const making of underWay) making.destroy(new ProxyFailed('the runner stopped'))
    },
  }
}

interface Destroyable {
  destroy(error: Error): unknown
}
/** Waits for what `making` is to become, at most so long. */
type Bounded = <T>(making: Destroyable, made: Promise<T>) => Promise<T>
type Open = (
  proxy: URL,
  target: Target,
  context: { lookup: VettedLookup; bounded: Bounded },
) => Promise<net.Socket>

const openHttpTunnel: Open = async (proxy, { host, port }, { bounded }) => {
  const authority = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
  const request = (proxy.protocol === 'https:' ? https : http).request({
    method: 'CONNECT',
    host: hostOf(proxy),
    port: portOf(proxy),
    path: authority,
    agent: false,
    headers: { host: authority, connection: 'keep-alive', ...authorization(proxy) },
  })
  const answered = once(request, 'connect').catch((error: unknown) => {
    throw unreachable(error)
  })
  request.end()
  const [{ statusCode }, socket, head] = (await bounded(request, answered)) as [
    http.IncomingMessage,
    net.Socket,
    Buffer,
  ]
  if (statusCode && statusCode >= 200 && statusCode < 300) {
    if (head.length > 0) socket.unshift(head)
    return watched(socket)
  }
  socket.destroy()
  throw tunnelRefused(statusCode)
}

function tunnelRefused(statusCode: number | undefined): ProxyFailed {
  if (statusCode === 407) {
    return new ProxyFailed('the proxy refused the credentials of this service (407)')
  }
  return new ProxyFailed(`the proxy answered ${statusCode} instead of connecting`, {
    reason: statusCode === 403 ? 'proxy_refused' : 'proxy_failed',
  })
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

const openSocksTunnel: Open = async (proxy, target, { lookup, bounded }) => {
  const isNameOurs = proxy.protocol === 'socks5:' && net.isIP(target.host) === 0
  const host = isNameOurs ? await addressOf(target.host, lookup) : target.host
  const socket = net.connect({ host: hostOf(proxy), port: portOf(proxy) })
  return await bounded(socket, shakeHands(socket, proxy, { ...target, host }))
}

async function shakeHands(socket: net.Socket, proxy: URL, destination: Target) {
  try {
    await once(socket, 'connect')
    await SocksClient.createConnection({
      command: 'connect',
      existing_socket: socket,
      proxy: {
        type: 5,
        host: hostOf(proxy),
        port: portOf(proxy),
        ...(proxy.username !== '' && {
          userId: decodeURIComponent(proxy.username),
          password: decodeURIComponent(proxy.password),
        }),
      },
      destination,
      timeout: DIAL_MS_MAX,
    })
    return watched(socket)
  } catch (error) {
    socket.destroy()
    throw error instanceof SocksClientError ? socksFailure(error) : unreachable(error)
  }
}

function addressOf(host: string, lookup: VettedLookup): Promise<string> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: false }, (error, address) =>
      error ? reject(error) : resolve(address as string),
    )
  })
}

/** The words that the package has for the replies of RFC 1928, 6; nowhere but in its message. */
const SOCKS_REPLY = /rejected connection - (\w+)$/i
const SOCKS_CAUSES: Record<string, [reason: AttemptReason, words: string]> = {
  NotAllowed: ['proxy_refused', 'the proxy does not allow this receiver'],
  NetworkUnreachable: [
    'connection_unreachable',
    'the proxy found no route to the network of the receiver',
  ],
  HostUnreachable: ['connection_unreachable', 'the proxy found no route to the receiver'],
  ConnectionRefused: ['connection_refused', 'the receiver refused the connection of the proxy'],
  TTLExpired: ['timeout_connect', 'the proxy did not reach the receiver in time'],
}

function socksFailure({ message }: SocksClientError): ProxyFailed {
  const [reason, words] = SOCKS_CAUSES[SOCKS_REPLY.exec(message)?.[1] ?? ''] ?? []
  if (reason) return new ProxyFailed(words ?? '', { reason })
  if (/authentication/i.test(message)) {
    return new ProxyFailed('the proxy refused the credentials of this service')
  }
  return new ProxyFailed('the proxy did not connect')
}

function unreachable(error: unknown): Error {
  if (error instanceof ProxyFailed) return error
  const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
  return new ProxyFailed(`the proxy of this service cannot be reached${code}`, { cause: error })
}

/** Under TLS nobody else listens to it, and an error nobody listens to ends the process. */
function watched(socket: net.Socket): net.Socket {
  return socket.on('error', () => {})
}

const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '')

const portOf = ({ port, protocol }: URL) =>
  port === '' ? (DEFAULT_PORTS[protocol] ?? SOCKS_PORT) : Number(port)
