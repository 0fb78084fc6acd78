import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
import { SocksClient, SocksClientError } from 'socks'
import {
  addressesOf,
  connectTo,
  type Dial,
  DialFailed,
  Dialing,
  openFirst,
  serverNameOf,
  type Target,
} from './dial.ts'
import type { VettedLookup } from './egress.ts'
import type { LookupAll } from './lookup.ts'
import type { AttemptReason } from './reason.ts'

/** The longest time that an endpoint may set for an attempt: nobody waits for a dial any more. */
const DIAL_MS_MAX = 60_000
const DEFAULT_PORTS: Record<string, number> = { 'http:': 80, 'https:': 443 }
const SOCKS_PORT = 1080

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
export function createProxyDialer(
  proxy: URL,
  { lookup, proxyLookup }: { lookup: VettedLookup; proxyLookup: LookupAll },
): ProxyDialer {
  const open = /^https?:$/.test(proxy.protocol) ? openHttpTunnel : openSocksTunnel
  const underWay = new Set<AbortController>()
  const reach: Reach = async (signal) => {
    try {
      const addresses = await addressesOf(hostOf(proxy), proxyLookup, new Dialing())
      return await openFirst(addresses, connectTo(portOf(proxy)), { signal })
    } catch (error) {
      throw unreachable(error, signal)
    }
  }
  return {
    async dial(target, dialing) {
      // Not the signal of the attempt: a connection that comes too late for it is kept for others.
      const making = new AbortController()
      const stop = () => making.abort(new ProxyFailed('the proxy did not respond in time'))
      const timer = setTimeout(stop, DIAL_MS_MAX)
      underWay.add(making)
      try {
        return await open(proxy, target, { lookup, reach, dialing, signal: making.signal })
      } finally {
        clearTimeout(timer)
        underWay.delete(making)
      }
    },
    close() {
      for (const making of underWay) making.abort(new ProxyFailed('the runner stopped'))
    },
  }
}

/** Opens a connection to the proxy itself. */
type Reach = (signal: AbortSignal) => Promise<net.Socket>
type Open = (
  proxy: URL,
  target: Target,
  context: { lookup: VettedLookup; reach: Reach; dialing: Dialing; signal: AbortSignal },
) => Promise<net.Socket>

const openHttpTunnel: Open = async (proxy, { host, port }, { reach, signal }) => {
  const authority = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
  const channel = encrypted(proxy, await reach(signal))
  const request = http.request({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, connection: 'keep-alive', ...authorization(proxy) },
    createConnection: () => channel,
    signal,
  })
  const answered = once(request, 'connect')
  request.end()
  const [{ statusCode }, socket, head] = (await answered.catch((error: unknown) => {
    throw unreachable(error, signal)
  })) as [http.IncomingMessage, net.Socket, Buffer]
  if (statusCode && statusCode >= 200 && statusCode < 300) {
    if (head.length > 0) socket.unshift(head)
    return watched(socket)
  }
  socket.destroy()
  throw tunnelRefused(statusCode)
}

function encrypted(proxy: URL, socket: net.Socket): net.Socket {
  if (proxy.protocol !== 'https:') return socket
  const host = hostOf(proxy)
  return tls.connect({ socket, host, servername: serverNameOf(host) })
}

function tunnelRefused(statusCode: number | undefined): ProxyFailed {
  if (statusCode === 407) {
    return new ProxyFailed('the proxy refused the credentials of this service (407)')
  }
  return new ProxyFailed(`the proxy returned ${statusCode} instead of connecting`, {
    reason: statusCode === 403 ? 'proxy_refused' : 'proxy_failed',
  })
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

const openSocksTunnel: Open = async (proxy, target, { lookup, reach, dialing, signal }) => {
  const shakeHandsFor = async (host: string, aborted: AbortSignal) =>
    shakeHands(await reach(aborted), proxy, { ...target, host }, aborted)
  if (proxy.protocol !== 'socks5:') return await shakeHandsFor(target.host, signal)
  const addresses = await addressesOf(target.host, lookup, dialing)
  const open = ({ address }: LookupAddress, aborted: AbortSignal) => shakeHandsFor(address, aborted)
  return await openFirst(addresses, open, { signal, tried: dialing.tried }).catch(
    (error: unknown) => {
      throw error instanceof DialFailed ? error.errors[0] : error
    },
  )
}

async function shakeHands(
  socket: net.Socket,
  proxy: URL,
  destination: Target,
  signal: AbortSignal,
) {
  const stop = () => socket.destroy()
  signal.addEventListener('abort', stop)
  try {
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
    throw error instanceof SocksClientError && !signal.aborted
      ? socksFailure(error)
      : unreachable(error, signal)
  } finally {
    signal.removeEventListener('abort', stop)
  }
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

function unreachable(error: unknown, { aborted, reason }: AbortSignal): Error {
  if (aborted) return reason
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
